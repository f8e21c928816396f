//! `server:` and `cache:` as written: addresses, limits, the ledger, memory for pictures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Bytes, HeaderText, Hidden, Percent, Time};

/// Addresses and limits of Easel itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Server {
    /// Where clients connect, host:port. Default 127.0.0.1:8080.
    pub(in crate::config) listen: Option<String>,
    /// Where metrics and health are served, host:port. Default 127.0.0.1:9901.
    pub(in crate::config) admin: Option<String>,
    /// Opens `/admin/` to whoever sends it as `authorization: Bearer TOKEN`. Without one, `/admin/` is answered only
    /// where `admin` is a loopback address.
    pub(in crate::config) admin_token: Option<Hidden>,
    /// Serve clients over TLS.
    pub(in crate::config) tls: Option<Tls>,
    /// How clients reach picture files when they ask for links. Default: the address Easel listens on.
    pub(in crate::config) public_url: Option<String>,
    /// Where every request goes that is not about images: scheme, host and port. Default: nowhere (404).
    pub(in crate::config) passthrough: Option<String>,
    /// Further names of this server, besides those of this machine and of `public_url`. Without `clients`, Easel
    /// answers web pages under its own names alone. Default: none.
    pub(in crate::config) hosts: Vec<String>,
    /// Web pages of other origins that may ask. Default: none.
    pub(in crate::config) cors: Cors,
    /// Worker threads. Default: one a core.
    pub(in crate::config) threads: Option<u64>,
    /// How long a stopping server waits for work in flight. Default 30s.
    pub(in crate::config) drain: Option<Time>,
    /// How long Easel serves on after SIGTERM, new connections too, while `/readyz` already answers 503, so that who sends
    /// requests here learns of it before the port is shut. At most 1h. Default 0s.
    pub(in crate::config) drain_delay: Option<Time>,
    /// Signs picture links; give every Easel of one deployment the same. Default: random, links end with the process.
    pub(in crate::config) link_secret: Option<Hidden>,
    /// How long a picture link is good. Default 1h.
    pub(in crate::config) link_ttl: Option<Time>,
    /// Size and count limits.
    pub(in crate::config) limits: Limits,
    /// A directory of Easel's own, for the ledger. Default: none; Easel forgets at the end what was paid.
    pub(in crate::config) state_dir: Option<String>,
    /// How the ledger is kept.
    pub(in crate::config) ledger: Ledger,
    /// Requests that are sent with an idempotency key.
    pub(in crate::config) idempotency: Idempotency,
    /// How Easel writes its logs.
    pub(in crate::config) log: Log,
    /// What the page for operators shows.
    pub(in crate::config) dashboard: Dashboard,
    /// Where spans of requests are sent. Default: nowhere, and none are made.
    pub(in crate::config) tracing: Option<Tracing>,
}

/// Where spans of requests are sent, over OTLP, and of which requests.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tracing {
    /// The collector's address for traces over HTTP, like http://127.0.0.1:4318/v1/traces. Without a path it is `/v1/traces`.
    /// Required.
    pub(in crate::config) otlp: Option<String>,
    /// Of how many traces that begin here spans are sent. A caller that sends `traceparent` decides by that for its own.
    /// Default 100%.
    pub(in crate::config) sample: Option<Percent>,
    /// Headers of what is sent, like `authorization`. Default: none.
    pub(in crate::config) headers: BTreeMap<String, HeaderText>,
    /// Longest wait for an answer of the collector; no request waits for it. At most 1m. Default 10s.
    pub(in crate::config) timeout: Option<Time>,
}

/// What the page for operators shows.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Dashboard {
    /// Whether it shows the last 12 pictures in small, to whoever may see the page. Default false.
    pub(in crate::config) pictures: bool,
}

/// How Easel writes its logs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Log {
    /// json or text, for both logs. Default: the access log is JSON, the diagnostics are text.
    pub(in crate::config) format: Option<LogFormat>,
    /// The least level of the diagnostics: error, warn, info or debug. `EASEL_LOG` goes before it. Default info.
    pub(in crate::config) level: Option<LogLevel>,
    /// Whether a request's line has its prompt, up to 1000 characters of it, and not a hash of it alone. Default false.
    pub(in crate::config) prompts: bool,
}

/// How a log's lines are written.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogFormat {
    /// An object a line, for programs.
    Json,
    /// For people.
    Text,
}

/// What the diagnostics leave out.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogLevel {
    /// Everything but failures that a person must look at.
    Error,
    /// Everything but those and what went wrong without harm.
    Warn,
    /// What only a developer wants to know.
    Info,
    /// Nothing.
    Debug,
}

