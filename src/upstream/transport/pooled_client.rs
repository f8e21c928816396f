//! Exchanges over Pingora's own client connections.
//!
//! Pools connections, resolves names off the worker threads, bounds the reply's size and keeps one deadline over the
//! whole exchange. It replays a request only where that can draw nothing twice: one that never left whole, and a
//! question (GET) that a connection out of the pool did not live to answer. A connection that dies after any other
//! request was sent proves nothing about whether the provider drew and billed, so that decision belongs to whoever
//! knows the price.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, header};
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::client::{HttpSession, http_req_header_to_wire};
use pingora::upstreams::peer::{HttpPeer, Peer};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::clock;
use crate::provider::{Call, Reply};
use crate::upstream::allowed_address::is_private;
use crate::upstream::transport::bounds::{AllowedTargets, Bounds, Watcher};
use crate::upstream::transport::dns::Resolver;
use crate::upstream::transport::error::TransportError;
use crate::upstream::transport::happy_eyeballs;
use crate::upstream::transport::http_client_trait::{HeldReply, HttpClient};
use crate::upstream::transport::reply_memory::{CallReservation, ReplyReservation};
use crate::upstream::transport::response_body::{self, broken};
use crate::upstream::transport::send_request::{self, SentRequest};

/// Idle connections kept in all.
const POOL: usize = 512;
/// Longest wait for the words that go with an error: its status says enough.
const ERROR_BODY: Duration = Duration::from_secs(10);

/// The HTTP client of a gateway that serves: it keeps connections for the next exchange.
pub struct PooledClient {
    connector: TransportConnector,
    resolver: Resolver,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, Default)]
struct ExchangeState {
    /// The whole request was handed over.
    sent: bool,
    /// An answer has begun.
    heard: bool,
}

/// A connection and where it leads.
struct PeerConnection {
    stream: Stream,
    peer: HttpPeer,
    /// It was used before; the server may have given it up meanwhile.
    reused: bool,
}

impl HttpClient for PooledClient {
    fn send<'a>(
        &'a self,
        call: &'a Call,
        bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        Box::pin(async move {
            let mut state = ExchangeState::default();
            let exchange = self.exchange(call, bounds, memory_reservation, watcher, &mut state);
            match timeout_at(bounds.deadline, exchange).await {
                Ok(reply) => reply,
                Err(_) => Err(TransportError::TimedOut { sent: state.sent }),
            }
        })
    }

    fn addresses<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
        Box::pin(self.resolver.addresses(url))
    }
}

impl PooledClient {
    /// A client without a connection yet.
    pub fn new() -> PooledClient {
        let connector = TransportConnector::new(Some(ConnectorOptions::new(POOL)));
        PooledClient { connector, resolver: Resolver::default() }
    }

    /// One exchange over a pooled connection, or over a new one. A pooled one may be dead already: then a new one is
    /// made, once, where the request cannot have been taken.
    async fn exchange(
        &self,
        call: &Call,
        bounds: Bounds,
        memory_reservation: &Arc<CallReservation>,
        watcher: Option<&Watcher>,
        state: &mut ExchangeState,
    ) -> Result<HeldReply, TransportError> {
        let mut pooled = true;
        loop {
            *state = ExchangeState::default();
            // In boxes, as what waits for a whole exchange is otherwise too large for a stack.
            let connection = Box::pin(self.connect(&call.url, bounds, pooled)).await?;
            pooled = connection.reused;
            let ended =
                Box::pin(self.converse(call, connection, bounds, memory_reservation.reply(), watcher, state)).await;
            let taken = state.heard || (state.sent && call.method != Method::GET);
            match ended {
                Err(TransportError::Lost(_) | TransportError::Unreachable(_)) if pooled && !taken => pooled = false,
                ended => return ended,
            }
        }
    }

