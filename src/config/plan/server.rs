//! `server:` and `cache:` as they run.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::secret::Secret;

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
    /// How long a server that is told to stop serves on, while it says that it is not ready.
    pub drain_delay: Duration,
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
    /// How long idempotency keys are kept, and how much of their answers.
    pub idempotency: Idempotency,
    /// How the logs are written.
    pub log: LogRules,
    /// Whether the page for operators shows pictures.
    pub dashboard_pictures: bool,
    /// Where spans go; `None` makes none.
    pub tracing: Option<Arc<Tracing>>,
}

/// Where spans of requests are sent, and of which requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// The collector's address for traces, OTLP over HTTP.
    pub otlp: Url,
    /// Of how many traces that begin here, in parts per million.
    pub sample_ppm: u32,
    /// Headers of what is sent, by their lower-case names.
    pub headers: Vec<(String, Secret)>,
    /// Longest wait for the collector's answer.
    pub timeout: Duration,
}

/// How the logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRules {
    /// How lines are written; `None`: the access log as JSON, the diagnostics as text.
    pub format: Option<LogFormat>,
    /// The least level of the diagnostics.
    pub level: LogLevel,
    /// Whether the access log has prompts.
    pub prompts: bool,
}

/// How a log's lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// An object a line.
    Json,
    /// For people.
    Text,
}

/// The least level of the diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures that a person must look at.
    Error,
    /// And what went wrong without harm.
    Warn,
    /// And what changed.
    Info,
    /// And what a developer wants to know.
    Debug,
}

impl LogLevel {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

/// How long idempotency keys are kept, and how much of their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// How long a key stands for its first request.
    pub window: Duration,
    /// Keys that are remembered at most.
    pub keys: usize,
    /// Bytes of pictures that are kept at most.
    pub pictures: u64,
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

/// Pictures and links on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskCache {
    /// Where.
    pub dir: PathBuf,
    /// Bytes that it holds.
    pub size: u64,
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
    /// Words besides those that Easel knows.
    pub words: CacheWords,
}

/// Words by which prompts are compared, besides those that Easel knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheWords {
    /// Groups of words that mean the same, at least two each.
    pub synonyms: Vec<Vec<String>>,
    /// Phrases that change nothing.
    pub boosters: Vec<String>,
    /// Names that must be the same.
    pub brands: Vec<String>,
    /// Colors that must be the same.
    pub colors: Vec<String>,
}
