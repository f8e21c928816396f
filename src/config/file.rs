//! The YAML exactly as written.
//!
//! Every field may be absent and every amount, time and size is still text: what they mean is `check`'s business. The
//! doc sentence of a field is its description in the JSON Schema, so it is written for whoever edits the YAML. Nothing
//! here is `Debug`, because it holds keys in the clear.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod alert;
mod dialect;
mod money;
mod price;
mod provider;
mod route;
mod scalar;

pub(super) use alert::{Alert, Dimension};
pub(super) use dialect::{CostUnit, Dialect, EditAs, Poll, SizeFormat};
pub(super) use money::{Billing, Budget, Budgets, Charged, Charges, Client, Clients, Keys, Per, Rate, VolumeTier};
pub(super) use price::{Addons, Estimate, PerSecond, Price, PriceMapping, PriceRow, Round, TokensPerMillion};
pub(super) use provider::{
    Breaker, Capabilities, Concurrency, Edit, EditBounds, Entra, EntraApplication, Model, Provider, SizeRules,
    SizeWord, Sizes, Via,
};
pub(super) use route::{
    Attempts, Deadline, DeadlineThen, Defaults, Enrich, Limit, LimitedOffer, Match, Offer, OnDeadline, Prompt,
    Refusals, Route, RouteCache, RouteCacheOn, SizeTolerance,
};
pub(super) use scalar::{
    Bytes, Delivery, Dollars, FileFormat, Hidden, Percent, Pixels, Quality, Ratio, RowSize, Time, When, ZoneName,
};

/// One Easel: where it listens, whom it may ask, and which request goes where.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// Addresses and limits of Easel itself.
    pub(super) server: Server,
    /// Memory for pictures.
    pub(super) cache: Cache,
    /// Who may ask, each with a key of its own. Default: everybody on this machine, as one client named
    /// `default`; `anyone` serves whoever reaches `server.listen`.
    pub(super) clients: Clients,
    /// Who can draw: one entry for each account at a vendor, under a name of your choice.
    pub(super) providers: BTreeMap<String, Provider>,
    /// Which request goes to whom. The first route that matches is taken.
    pub(super) routes: Vec<Route>,
    /// What Easel watches, and whom it tells.
    pub(super) alerts: Vec<Alert>,
}

/// Addresses and limits of Easel itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    /// Where clients connect, host:port. Default 127.0.0.1:8080.
    pub(super) listen: Option<String>,
    /// Where metrics and health are served, host:port. Default 127.0.0.1:9901.
    pub(super) admin: Option<String>,
    /// Opens `/admin/` to whoever sends it as `authorization: Bearer TOKEN`. Without one, `/admin/` is answered only
    /// where `admin` is a loopback address.
    pub(super) admin_token: Option<Hidden>,
    /// Serve clients over TLS.
    pub(super) tls: Option<Tls>,
    /// How clients reach picture files when they ask for links. Default: the address Easel listens on.
    pub(super) public_url: Option<String>,
    /// Where every request goes that is not about images: scheme, host and port. Default: nowhere (404).
    pub(super) passthrough: Option<String>,
    /// Further names of this server, besides those of this machine and of `public_url`. Without `clients`, Easel
    /// answers web pages under its own names alone. Default: none.
    pub(super) hosts: Vec<String>,
    /// Web pages of other origins that may ask. Default: none.
    pub(super) cors: Cors,
    /// Worker threads. Default: one a core.
    pub(super) threads: Option<u64>,
    /// How long a stopping server waits for work in flight. Default 30s.
    pub(super) drain: Option<Time>,
    /// Signs picture links; give every Easel of one deployment the same. Default: random, links end with the process.
    pub(super) link_secret: Option<Hidden>,
    /// How long a picture link is good. Default 1h.
    pub(super) link_ttl: Option<Time>,
    /// Size and count limits.
    pub(super) limits: Limits,
    /// A directory of Easel's own, for the ledger. Default: none; Easel forgets at the end what was paid.
    pub(super) state_dir: Option<String>,
    /// How the ledger is kept.
    pub(super) ledger: Ledger,
}

/// Web pages of other origins that may ask.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cors {
    /// Their origins, like https://ui.example.com: scheme, host, and port if any.
    pub(super) origins: Vec<String>,
}

/// How the ledger is kept.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ledger {
    /// How long Easel keeps single calls; it keeps their sums for ever. Default 400d.
    pub(super) retention: Option<Time>,
    /// What Easel does when it cannot write the ledger: refuse (pay for nothing new) or continue (and write it later).
    /// Default refuse.
    pub(super) on_error: Option<OnLedgerError>,
}

/// What happens when the ledger cannot be written.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnLedgerError {
    /// Nothing new is paid for.
    Refuse,
    /// Work goes on and is written down later.
    Continue,
}

/// Certificate and key, PEM files.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    /// The certificate chain's file.
    pub(super) cert: Option<String>,
    /// The private key's file.
    pub(super) key: Option<String>,
}

/// Size and count limits.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Largest head of a request. Default 32KiB.
    pub(super) request_header: Option<Bytes>,
    /// Largest request body. Default 50MiB.
    pub(super) request_body: Option<Bytes>,
    /// Largest body of a generation, which has no pictures in it. Default 1MiB.
    pub(super) generation_body: Option<Bytes>,
    /// All request bodies that Easel holds at once; it answers one more with 429. Default 128MiB.
    pub(super) request_bodies: Option<Bytes>,
    /// Pixels of the largest mask that is read. Default 33177600 (7680x4320).
    pub(super) mask_pixels: Option<u64>,
    /// Largest provider reply or downloaded picture. Default 64MiB.
    pub(super) response_body: Option<Bytes>,
    /// All replies that Easel holds at once; one more waits for its turn. Default 64MiB.
    pub(super) response_bodies: Option<Bytes>,
    /// Image requests being served at once; one more is answered 429. Default 1024.
    pub(super) in_flight: Option<u64>,
    /// Clients' connections that are open at once; an idle one makes room for a newcomer. Default 4096, or as many as
    /// the system's limit on open files allows.
    pub(super) connections: Option<u64>,
    /// How long the head of a request may take from its first byte, and on a new connection from its beginning, its TLS
    /// handshake included. Default 10s.
    pub(super) header_timeout: Option<Time>,
    /// How long Easel keeps a connection that carries no request. Default 60s.
    pub(super) keepalive_timeout: Option<Time>,
    /// How long a client may take to send its request body, or the next 16 KiB of it. Default 30s.
    pub(super) body_timeout: Option<Time>,
    /// How long a client may take nothing of its answer before Easel gives it up. Default 30s.
    pub(super) send_timeout: Option<Time>,
    /// How long a streamed answer may be silent before Easel sends a comment. Default 10s.
    pub(super) heartbeat: Option<Time>,
}

/// Memory for pictures.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    /// Pictures kept for reuse. Default 512MiB.
    pub(super) memory: Option<Bytes>,
    /// Pictures held because a link to them was handed out. Default 256MiB.
    pub(super) links: Option<Bytes>,
    /// Prompts as language models rewrote them. Default 16MiB.
    pub(super) prompts: Option<Bytes>,
}