    async fn converse(
        &self,
        call: &Call,
        connection: PeerConnection,
        bounds: Bounds,
        mut held: ReplyReservation,
        watcher: Option<&Watcher>,
        state: &mut ExchangeState,
    ) -> Result<HeldReply, TransportError> {
        let PeerConnection { stream, peer, reused: _ } = connection;
        let unsent = |why: &dyn std::fmt::Display| {
            TransportError::Unreachable(format!("the connection was lost before the whole request was sent: {why}"))
        };
        let head = request_head(call)?;
        let sent = send_request::send(stream, head, call.body.clone()).await.map_err(|error| unsent(&error))?;
        let SentRequest { stream, whole, interrupted } = sent;
        state.sent = whole;
        let mut session = HttpSession::new(stream);
        session.read_timeout = bounds.silence;
        let (status, headers) = match read_head(&mut session).await {
            // Nobody has the request, so whatever this was, it drew nothing.
            Err(TransportError::Lost(why)) if !whole => return Err(unsent(&why)),
            head => head?,
        };
        state.heard = true;
        let (body, ended) = read_body(&mut session, status, &headers, bounds, &mut held, watcher).await?;
        if ended && !interrupted {
            self.keep(session, &peer, idle(&headers, bounds.idle)).await;
        }
        Ok(HeldReply { reply: Reply { status, headers, body, at: clock::now() }, held })
    }

    /// Keeps a connection for the next exchange, if its server does.
    async fn keep(&self, mut session: HttpSession, peer: &HttpPeer, idle: Duration) {
        session.respect_keepalive();
        if idle > Duration::ZERO
            && let Some(stream) = session.reuse().await
        {
            self.connector.release_stream(stream, peer.reuse_hash(), Some(idle));
        }
    }

    /// A connection to the URL's host, to whichever of its addresses answers first. `pooled`: one that was kept will
    /// do.
    async fn connect(&self, url: &Url, bounds: Bounds, pooled: bool) -> Result<PeerConnection, TransportError> {
        let until = Instant::now() + bounds.connect;
        let slow = |_| TransportError::Unreachable("the name was not resolved in time".to_owned());
        let addresses = timeout_at(until, self.resolver.addresses(url)).await.map_err(slow)??;
        // One such address among open ones is as suspicious as one alone.
        if bounds.reach == AllowedTargets::Open && addresses.iter().any(|address| is_private(address.ip())) {
            return Err(TransportError::Private);
        }
        let addresses = happy_eyeballs::in_turn(&addresses);
        if pooled {
            for address in &addresses {
                let peer = peer(*address, url, bounds.connect);
                if let Some(stream) = self.connector.reused_stream(&peer).await {
                    return Ok(PeerConnection { stream, peer, reused: true });
                }
            }
        }
        let dialled = happy_eyeballs::race(&addresses, |address| async move {
            let peer = peer(address, url, bounds.connect);
            let stream = self.connector.new_stream(&peer).await?;
            Ok::<_, Box<pingora::Error>>(PeerConnection { stream, peer, reused: false })
        });
        match timeout_at(until, dialled).await {
            Ok(Some(reached)) => reached.map_err(|error| TransportError::Unreachable(error.to_string())),
            Ok(None) => Err(TransportError::Unreachable("the name has no address".to_owned())),
            Err(_) => Err(TransportError::Unreachable("no connection in time".to_owned())),
        }
    }
}

impl Default for PooledClient {
    fn default() -> PooledClient {
        PooledClient::new()
    }
}

/// Who is connected to at this address of the URL's host.
fn peer(address: SocketAddr, url: &Url, connect: Duration) -> HttpPeer {
    let mut peer = HttpPeer::new(address, url.scheme() == "https", server_name(url));
    peer.options.connection_timeout = Some(connect);
    peer.options.total_connection_timeout = Some(connect);
    // Big bodies cost less CPU over HTTP/1.1, and a lost call costs one connection, not its neighbours.
    peer.options.set_http_version(1, 1);
    peer
}

/// The name that a certificate must be for. An address stands for itself (RFC 9525); TLS tells no server of it.
pub(super) fn server_name(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        None => String::new(),
    }
}

