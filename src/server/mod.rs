//! HTTP with clients: connections, heads, bodies, the ways an answer takes, and the access log.
//!
//! HTTP is Pingora's; the loops around it are ours (`protocol`, `http1`, `http2`), because Pingora's services bound
//! neither connections nor the time that a stranger may take. `sidecar` binds the listeners and serves; who already runs
//! a Pingora server mounts [`proxy::Easel`] in it instead (`examples/embed.rs`).

pub mod access;
mod bodies;
mod body;
pub(crate) mod browser;
pub(crate) mod caller;
pub(crate) mod certificate;
pub(crate) mod connections;
mod context;
mod cors;
mod decode;
pub(crate) mod descriptors;
#[cfg(feature = "cli")]
pub mod diagnostics;
mod endpoints;
mod feedback;
mod form;
mod framing;
mod head;
mod http1;
mod http2;
mod image_request;
mod in_flight;
pub mod lines;
mod near_path;
mod outlet;
mod passthrough;
pub mod paths;
mod picture_links;
pub(crate) mod protocol;
pub mod proxy;
#[cfg(feature = "cli")]
mod repeats;
mod request_headers;
mod request_id;
pub mod respond;
pub(crate) mod service;
mod shutdown;
mod stream;
mod told;
mod wire;
