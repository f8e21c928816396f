//! `providers:` as they run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::plan::client::{Priority, Rate};
use crate::config::plan::dialect::Dialect;
use crate::config::plan::hosts::HostRule;
use crate::config::plan::model::{Model, TextModel};
use crate::config::plan::money::{Billing, Budget};
use crate::secret::Secret;

/// One account at one vendor.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name in the config.
    pub name: String,
    /// Which wire format; one of the names `config::load` was given.
    pub kind: &'static str,
    /// What the wire format needs to reach and convince the vendor.
    pub account: Account,
    /// Longest wait for one call, polling included.
    pub timeout: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// How long a connection is kept for the next call.
    pub idle_timeout: Duration,
    /// Calls at once.
    pub concurrency: Concurrency,
    /// What it may be asked for, all its models together.
    pub rate: Rate,
    /// When to stop asking for a while.
    pub breaker: Breaker,
    /// How many calls may repeat one that failed.
    pub retry_budget: RetryBudget,
    /// What is agreed about money.
    pub billing: Billing,
    /// What may be spent here.
    pub budgets: Vec<Budget>,
    /// Hosts besides the kind's own from which result links may be downloaded.
    pub download_hosts: Vec<HostRule>,
    /// Models by name.
    pub models: BTreeMap<String, Arc<Model>>,
    /// Models of words, which write or turn texts into vectors instead of drawing; a provider has the one sort or the other.
    pub writers: BTreeMap<String, Arc<TextModel>>,
}

/// What a wire format needs to reach and convince its vendor.
#[derive(Clone, Debug)]
pub struct Account {
    /// Scheme, host and path prefix; always ends with a slash, so that `join` appends.
    pub base_url: Url,
    /// The vendor's key.
    pub api_key: Option<Secret>,
    /// OpenAI's organisation header.
    pub organization: Option<String>,
    /// OpenAI's project header, or Vertex AI's project.
    pub project: Option<String>,
    /// Vertex AI's location.
    pub location: Option<String>,
    /// Where the tokens of Vertex AI or of Entra come from; `None` where a key opens the account.
    pub credentials: Option<Credentials>,
    /// Azure's `api-version`, or `v1` for its newer surface; `None` is the kind's default.
    pub api_version: Option<String>,
    /// Hosts besides the vendor's own that may be asked how a job stands, and get the key.
    pub poll_hosts: Vec<HostRule>,
    /// How an OpenAI-compatible server differs from OpenAI; the default for every other kind.
    pub dialect: Dialect,
}

impl Account {
    /// Tells one account from another, and a new key from an old one, without showing either. It stays in memory.
    pub fn fingerprint(&self) -> u64 {
        // Nothing is copied: this is asked for before every call, and half of it is secret.
        let Dialect { auth, headers, .. } = &self.dialect;
        let own = [
            self.base_url.as_str(),
            self.api_key.as_ref().map_or("", Secret::reveal),
            self.organization.as_deref().unwrap_or_default(),
            self.project.as_deref().unwrap_or_default(),
            self.location.as_deref().unwrap_or_default(),
            auth.0.as_str(),
            auth.1.as_str(),
        ];
        let headers = headers.iter().flat_map(|(name, value)| [name.as_str(), value.reveal()]);
        let credentials = self.credentials.iter().flat_map(Credentials::parts);
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for part in own.into_iter().chain(headers).chain(credentials) {
            // With its length before it, no part runs into the next.
            hasher.update(&part.len().to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.digest()
    }
}

/// What short-lived tokens are got with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A service account's own key.
    ServiceAccount {
        /// Who asks.
        client_email: String,
        /// PKCS#8, PEM.
        private_key: Secret,
        /// Which of the account's keys it is.
        key_id: Option<String>,
        /// Whom to ask.
        token_uri: Url,
    },
    /// The machine's own identity.
    Metadata,
    /// An application that Entra, Azure's directory, knows by a password.
    Entra {
        /// Whom to ask.
        token_uri: Url,
        /// Which application.
        client_id: String,
        /// Its password.
        client_secret: Secret,
    },
}

impl Credentials {
    /// All that makes them different from others, secrets included.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Credentials::Metadata => vec!["metadata"],
            Credentials::ServiceAccount { client_email, private_key, key_id, token_uri } => {
                vec![
                    client_email.as_str(),
                    private_key.reveal(),
                    key_id.as_deref().unwrap_or_default(),
                    token_uri.as_str(),
                ]
            }
            Credentials::Entra { token_uri, client_id, client_secret } => {
                vec![token_uri.as_str(), client_id, client_secret.reveal()]
            }
        }
    }
}

/// Calls at once to one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Calls in flight, at most.
    pub limit: usize,
    /// Calls waiting for a slot, at most.
    pub queue: usize,
    /// Longest wait for a slot.
    pub max_wait: Duration,
    /// How live and batch calls share the slots and the places in the queue.
    pub shares: Shares,
}

/// How live and batch calls share what both want. What batch has not is live's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Batch's share in millionths; more than nothing and less than all.
    pub batch_ppm: u32,
}

impl Shares {
    /// The share of a class in millionths.
    pub fn ppm(self, class: Priority) -> u32 {
        match class {
            Priority::Live => 1_000_000_u32.saturating_sub(self.batch_ppm),
            Priority::Batch => self.batch_ppm,
        }
    }
}

/// When to stop asking an offer for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures within `window` that pause an offer.
    pub failures: u32,
    /// The time in which they count.
    pub window: Duration,
    /// How long the first pause is.
    pub pause: Duration,
    /// How long the pauses become that follow it without a success in between.
    pub max_pause: Duration,
}

/// How many calls may repeat one that the same offer failed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// For each call that repeats nothing, in millionths.
    pub ratio_ppm: u32,
    /// Besides, every second.
    pub min_per_second: u32,
}
