//! What all connections of a listener share: the application that answers there, its protocols, and its limits.

use std::sync::Arc;

use pingora::listeners::tls::Acceptor;

use crate::config::plan::Limits;
use crate::gateway::Gateway;
use crate::server::connections::Connections;

/// What all connections of a listener share.
pub struct ListenerContext<A> {
    /// The application that answers.
    pub app: Arc<A>,
    /// Whose limits count.
    pub gateway: Arc<Gateway>,
    /// The connections that are open.
    pub connections: Arc<Connections>,
    /// How many there may be.
    pub most: Box<dyn Fn(&Limits) -> usize + Send + Sync>,
    /// How TLS is spoken; none is plain.
    pub tls: Option<Acceptor>,
    /// Whether HTTP/2 is spoken besides HTTP/1.1.
    pub http2: bool,
}

impl<A> ListenerContext<A> {
    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.gateway.snapshot().plan.server.limits.clone()
    }
}
