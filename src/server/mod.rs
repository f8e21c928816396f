//! HTTP with clients: connections, heads, bodies, the ways an answer takes, and the access log.
//!
//! HTTP is Pingora's; the loops around it are ours (`accept`, `http1`, `http2`), because Pingora's services bound
//! neither connections nor the time that a client may take. `sidecar` binds the listeners and serves; an embedder
//! with a Pingora server of its own mounts [`proxy::Easel`] there instead (`examples/embed.rs`).

pub(crate) mod accept;
pub mod access_log;
mod app;
pub(crate) mod authenticate;
pub(crate) mod browser_guard;
pub(crate) mod connections;
mod context;
mod cors;
mod easel_headers;
pub mod endpoint;
mod event_stream;
mod feedback;
pub(crate) mod file_descriptors;
mod http1;
mod http1_head;
mod http2;
mod image_handler;
mod in_flight;
pub(crate) mod listener_context;
#[cfg(feature = "cli")]
mod log_dedup;
mod log_line;
pub mod log_writer;
mod message_framing;
mod models;
pub mod multipart;
mod parse_request;
mod passthrough;
mod path_suggestion;
mod picture_links;
#[cfg(feature = "cli")]
pub mod process_log;
pub mod proxy;
mod rate_allowance;
mod request_body;
mod request_headers;
mod request_id;
mod request_memory;
mod request_spans;
mod request_trace;
pub mod response;
mod response_writer;
mod router;
pub(crate) mod tls_certificate;
mod wait_for_shutdown;
mod watched_stream;
