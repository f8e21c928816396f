//! What an HTTP client does for a gateway, however it does it.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use crate::provider::{Call, Reply};
use crate::upstream::transport::bounds::{Bounds, Watcher};
use crate::upstream::transport::error::TransportError;
use crate::upstream::transport::reply_memory::{CallReservation, ReplyReservation};

/// A reply, and its share of all that are held.
#[derive(Debug)]
pub struct HeldReply {
    /// The reply.
    pub reply: Reply,
    /// Counts its body.
    pub held: ReplyReservation,
}

/// Who carries out HTTP exchanges: connections to vendors, or what a test puts in their place.
pub trait HttpClient: Send + Sync {
    /// Sends `call` and reads the whole reply, within `bounds`. The reply's bytes are counted on
    /// `memory_reservation`; each event of a
    /// reply that is a stream is shown to `watcher` as soon as it is there.
    fn send<'a>(
        &'a self,
        call: &'a Call,
        bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>>;

    /// The addresses of the URL's host.
    fn addresses<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>>;
}
