//! Easel as it is mounted in a Pingora server: what it holds for all requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use crate::gateway::Gateway;
use crate::server::access_log::AccessLog;
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
