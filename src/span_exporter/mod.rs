//! Spans on their way to a collector: a bounded queue that nobody waits for, and a task that sends what is in it, OTLP over
//! HTTP with protobuf.
//!
//! The types and the wire format are OpenTelemetry's own crates. Their exporter is not used: it would read addresses, headers
//! and keys from the environment besides the config, and it brings an HTTP client of its own. Each trace goes where the config
//! says that served its request, so a reload loses nothing and needs no other task.

mod exporter;
mod otlp_request;
mod span_queue;

pub use crate::span_exporter::exporter::start;
pub use crate::span_exporter::span_queue::SpanQueue;
