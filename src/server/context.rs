//! What the proxy holds for all requests, and what it holds for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use http::{HeaderName, HeaderValue};

use crate::gateway::Gateway;
use crate::gateway::outcome::Outcome;
use crate::gateway::snapshot::Snapshot;
use crate::server::access_log::AccessLog;
use crate::server::connections::BodyReadGuard;
use crate::server::in_flight::InFlightGuard;
use crate::server::request_body::ReceivedBody;
use crate::server::request_id;
use crate::server::request_memory::RequestMemory;

/// Easel, to be mounted in a Pingora server as any other [`ProxyHttp`](pingora::proxy::ProxyHttp).
pub struct Easel {
    pub(super) gateway: Arc<Gateway>,
    pub(super) log: AccessLog,
    /// How clients reach picture files where the config names no other address.
    pub(super) public_url: String,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) in_flight: Arc<AtomicUsize>,
    /// The image requests among those in flight.
    pub(super) drawing: Arc<AtomicUsize>,
    pub(super) bodies: Arc<RequestMemory>,
}

impl Easel {
    /// Serves `gateway`. `public_url` is how clients reach picture files where the config names none.
    pub fn new(gateway: Arc<Gateway>, log: AccessLog, public_url: String) -> Easel {
        let bodies = RequestMemory::new(gateway.shared.metrics.request_body_bytes.clone());
        let (draining, in_flight, drawing) = (Arc::default(), Arc::default(), Arc::default());
        Easel { gateway, log, public_url, draining, in_flight, drawing, bodies }
    }

    /// Set to ask clients to leave after their present request.
    pub fn draining(&self) -> Arc<AtomicBool> {
        self.draining.clone()
    }

    /// Requests being served, passed-through ones included.
    pub fn in_flight(&self) -> Arc<AtomicUsize> {
        self.in_flight.clone()
    }
}

/// One request's own state.
pub struct Ctx {
    pub(super) began: Instant,
    pub(super) id: String,
    /// The config that the request began with.
    pub(super) snapshot: Option<Arc<Snapshot>>,
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
            outcome: None,
            counted: None,
            upload: None,
            reading: None,
            sent: 0,
            told,
        }
    }
}
