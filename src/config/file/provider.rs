//! `providers:` as written: accounts and how they are called.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::call_rate::CallRate;
use crate::config::file::dialect::Dialect;
use crate::config::file::model::{Capabilities, Model};
use crate::config::file::money::{Billing, Budgets};
use crate::config::file::scalar::{Dollars, Hidden, Percent, Preset, Time};

/// One account at one vendor.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Provider {
    /// The vendor's wire format: openai, azure, openai_compatible, stability, google, replicate, openrouter, bfl,
    /// dashscope or fal; or a kind that draws nothing but rewrites prompts: anthropic, or openai_text, which is any server
    /// with OpenAI's chat completions or embeddings.
    pub(in crate::config) kind: Option<String>,
    /// What Easel knows of an OpenAI-compatible vendor, filled in below what is written here; only for kind
    /// openai_compatible. `easel schema --preset NAME` prints it.
    pub(in crate::config) preset: Option<Preset>,
    /// Scheme, host and path prefix of the API. Default: the vendor's own, where the kind has one.
    pub(in crate::config) base_url: Option<String>,
    /// The vendor's key, sent to this provider's hosts and nowhere else.
    pub(in crate::config) api_key: Option<Hidden>,
    /// OpenAI's organisation header; only for kinds openai and openai_text.
    pub(in crate::config) organization: Option<String>,
    /// OpenAI's project header, or Vertex AI's project; only for kinds openai, openai_text and
    /// google.
    pub(in crate::config) project: Option<String>,
    /// Vertex AI's location: a region, global, us or eu; only for kind google.
    pub(in crate::config) location: Option<String>,
    /// Vertex AI's credentials: the text of a service account's JSON, or the word metadata for the machine's own
    /// identity; only for kind google.
    pub(in crate::config) credentials: Option<Hidden>,
    /// Azure's other way in, instead of an api_key: an application in Entra, or the word managed_identity for the
    /// machine's own; only for kind azure.
    pub(in crate::config) entra: Option<Entra>,
    /// Azure's api-version, or v1 for its newer surface; only for kind azure. Default 2025-04-01-preview.
    pub(in crate::config) api_version: Option<String>,
    /// Longest wait for one call, polling included. Default 120s.
    pub(in crate::config) timeout: Option<Time>,
    /// Longest wait for a connection, the look-up of the name included. Default 5s.
    pub(in crate::config) connect_timeout: Option<Time>,
    /// How long a connection is kept for the next call; less than the server keeps it. Default 4s.
    pub(in crate::config) idle_timeout: Option<Time>,
    /// Calls at once.
    pub(in crate::config) concurrency: Concurrency,
    /// What the vendor may be asked for in a minute, all models together. Default: without limit.
    pub(in crate::config) rate: CallRate,
    /// After which failures Easel pauses an offer, and for how long.
    pub(in crate::config) breaker: Breaker,
    /// How many calls may repeat one that the same offer failed in.
    pub(in crate::config) retry_budget: RetryBudget,
    /// What is agreed with the vendor: volume, commitments, reservations.
    pub(in crate::config) billing: Billing,
    /// What may be spent at this provider.
    pub(in crate::config) budget: Option<Budgets>,
    /// Added to every price of this provider, for resellers.
    pub(in crate::config) markup: Option<Percent>,
    /// Dollars for every call that is charged, on top of its price and the markup. Default: nothing.
    pub(in crate::config) fee: Option<Dollars>,
    /// Hosts besides the vendor's own from which pictures may be downloaded; `*.` in front means any host below, and a
    /// port may follow, as in cdn.local:8443.
    pub(in crate::config) download_hosts: Vec<String>,
    /// Where jobs may be asked about, besides the vendor's own hosts; only for kinds bfl and fal.
    pub(in crate::config) poll: PollHosts,
    /// What every model here can do, where its own entry does not say otherwise.
    pub(in crate::config) model_defaults: Capabilities,
    /// The models that may be asked, each with its price.
    pub(in crate::config) models: BTreeMap<String, Model>,
    /// How an OpenAI-compatible server differs from OpenAI; only for kind openai_compatible.
    pub(in crate::config) dialect: Option<Dialect>,
}

/// Who asks Entra, Azure's directory, for tokens.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Entra {
    /// The machine itself.
    Machine(ManagedIdentity),
    /// An application.
    Application(EntraApplication),
}

/// The word for the machine's own identity.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ManagedIdentity {
    /// The identity that Azure gave the machine.
    ManagedIdentity,
}

/// An application in Entra, and its password.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct EntraApplication {
    /// The directory's id, or one of its domains. Required.
    pub(in crate::config) tenant: Option<String>,
    /// The application's id. Required.
    pub(in crate::config) client_id: Option<String>,
    /// The application's secret, sent to the authority and nowhere else. Required.
    pub(in crate::config) client_secret: Option<Hidden>,
    /// Where tokens are asked for, without the tenant. Default https://login.microsoftonline.com/.
    pub(in crate::config) authority: Option<String>,
}

/// Where jobs may be asked about.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PollHosts {
    /// Hosts that the address of a job may name, and that get the key then, over HTTPS only; `*.` in front means any
    /// host below, and a port may follow.
    pub(in crate::config) hosts: Vec<String>,
}

/// Calls at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Concurrency {
    /// Calls in flight, at most. Default 32.
    pub(in crate::config) limit: Option<u64>,
    /// Calls in flight, at most, while reserved capacity is bought (`billing.active`). Default: as `limit`.
    pub(in crate::config) reserved_limit: Option<u64>,
    /// Calls waiting for a slot, at most, and as many requests waiting for the end of a pause. Default 256.
    pub(in crate::config) queue: Option<u64>,
    /// Longest wait for a slot, or for the end of a pause. Default 10s.
    pub(in crate::config) max_wait: Option<Time>,
    /// How live and batch calls share the slots and the places in the queue while both want them.
    pub(in crate::config) shares: Shares,
}

/// How live and batch calls share the slots and the places in the queue while both want them. A share that is not used is
/// lent to the other class, and taken back as calls end. One of the two is enough; together they are 100%.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Shares {
    /// The share of calls that somebody waits for. Default 90%.
    pub(in crate::config) live: Option<Percent>,
    /// The share of calls of batch jobs. Default 10%.
    pub(in crate::config) batch: Option<Percent>,
}

/// After which failures Easel pauses an offer, and for how long.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Breaker {
    /// Failures within the window that pause an offer. Default 5.
    pub(in crate::config) failures: Option<u64>,
    /// The time in which they count. Default 30s.
    pub(in crate::config) window: Option<Time>,
    /// How long the first pause is. Each that follows without a success in between is twice as long. Default 20s.
    pub(in crate::config) pause: Option<Time>,
    /// How long a pause becomes at most. Default 5m, or `pause` where that is longer.
    pub(in crate::config) max_pause: Option<Time>,
}

/// How many calls may repeat one that the same offer failed in.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RetryBudget {
    /// The share of the calls to this provider that repeat nothing. Default 20%.
    pub(in crate::config) ratio: Option<Percent>,
    /// So many a second besides. Default 1.
    pub(in crate::config) min_per_second: Option<u64>,
}