/// Requests that are sent with an idempotency key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Idempotency {
    /// How long a key stands for its first request, from when that came. Default 24h.
    pub(in crate::config) window: Option<Time>,
    /// Keys that are remembered; beyond, the oldest is forgotten. Default 100000.
    pub(in crate::config) keys: Option<u64>,
    /// Pictures kept to answer again, on disk with `state_dir` (default 1GiB), else in memory (default 64MiB); beyond,
    /// the oldest go, and a request with their key is told so.
    pub(in crate::config) pictures: Option<Bytes>,
}

/// Web pages of other origins that may ask.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Cors {
    /// Their origins, like https://ui.example.com: scheme, host, and port if any.
    pub(in crate::config) origins: Vec<String>,
}

/// How the ledger is kept.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Ledger {
    /// How long Easel keeps single calls; it keeps their sums for ever. Default 400d.
    pub(in crate::config) retention: Option<Time>,
    /// What Easel does when it cannot write the ledger: refuse (pay for nothing new) or continue (and write it later).
    /// Default refuse.
    pub(in crate::config) on_error: Option<OnLedgerError>,
}

/// What happens when the ledger cannot be written.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnLedgerError {
    /// Nothing new is paid for.
    Refuse,
    /// Work goes on and is written down later.
    Continue,
}

/// Certificate and key, PEM files.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tls {
    /// The certificate chain's file.
    pub(in crate::config) cert: Option<String>,
    /// The private key's file.
    pub(in crate::config) key: Option<String>,
}

/// Size and count limits.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    /// Largest head of a request. Default 32KiB.
    pub(in crate::config) request_header: Option<Bytes>,
    /// Largest request body. Default 50MiB.
    pub(in crate::config) request_body: Option<Bytes>,
    /// Largest body of a generation, which has no pictures in it. Default 1MiB.
    pub(in crate::config) generation_body: Option<Bytes>,
    /// All request bodies that Easel holds at once; it answers one more with 429. Default 128MiB.
    pub(in crate::config) request_bodies: Option<Bytes>,
    /// Pixels of the largest mask that is read. Default 33177600 (7680x4320).
    pub(in crate::config) mask_pixels: Option<u64>,
    /// Largest provider reply or downloaded picture. Default 64MiB.
    pub(in crate::config) response_body: Option<Bytes>,
    /// All replies that Easel holds at once; one more waits for its turn. Default 64MiB.
    pub(in crate::config) response_bodies: Option<Bytes>,
    /// Image requests being served at once; one more is answered 429. Default 1024.
    pub(in crate::config) in_flight: Option<u64>,
    /// Clients' connections that are open at once; an idle one makes room for a newcomer. Default 4096, or as many as
    /// the system's limit on open files allows.
    pub(in crate::config) connections: Option<u64>,
    /// How long the head of a request may take from its first byte, and on a new connection from its beginning, its TLS
    /// handshake included. Default 10s.
    pub(in crate::config) header_timeout: Option<Time>,
    /// How long Easel keeps a connection that carries no request. Default 60s.
    pub(in crate::config) keepalive_timeout: Option<Time>,
    /// How long a client may take to send its request body, or the next 16 KiB of it. Default 30s.
    pub(in crate::config) body_timeout: Option<Time>,
    /// How long a client may take nothing of its answer before Easel gives it up. Default 30s.
    pub(in crate::config) send_timeout: Option<Time>,
    /// How long a streamed answer may be silent before Easel sends a comment. Default 10s.
    pub(in crate::config) heartbeat: Option<Time>,
}

/// Memory for pictures, and a directory for them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Cache {
    /// Pictures kept for reuse. Default 512MiB.
    pub(in crate::config) memory: Option<Bytes>,
    /// Pictures held because a link to them was handed out. Default 256MiB.
    pub(in crate::config) links: Option<Bytes>,
    /// Prompts as language models rewrote them. Default 16MiB.
    pub(in crate::config) prompts: Option<Bytes>,
    /// Words besides those that Easel knows, for routes with `cache: {near: verified}`.
    pub(in crate::config) words: Words,
    /// Keeps pictures and links on disk as well, so that they survive a restart. Default: in memory only.
    pub(in crate::config) disk: Option<DiskCache>,
}

/// Words of your own, by which prompts are compared.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Words {
    /// Groups of words, or of short phrases, that mean the same picture to you.
    pub(in crate::config) synonyms: Vec<Vec<String>>,
    /// Phrases that change nothing in a picture where they stand by themselves between commas.
    pub(in crate::config) boosters: Vec<String>,
    /// Names that must be the same in both prompts, letter by letter.
    pub(in crate::config) brands: Vec<String>,
    /// Colors that must be the same in both prompts.
    pub(in crate::config) colors: Vec<String>,
}

/// Pictures and links on disk.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct DiskCache {
    /// A directory of their own, for this Easel alone. Changing it needs a restart. Required.
    pub(in crate::config) dir: Option<String>,
    /// Bytes that it holds; beyond, the least recently used go, those with a live link last. At least 16MiB. Default 10GiB.
    pub(in crate::config) size: Option<Bytes>,
}
