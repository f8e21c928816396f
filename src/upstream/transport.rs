//! The HTTP client for vendors: one call is sent and one reply is read, and what all replies take is counted.
//!
//! A [`Transport`] hands each exchange to an [`HttpClient`]: [`PooledClient`] where a gateway serves, a script where a
//! test drives one without a socket.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use pingora::upstreams::peer::HttpPeer;
use prometheus::IntGauge;
use tokio::time::timeout;
use url::Url;

use crate::provider::Call;
use crate::upstream::allowed_address::is_private;
pub use crate::upstream::transport::bounds::{AllowedTargets, Bounds, EventRole, Watcher};
pub use crate::upstream::transport::error::TransportError;
pub use crate::upstream::transport::http_client_trait::{HeldReply, HttpClient};
pub use crate::upstream::transport::pooled_client::PooledClient;
use crate::upstream::transport::pooled_client::server_name;
use crate::upstream::transport::reply_memory::{CallReservation, Replies};

mod body_buffer;
mod bounds;
mod content_encoding;
mod dns;
mod error;
mod happy_eyeballs;
mod http_client_trait;
mod pooled_client;
pub mod reply_memory;
mod response_body;
mod send_request;

/// Idle connections are given up before a server gives them up, so that a paid request is rarely written into a closing
/// connection. uvicorn (vLLM, LiteLLM and most home-made servers) and Node wait 5 s, nginx and most gateways 60 s or
/// more. A server that says `keep-alive: timeout=` is believed.
pub const IDLE: Duration = Duration::from_secs(4);
/// Longest wait for a connection to the service behind the proxy; it is usually next door.
const PASSTHROUGH_CONNECT: Duration = Duration::from_secs(5);

/// The HTTP client shared by all providers, and the bytes that it holds of their replies.
pub struct Transport {
    /// What is held of all replies.
    pub replies: Arc<Replies>,
    client: Box<dyn HttpClient>,
}

impl Transport {
    /// A client that holds at most `most` bytes of all replies together, which `gauge` tells.
    pub fn new(client: Box<dyn HttpClient>, most: usize, gauge: IntGauge) -> Transport {
        Transport { replies: Replies::new(most, gauge), client }
    }

    /// Sends `call` and reads the whole reply, for as long as the caller has it.
    pub async fn send(&self, call: &Call, bounds: Bounds) -> Result<HeldReply, TransportError> {
        self.client.send(call, bounds, &self.replies.reserve(), None).await
    }

    /// The same for a call that may lead to others, all on one `memory_reservation`; each event of a reply that
    /// is a stream is shown to
    /// `watcher` as soon as it is there.
    pub fn send_watched<'a>(
        &'a self,
        call: &'a Call,
        bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        self.client.send(call, bounds, memory_reservation, watcher)
    }

    /// Whether the URL's host has an address outside the open internet; no answer in time counts as none.
    pub async fn is_private(&self, url: &Url) -> bool {
        let found = timeout(PASSTHROUGH_CONNECT, self.client.addresses(url)).await;
        matches!(found, Ok(Ok(addresses)) if addresses.iter().any(|address| is_private(address.ip())))
    }

    /// The peer of a service that requests are passed through to. Its timeouts are the service's own business.
    pub async fn passthrough_peer(&self, url: &Url) -> Result<HttpPeer, TransportError> {
        let unknown = || TransportError::Unreachable("the name has no address".to_owned());
        let addresses = self.client.addresses(url).await?;
        // Pingora's proxy tries one address; what listens next door more often listens on IPv4.
        let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        let address = address.copied().ok_or_else(unknown)?;
        let mut peer = HttpPeer::new(address, url.scheme() == "https", server_name(url));
        peer.options.connection_timeout = Some(PASSTHROUGH_CONNECT);
        peer.options.total_connection_timeout = Some(PASSTHROUGH_CONNECT);
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_into_a_private_network_is_refused_before_anything_is_sent() {
        let transport = Transport::new(Box::new(PooledClient::new()), 1, IntGauge::new("replies", "x").unwrap());
        let send = async |url: &str, reach: AllowedTargets| {
            let deadline = Instant::now() + Duration::from_secs(20);
            let connect = Duration::from_secs(10);
            let bounds = Bounds { deadline, connect, silence: None, idle: IDLE, body: 1, reach };
            transport.send(&Call::get(url.parse().unwrap(), HeaderMap::new()), bounds).await.unwrap_err()
        };
        for url in
            ["http://localhost:1/a.png", "http://127.0.0.1:1/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/"]
        {
            assert_eq!(send(url, AllowedTargets::Open).await, TransportError::Private, "{url}");
        }
        assert!(matches!(send("http://127.0.0.1:1/", AllowedTargets::Anywhere).await, TransportError::Unreachable(_)));
    }
}