/// The request line and headers as they are sent, `host` and `content-length` added.
fn request_head(call: &Call) -> Result<Bytes, TransportError> {
    let bad = |error: Box<pingora::Error>| TransportError::Unreachable(format!("cannot build the request: {error}"));
    let path = match call.url.query() {
        Some(query) => format!("{}?{query}", call.url.path()),
        None => call.url.path().to_owned(),
    };
    let mut head =
        RequestHeader::build(call.method.clone(), path.as_bytes(), Some(call.headers.len() + 4)).map_err(bad)?;
    let host = match (call.url.host_str(), call.url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    };
    head.insert_header(header::HOST, host).map_err(bad)?;
    head.insert_header(header::USER_AGENT, concat!("easel/", env!("CARGO_PKG_VERSION"))).map_err(bad)?;
    // Pictures are packed already, and to say nothing would allow every coding (RFC 9110 12.5.3).
    head.insert_header(header::ACCEPT_ENCODING, "identity").map_err(bad)?;
    for (name, value) in &call.headers {
        head.insert_header(name.clone(), value.clone()).map_err(bad)?;
    }
    if !call.body.is_empty() || call.method == Method::POST {
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(call.body.len())).map_err(bad)?;
    }
    let wire = http_req_header_to_wire(&head).map(BytesMut::freeze);
    wire.ok_or_else(|| {
        TransportError::Unreachable("cannot build the request: its address cannot be written".to_owned())
    })
}

/// The status and headers of the answer, provisional ones (1xx) skipped.
async fn read_head(session: &mut HttpSession) -> Result<(u16, HeaderMap), TransportError> {
    loop {
        session.read_response().await.map_err(broken)?;
        match session.resp_header() {
            Some(head) if head.status.is_informational() => {}
            Some(head) => return Ok((head.status.as_u16(), head.headers.clone())),
            None => return Err(TransportError::Lost("no response header".to_owned())),
        }
    }
}

/// The body of the answer, and whether the connection is good for another exchange after it.
async fn read_body(
    session: &mut HttpSession,
    status: u16,
    headers: &HeaderMap,
    bounds: Bounds,
    held: &mut ReplyReservation,
    watcher: Option<&Watcher>,
) -> Result<(Bytes, bool), TransportError> {
    // The header has told of an error, or of another address, whatever becomes of the words that go with it.
    let is_told = status >= 300;
    let until = if is_told { bounds.deadline.min(Instant::now() + ERROR_BODY) } else { bounds.deadline };
    let read = timeout_at(until, response_body::reply(session, headers, bounds, held, watcher)).await;
    match read.unwrap_or(Err(TransportError::TimedOut { sent: true })) {
        Ok(body) => Ok((body.bytes, body.ended)),
        Err(_) if is_told => {
            held.clear();
            Ok((Bytes::new(), false))
        }
        Err(trouble) => Err(trouble),
    }
}

/// How long a connection may be kept: as long as may be, and less than its server says that it keeps it.
fn idle(headers: &HeaderMap, most: Duration) -> Duration {
    let told = headers.get("keep-alive").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = told.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| value.trim().parse().ok())?
    });
    let told = seconds.map(Duration::from_secs);
    most.min(told.map_or(most, |told| told - Duration::from_secs(1).min(told / 2)))
}

#[cfg(test)]
mod tests {
    use crate::upstream::transport::IDLE;

    use super::*;

    #[test]
    fn a_connection_is_given_up_before_its_server_does() {
        let kept = |told: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", HeaderValue::from_static(told));
            idle(&headers, IDLE).as_millis()
        };
        assert_eq!(idle(&HeaderMap::new(), IDLE), IDLE);
        for (told, millis) in [
            ("timeout=5, max=100", 4_000),
            ("max=100,  Timeout = 2", 1_000),
            ("timeout=1", 500),
            ("timeout=0", 0),
            ("timeout=60", 4_000),
            ("timeout=soon", 4_000),
            ("", 4_000),
        ] {
            assert_eq!(kept(told), millis, "{told}");
        }
    }

    #[test]
    fn a_certificate_is_for_the_name_or_the_bare_address() {
        for (url, name) in [("https://host:1/", "host"), ("https://127.0.0.1/", "127.0.0.1"), ("https://[::1]/", "::1")]
        {
            assert_eq!(server_name(&url.parse().unwrap()), name);
        }
    }
}
