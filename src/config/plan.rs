//! The checked form of the config: what runs.
//!
//! Everything here is resolved: names exist, units are applied, secrets are read and hidden. It is built only by
//! `config::load`, shared as one `Arc`, and replaced as a whole on reload.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::capabilities::{SizeTolerance, Sizes};
use crate::config::outline::Outline;
use crate::config::report::Problems;
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::{Price, TokenPrice};
use crate::request::{Quality, ResponseFormat};
use crate::secret::Secret;

mod alert;
mod client;
mod dialect;
mod hosts;
mod money;

pub use alert::{Alert, Comparison, Condition, Dimension, LONGEST_WINDOW, Measure, Unit, longest_window};
pub use client::{Client, Rate};
pub use dialect::{AskAt, CostUnit, Dialect, EditAs, Poll, SizeFormat};
pub use hosts::{HostRule, NoHost};
pub use money::{Billing, Budget, Charged, Charges, Volume, VolumePrice};

/// A whole config, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Addresses and limits of the server itself. Changing `listen`, `admin`, `tls` or `threads` needs a restart.
    pub server: Server,
    /// The cache's bounds.
    pub cache: Cache,
    /// Who may ask; with nobody listed, everybody may, as tenant `default`.
    pub clients: Vec<Arc<Client>>,
    /// Whether the config says in so many words that anyone may ask.
    pub anyone: bool,
    /// The problem that other machines reach the address and are not served, since there are no clients and `anyone` is
    /// not said. It is for people to read: who is served is told by the address that asks.
    pub shut: Option<Problems>,
    /// Providers by name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// Routes in the order they are tried.
    pub routes: Vec<Arc<Route>>,
    /// What is watched; no two have the same name.
    pub alerts: Vec<Arc<Alert>>,
    /// What the file said, to tell what another one changes.
    pub written: Outline,
}

/// Addresses and limits of the server itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where clients connect, `host:port`.
    pub listen: String,
    /// TLS for `listen`.
    pub tls: Option<Tls>,
    /// Where metrics and health are served, `host:port`.
    pub admin: String,
    /// How clients reach picture files; no trailing slash. `None`: derived from the address actually bound.
    pub public_url: Option<Url>,
    /// Where everything that is not an image route goes: scheme, host and port.
    pub passthrough: Option<Url>,
    /// Names of the server's own, lower-case, without ports.
    pub hosts: Vec<String>,
    /// Origins of web pages that may ask, as browsers send them.
    pub cors: Vec<String>,
    /// Worker threads; `None` is one a core.
    pub threads: Option<usize>,
    /// How long a stopping server waits for work in flight.
    pub drain: Duration,
    /// Size and count limits.
    pub limits: Limits,
    /// Opens what the operator's listener tells of money.
    pub admin_token: Option<Secret>,
    /// Signs picture links; `None` is a random secret, so that links die with the process.
    pub link_secret: Option<Secret>,
    /// How long a picture link is good.
    pub link_ttl: Duration,
    /// Where the ledger is kept; `None` keeps it in memory.
    pub state_dir: Option<PathBuf>,
    /// How the ledger is kept.
    pub ledger: LedgerRules,
}

impl Server {
    /// Whether only this machine reaches the address that clients connect to, as far as its words tell: a name may
    /// mean any address, but for this machine's own.
    pub fn is_local(&self) -> bool {
        let host = self.listen.rsplit_once(':').map_or(self.listen.as_str(), |(host, _)| host);
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => {
                let name = host.to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }

    /// What links to pictures begin with that nobody else can open; `None` where they are good for all who connect.
    /// An address that stands for all of a machine's is none to link to.
    pub fn unusable_links(&self) -> Option<String> {
        let (host, port) = self.listen.rsplit_once(':')?;
        let any = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        (any && self.public_url.is_none()).then(|| {
            format!(
                "server.public_url is not set: links to pictures lead to port {port} of a loopback address, which only \
                 this machine reaches. Set it to how clients reach this server."
            )
        })
    }
}

/// How the ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerRules {
    /// How long single attempts are kept; their sums are kept for ever.
    pub retention: Duration,
    /// What happens when it cannot be written.
    pub on_error: OnLedgerError,
}

/// What happens when the ledger cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLedgerError {
    /// Nothing new is paid for.
    Refuse,
    /// Work goes on and is written down later.
    Continue,
}

