//! What the proxy holds for each request: Pingora's `CTX`.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue};

use crate::gateway::outcome::Outcome;
use crate::gateway::snapshot::Snapshot;
use crate::server::connections::BodyReadGuard;
use crate::server::in_flight::InFlightGuard;
use crate::server::log_line::Asked;
use crate::server::request_body::ReceivedBody;
use crate::server::request_id;
use crate::server::request_trace::RequestTrace;

/// One request's own state.
pub struct Ctx {
    pub(super) began: Instant,
    pub(super) id: String,
    /// The config that the request began with.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// Its place in a trace, where the config has `server.tracing`.
    pub(super) trace: Option<Box<RequestTrace>>,
    /// What an image request asked for, as far as it could be read.
    pub(super) asked: Option<Asked>,
    /// What became of an image request.
    pub(super) outcome: Option<Outcome>,
    /// Its place among the requests in flight.
    pub(super) counted: Option<InFlightGuard>,
    /// A body that is passed through.
    pub(super) upload: Option<ReceivedBody>,
    /// It is still on its way.
    pub(super) reading: Option<BodyReadGuard>,
    /// Bytes that were sent by a way of our own.
    pub(super) sent: usize,
    /// Headers of every answer: the request's id, and what a browser needs.
    pub(super) told: Vec<(HeaderName, HeaderValue)>,
}

impl Ctx {
    /// The state of a request that begins now.
    pub(super) fn new() -> Ctx {
        let id = request_id::new();
        let told = request_id::headers(&id).into();
        Ctx {
            began: Instant::now(),
            id,
            snapshot: None,
            trace: None,
            asked: None,
            outcome: None,
            counted: None,
            upload: None,
            reading: None,
            sent: 0,
            told,
        }
    }
}
