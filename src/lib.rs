//! Easel is a reverse proxy for image generation. An application keeps its OpenAI client and changes one base URL;
//! Easel, running beside it, decides by one YAML file who draws each picture, at what price, and what is reused.
//!
//! README.md and docs/ are for who runs Easel. This page is for who reads or embeds it; docs/about/layout.md has a line
//! for each room.
//!
//! # Floors
//!
//! The modules below are floors of a house, and arrows between them point down only. A floor may use any floor below it.
//!
//! ```text
//! 5  main.rs cli/ internals
//!                      the command line, and what Easel's tests and benches use besides the API
//! 4  server/ admin/ sidecar upgrade/
//!                      HTTP with clients, HTTP with operators, and both together as the command line runs them
//! 3  gateway/          the only floor that waits: the life of a request, single flight, attempts, reload
//!    upstream/ store/ disk_cache/ alert_manager span_exporter/ clock
//!                      the HTTP client for vendors, the ledger and pictures on disk, messages to webhooks, spans to a
//!                      collector, the wall clock
//!    sandbox/          beside it: pretend vendors for trying and testing; shares no code with provider/
//! 2  provider/         each image API as two pure functions
//! 1  dispatch/ routing/ cache/ ledger/ idempotency/ alert_evaluator breaker concurrency_limit equivalences
//!    hedge_budget metrics quality/ rate_limit retry_budget service_times
//!                      decisions and records; the time comes in as an argument
//! 0  error failure money spend_window calendar secret redact_vendor_message rsa_key signed_links image edit_mask request
//!    canonical capabilities pricing prompt_match/ similarity calibration/ config/
//!                      words that everyone shares
//! ```
//!
//! Floors 0 to 2 are synchronous: no socket, no file, no clock, no spawned task. `config` never imports `provider`,
//! it is given the names. Providers never see routing, caches or the ledger; policies never wait. `gateway` hands each
//! the small facts it needs and holds every guard while it does.
//!
//! # Follow one request in five files
//!
//! 1. `server/image_handler.rs`: read its body, bounded, and let it in. `server/proxy.rs`, the phases of every request,
//!    sends image requests there.
//! 2. `gateway/mod.rs`: [`Gateway::serve`], the life of a request on one screen: route, cache,
//!    join the same request in flight or lead it.
//! 3. `dispatch/mod.rs`: which offer is asked next, why not the others, what is still missing; a state machine that
//!    `gateway/dispatch_loop.rs` drives.
//! 4. `gateway/attempt.rs`: one call with one offer: send, poll, download, settle what it cost.
//! 5. `provider/<vendor>/mod.rs`: `Adapter::ask` turns the request into a vendor's words,
//!    `Adapter::read` turns the reply into pictures or into what to do next.
//!
//! The answer leaves through `server/response.rs`, the one place that speaks HTTP back. Each step of `serve` is one call
//! into one file of floor 1, to be opened only by who cares about that step.
//!
//! # Embedding
//!
//! The features `cli` (the `easel` command) and `sandbox` (the pretend vendors) are on by default; an embedder needs neither.
//!
//! [`sidecar::start`] runs Easel as the command line does. [`Easel`] is a Pingora
//! [`ProxyHttp`](pingora::proxy::ProxyHttp) to be mounted in a server of your own: `examples/embed.rs` shows all of it.
//! A [`Gateway`] answers requests without any HTTP server:
//!
//! ```
//! use easel::reload::{self, ProcessEnv};
//! use easel::{Gateway, GatewayRequest, ImageRequest};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let config = "
//! providers:
//!   home: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {flux: {price: 0.002}}}
//! routes:
//!   - {name: all, offers: [home/flux], price: {max_usd_per_image: 0.001}}
//! ";
//! let gateway = Gateway::new(reload::check("easel.yaml", config, &ProcessEnv)?)?;
//! let request = ImageRequest::from_json(br#"{"prompt": "a red fox"}"#)?;
//! let request = GatewayRequest::new(request);
//! let outcome = gateway.serve(&gateway.snapshot(), request, |_header| None).await;
//! assert_eq!(outcome.as_str(), "price_limit");
//! # Ok(())
//! # })
//! # }
//! ```

// Floor 0: words that everyone shares.
mod alert_manager;
mod calendar;
mod calibration;
mod canonical;
mod capabilities;
mod concurrency_limit;
mod config;
mod edit_mask;
mod error;
mod failure;
mod image;
mod money;
mod pricing;
mod prompt_match;
mod redact_vendor_message;
mod request;
mod rsa_key;
mod secret;
mod signed_links;
mod similarity;
mod spend_window;

// Floor 1: decisions and records; the time comes in as an argument.
mod alert_evaluator;
mod breaker;
mod cache;
mod dispatch;
mod equivalences;
mod hedge_budget;
mod idempotency;
mod ledger;
mod metrics;
mod quality;
mod rate_limit;
mod retry_budget;
mod routing;
mod service_times;

// Floor 2: each image API as two pure functions.
mod provider;

// Floor 3: what waits, and the pretend vendors beside it.
mod clock;
mod disk_cache;
mod gateway;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod span_exporter;
mod store;
mod upstream;

// Floor 4: HTTP with clients and operators.
mod admin;
mod server;
pub mod sidecar;
#[cfg(feature = "cli")]
mod upgrade;

// Floor 5: the command line, and what tests and benches use besides the API.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod internals;

pub use crate::admin::handler::Admin;
pub use crate::admin::readiness::Readiness;
pub use crate::cache::GeneratedPicture;
pub use crate::config::plan::{Plan, Priority};
pub use crate::error::Error;
pub use crate::gateway::outcome::Outcome;
pub use crate::gateway::snapshot::Snapshot;
pub use crate::gateway::{CacheWish, Caller, Gateway, GatewayRequest, ReplaceError, StartError};
pub use crate::image::Picture;
pub use crate::money::Usd;
pub use crate::request::ImageRequest;
pub use crate::server::access_log::AccessLog;
pub use crate::server::proxy::Easel;

/// A config, from its text or its file to the plan that a [`Gateway`] serves.
pub mod reload {
    pub use crate::config::EnvAndFiles;
    pub use crate::gateway::config_loader::{LoadError, ProcessEnv, check, check_at, load};
    pub use crate::gateway::config_watcher::{POLL_INTERVAL, Watch};
    pub use crate::gateway::ignored_proxy::ignored_proxy;
}

/// What [`Gateway::with_parts`] takes in place of the system's clock and connections.
pub mod parts {
    pub use crate::calendar::Moment;
    pub use crate::clock::{Clock, ManualClock};
    pub use crate::provider::{Call, Reply};
    pub use crate::upstream::transport::reply_memory::{CallReservation, ReplyReservation};
    pub use crate::upstream::transport::{
        AllowedTargets, Bounds, EventRole, HeldReply, HttpClient, TransportError, Watcher,
    };
}

/// What has to happen in a [`Gateway`] while nobody asks it anything: alerts and monthly fees.
pub mod background {
    pub use crate::gateway::background::{BackgroundTasks, start};
}