/// Certificate and key files, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Size and count limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest head of a request in bytes.
    pub request_header: usize,
    /// Largest request body in bytes.
    pub request_body: usize,
    /// Largest body of a generation, which has no pictures, in bytes.
    pub generation_body: usize,
    /// Bytes of all request bodies that are held at once; more are answered 429. Not less than `request_body`.
    pub request_bodies: usize,
    /// The most pixels that a mask may have.
    pub mask_pixels: u64,
    /// Largest provider reply or downloaded picture in bytes.
    pub response_body: usize,
    /// Bytes of all replies that are held at once; more wait for their turn. Not less than `response_body`.
    pub response_bodies: usize,
    /// Image requests being served at once; one more is answered 429.
    pub in_flight: usize,
    /// Connections of clients that are open at once; one that waits makes room for one more.
    pub connections: usize,
    /// How long the head of a request may take from its first byte, and on a new connection from its beginning.
    pub header_timeout: Duration,
    /// How long a connection is kept on which nothing is asked.
    pub keepalive_timeout: Duration,
    /// How long a client may take to send its request body, or the next 16 KiB of it.
    pub body_timeout: Duration,
    /// How long a client may take nothing of its answer. Whoever takes some, however little, is waited for.
    pub send_timeout: Duration,
    /// After so long a silence a streamed answer sends a comment, so that nobody on the way gives it up.
    pub heartbeat: Duration,
}

/// The cache's bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Bytes of pictures kept for reuse.
    pub memory: u64,
    /// Bytes of pictures held because a link to them was handed out.
    pub links: u64,
    /// Bytes of prompts as language models rewrote them.
    pub prompts: u64,
}

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
    /// When to stop asking for a while.
    pub breaker: Breaker,
    /// What is agreed about money.
    pub billing: Billing,
    /// What may be spent here.
    pub budgets: Vec<Budget>,
    /// Hosts besides the kind's own from which result links may be downloaded.
    pub download_hosts: Vec<HostRule>,
    /// Models by name.
    pub models: BTreeMap<String, Arc<Model>>,
    /// Models that write prompts instead of drawing; a provider has the one sort or the other.
    pub writers: BTreeMap<String, Arc<Writer>>,
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
    fn parts(&self) -> Vec<&str> {
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
}

/// When to stop asking an offer for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures within `window` that pause an offer.
    pub failures: u32,
    /// The time in which they count.
    pub window: Duration,
    /// How long the pause is.
    pub pause: Duration,
}

/// One model of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name the vendor knows.
    pub name: String,
    /// What its pictures cost.
    pub price: Price,
    /// Prices by the pictures of this model in a month; sorted by `from`.
    pub volume: Vec<Volume>,
    /// What the config says it can do, over the kind's own knowledge.
    pub capabilities: CapabilityOverrides,
    /// Sent with every call to this model, in the vendor's own words.
    pub options: BTreeMap<String, Value>,
    /// Which of OpenRouter's two ways it is asked.
    pub via: Via,
    /// The model behind an Azure deployment; `None` where the deployment has the model's name.
    pub family: Option<String>,
}

/// One language model of one provider. It draws nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Writer {
    /// The name the vendor knows.
    pub name: String,
    /// What its tokens cost.
    pub price: TokenPrice,
    /// Sent with every call to this model, in the vendor's own words.
    pub options: BTreeMap<String, Value>,
}

/// OpenRouter's two ways to ask for pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// The image API.
    #[default]
    Images,
    /// A chat completion that answers with pictures.
    Chat,
}

/// Abilities stated in the config; absent ones keep the kind's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilityOverrides {
    /// Pictures per call.
    pub max_n: Option<u8>,
    /// Sizes it draws.
    pub sizes: Option<Sizes>,
    /// File formats that can be asked for.
    pub formats: Option<Vec<Format>>,
    /// Longest prompt in characters.
    pub prompt_chars: Option<usize>,
    /// Takes a seed.
    pub seed: Option<bool>,
    /// Takes a negative prompt.
    pub negative_prompt: Option<bool>,
    /// Qualities it knows.
    pub qualities: Option<Vec<Quality>>,
    /// Shows unfinished pictures in a stream.
    pub partials: Option<bool>,
    /// Draws an alpha channel on request.
    pub transparent: Option<bool>,
    /// Takes a compression level.
    pub compression: Option<bool>,
    /// Takes a style.
    pub style: Option<bool>,
    /// Draws from a prompt alone.
    pub generate: Option<bool>,
    /// Changes pictures.
    pub edit: Option<EditOverride>,
}

/// What the config says of a model's way to change pictures. It can only take away: pictures that a kind has no way to
/// send would be left out unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOverride {
    /// It changes none.
    Never,
    /// It does, within these bounds; absent ones keep the kind's.
    Within {
        /// Pictures at once.
        images: Option<u8>,
        /// Takes a mask.
        mask: Option<bool>,
        /// Draws in the first picture's own size.
        keeps_size: Option<bool>,
    },
}

/// Which requests go where, and under what conditions.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name in the config; part of the cache key.
    pub name: String,
    /// Model names it answers to; empty answers to every name.
    pub models: Vec<ModelPattern>,
    /// Headers a request must carry, lower-case name and exact value.
    pub headers: Vec<(String, String)>,
    /// Who may draw, in order.
    pub offers: Vec<Offer>,
    /// No picture dearer than this.
    pub max_usd_per_image: Option<Usd>,
    /// No request dearer than this.
    pub max_usd_per_request: Option<Usd>,
    /// What may be spent here.
    pub budgets: Vec<Budget>,
    /// How long a client waits.
    pub deadline: Duration,
    /// What it gets when that is over.
    pub on_deadline: OnDeadline,
    /// Failed calls after which a request gives up.
    pub max_failures: u32,
    /// Failed calls after which a request stops asking the same offer.
    pub max_failures_per_offer: u32,
    /// A refusal goes to the next offer instead of back to the caller.
    pub refusals_go_on: bool,
    /// What becomes of the prompt before it is drawn.
    pub prompt: Prompt,
    /// Filled in where the request is silent.
    pub defaults: Defaults,
    /// How far a size may be bent.
    pub size_tolerance: SizeTolerance,
    /// Offers that would drop a wish are skipped.
    pub strict: bool,
    /// Reuse of pictures; `None` is off.
    pub cache: Option<RouteCache>,
}

/// A model name a route answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPattern {
    /// Exactly this name.
    Exact(String),
    /// Any name that begins so (`mockup-*`).
    Prefix(String),
}

impl ModelPattern {
    /// Whether `model` is meant.
    pub fn matches(&self, model: &str) -> bool {
        match self {
            ModelPattern::Exact(name) => name == model,
            ModelPattern::Prefix(prefix) => model.starts_with(prefix),
        }
    }
}

/// What a client gets when its deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    /// The pictures there are, if any.
    Partial,
    /// An error.
    Fail,
}

/// One provider's model as a route offers it.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model.
    pub model: Arc<Model>,
    /// `provider/model`, the name in logs, metrics and headers.
    pub name: String,
    /// No picture of this offer dearer than this.
    pub max_usd_per_image: Option<Usd>,
}

/// What becomes of the prompt before it is drawn.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// Put before it.
    pub prefix: String,
    /// Put after it.
    pub suffix: String,
    /// Who rewrites it; `None` is nobody.
    pub enrich: Option<Enrich>,
}

impl Prompt {
    /// All of it that decides which picture is right: the pictures of other words are other pictures. What a rewriting
    /// costs, how long it may take and whether it is kept is not among it.
    pub fn meaning(&self) -> Vec<String> {
        let Prompt { prefix, suffix, enrich } = self;
        if prefix.is_empty() && suffix.is_empty() && enrich.is_none() {
            return Vec::new();
        }
        let enrich = enrich.iter().flat_map(Enrich::meaning);
        [prefix.clone(), suffix.clone()].into_iter().chain(enrich).collect()
    }
}

/// Who rewrites prompts, and how.
#[derive(Clone, Debug)]
pub struct Enrich {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model.
    pub writer: Arc<Writer>,
    /// `provider/model`, the name in logs, metrics and headers.
    pub name: String,
    /// What the model is told to do.
    pub system: String,
    /// Longest wait for it.
    pub timeout: Duration,
    /// Its longest answer.
    pub max_tokens: u32,
    /// How long what it wrote is kept; `None` is not at all.
    pub keep: Option<Duration>,
}

impl Enrich {
    /// All of it that decides what is written: who is asked, what the model is told, and with which options. The
    /// options come last, because there may be any number of them.
    pub fn meaning(&self) -> Vec<String> {
        let Enrich { provider, writer, name, system, timeout: _, max_tokens, keep: _ } = self;
        let Writer { name: _, price: _, options } = &**writer;
        let told = [name.clone(), provider.account.base_url.to_string(), system.clone(), max_tokens.to_string()];
        let options = options.iter().flat_map(|(key, value)| [key.clone(), value.to_string()]);
        told.into_iter().chain(options).collect()
    }
}

/// Filled in where the request is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Size.
    pub size: Option<Size>,
    /// Quality.
    pub quality: Option<Quality>,
    /// File format.
    pub output_format: Option<Format>,
    /// Link or base64.
    pub response_format: Option<ResponseFormat>,
}

/// Reuse of pictures on one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteCache {
    /// How long a picture is reused.
    pub ttl: Duration,
}
