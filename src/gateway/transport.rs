//! One HTTP exchange with a provider, over Pingora's own client connector.
//!
//! Pools connections, resolves names off the worker threads, bounds the reply's size and keeps one deadline over the
//! whole exchange. It never replays a request: a connection that dies after the request was sent proves nothing about
//! whether the provider drew and billed, so that decision belongs to whoever knows the price.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dashmap::DashMap;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::HeaderValue;
use http::header;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use sse_stream::{Sse, SseByteStream};
use tokio::time::{Instant, timeout, timeout_at};
use url::{Host, Url};

use crate::failure::{Class, Failure};
use crate::gateway::address::is_private;
use crate::provider::{Call, Reply, is_event_stream};

/// How long a name's addresses are believed.
const DNS_TTL: Duration = Duration::from_secs(30);
/// Names remembered; link hosts are partly the provider's choice, so the table is bounded.
const NAMES: usize = 1024;
/// Addresses tried for one connection.
const ADDRESSES: usize = 3;
/// Idle connections are given up before a provider gives them up (nginx and most gateways wait 60 s or more), so that
/// a paid request is rarely written into a closing connection.
const IDLE: Duration = Duration::from_secs(15);
/// Longest wait for a connection to the service behind the proxy; it is usually next door.
const PASSTHROUGH_CONNECT: Duration = Duration::from_secs(5);
/// Idle connections kept in all.
const POOL: usize = 512;
/// The largest body buffer made at once on the word of a `content-length`.
const PREALLOCATE: usize = 8 * 1024 * 1024;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection; nothing was sent.
    Unreachable(String),
    /// The connection died after the request was sent, before the reply was whole.
    Lost(String),
    /// The deadline passed. `sent`: the provider has the request.
    TimedOut {
        /// Whether the request had been sent.
        sent: bool,
    },
    /// The reply is larger than allowed.
    TooLarge,
    /// The name leads to an address that is not of the open internet; nothing was sent.
    Private,
}

impl Trouble {
    /// What it means for the call.
    pub fn failure(self) -> Failure {
        match self {
            Trouble::Unreachable(why) => Failure::new(Class::Unreachable, why),
            Trouble::TimedOut { sent: false } => Failure::new(Class::Unreachable, "no connection in time"),
            Trouble::TimedOut { sent: true } => Failure::new(Class::TimeoutAmbiguous, "no reply in time"),
            Trouble::Lost(why) => Failure::new(Class::TimeoutAmbiguous, format!("the connection was lost: {why}")),
            Trouble::Private => Failure::new(Class::Malformed, "a picture link leads into a private network"),
            Trouble::TooLarge => Failure::new(Class::Malformed, "the reply is larger than limits.response_body"),
        }
    }
}

/// Bounds of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When to give up.
    pub deadline: Instant,
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Largest reply body in bytes.
    pub body: usize,
    /// Whether addresses outside the open internet may be connected to.
    pub reach: Reach,
}

/// Where a call may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere: the operator wrote the address.
    Anywhere,
    /// To addresses of the open internet only: a reply named it.
    Open,
}

/// Is shown the data of an event; whether that was all it was good for.
pub type Watcher<'w> = dyn Fn(&str) -> bool + Sync + 'w;

/// The HTTP client shared by all providers.
pub struct Transport {
    connector: Connector,
    names: DashMap<(String, u16), (Instant, Vec<SocketAddr>)>,
}

impl Default for Transport {
    fn default() -> Transport {
        Transport { connector: Connector::new(Some(ConnectorOptions::new(POOL))), names: DashMap::new() }
    }
}

impl Transport {
    /// Sends `call` and reads the whole reply.
    pub async fn send(&self, call: &Call, bounds: Bounds) -> Result<Reply, Trouble> {
        self.send_watched(call, bounds, None).await
    }

    /// The same; each event of a reply that is a stream is shown to `watcher` as soon as it is there.
    pub async fn send_watched(
        &self,
        call: &Call,
        bounds: Bounds,
        watcher: Option<&Watcher<'_>>,
    ) -> Result<Reply, Trouble> {
        let mut sent = false;
        match timeout_at(bounds.deadline, self.exchange(call, bounds, watcher, &mut sent)).await {
            Ok(reply) => reply,
            Err(_) => Err(Trouble::TimedOut { sent }),
        }
    }

    async fn exchange(
        &self,
        call: &Call,
        bounds: Bounds,
        watcher: Option<&Watcher<'_>>,
        sent: &mut bool,
    ) -> Result<Reply, Trouble> {
        let (mut session, peer) = self.connect(&call.url, bounds).await?;
        let lost = |error: Box<pingora::Error>| Trouble::Lost(error.to_string());
        let head = request_head(call)?;
        *sent = true;
        session.write_request_header(Box::new(head)).await.map_err(lost)?;
        if call.body.is_empty() {
            session.finish_request_body().await.map_err(lost)?;
        } else {
            session.write_request_body(call.body.clone(), true).await.map_err(lost)?;
            session.finish_request_body().await.map_err(lost)?;
        }
        session.read_response_header().await.map_err(lost)?;
        while session.response_header().is_some_and(|head| head.status.is_informational()) {
            session.read_response_header().await.map_err(lost)?;
        }
        let (status, headers) = match session.response_header() {
            Some(head) => (head.status.as_u16(), head.headers.clone()),
            None => return Err(Trouble::Lost("no response header".to_owned())),
        };
        let body = match watcher.filter(|_| is_event_stream(&headers)) {
            Some(watcher) => read_events(&mut session, bounds.body, watcher).await?,
            None => read_body(&mut session, &headers, bounds.body).await?,
        };
        self.connector.release_http_session(session, &peer, Some(IDLE)).await;
        Ok(Reply { status, headers, body })
    }

    /// A connection to the URL's host, pooled or new, trying its addresses in turn.
    async fn connect(&self, url: &Url, bounds: Bounds) -> Result<(HttpSession, HttpPeer), Trouble> {
        let wait = bounds.connect;
        let tls = url.scheme() == "https";
        let sni = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            _ => String::new(),
        };
        let mut last = "the name has no address".to_owned();
        let slow = |_| Trouble::Unreachable("the name was not resolved in time".to_owned());
        let addresses = timeout(wait, self.resolve(url)).await.map_err(slow)??;
        // One such address among open ones is as suspicious as one alone.
        if bounds.reach == Reach::Open && addresses.iter().any(|address| is_private(address.ip())) {
            return Err(Trouble::Private);
        }
        for address in addresses.into_iter().take(ADDRESSES) {
            let mut peer = HttpPeer::new(address, tls, sni.clone());
            peer.options.connection_timeout = Some(wait);
            peer.options.total_connection_timeout = Some(wait);
            peer.options.idle_timeout = Some(IDLE);
            // Big bodies cost less CPU over HTTP/1.1, and a lost call costs one connection, not its neighbours.
            peer.options.set_http_version(1, 1);
            match self.connector.get_http_session(&peer).await {
                Ok((session, _reused)) => return Ok((session, peer)),
                Err(error) => last = error.to_string(),
            }
        }
        Err(Trouble::Unreachable(last))
    }

    /// Whether the URL's host has an address outside the open internet; no answer in time counts as none.
    pub async fn is_private(&self, url: &Url) -> bool {
        let found = timeout(PASSTHROUGH_CONNECT, self.resolve(url)).await;
        matches!(found, Ok(Ok(addresses)) if addresses.iter().any(|address| is_private(address.ip())))
    }

    /// The peer of a service that requests are passed through to. Its timeouts are the service's own business.
    pub async fn passthrough_peer(&self, url: &Url) -> Result<HttpPeer, Trouble> {
        let unknown = || Trouble::Unreachable("the name has no address".to_owned());
        let addresses = self.resolve(url).await?;
        // Pingora's proxy tries one address; what listens next door more often listens on IPv4.
        let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        let address = address.copied().ok_or_else(unknown)?;
        let mut peer = HttpPeer::new(address, url.scheme() == "https", url.host_str().unwrap_or_default().to_owned());
        peer.options.connection_timeout = Some(PASSTHROUGH_CONNECT);
        peer.options.total_connection_timeout = Some(PASSTHROUGH_CONNECT);
        Ok(peer)
    }

    async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, Trouble> {
        let port = url.port_or_known_default().unwrap_or(443);
        let name = match url.host() {
            Some(Host::Ipv4(ip)) => return Ok(vec![SocketAddr::new(IpAddr::V4(ip), port)]),
            Some(Host::Ipv6(ip)) => return Ok(vec![SocketAddr::new(IpAddr::V6(ip), port)]),
            Some(Host::Domain(name)) => name.to_owned(),
            None => return Err(Trouble::Unreachable("the address names no host".to_owned())),
        };
        let key = (name, port);
        if let Some(known) = self.names.get(&key)
            && known.0 > Instant::now()
        {
            return Ok(known.1.clone());
        }
        let found = tokio::net::lookup_host((key.0.as_str(), port))
            .await
            .map_err(|error| Trouble::Unreachable(format!("{}: {error}", key.0)))?;
        let found: Vec<SocketAddr> = found.collect();
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(key, (Instant::now() + DNS_TTL, found.clone()));
        Ok(found)
    }
}

/// The request line and headers, `host` and `content-length` added.
fn request_head(call: &Call) -> Result<RequestHeader, Trouble> {
    let bad = |error: Box<pingora::Error>| Trouble::Unreachable(format!("cannot build the request: {error}"));
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
    for (name, value) in &call.headers {
        head.insert_header(name.clone(), value.clone()).map_err(bad)?;
    }
    if !call.body.is_empty() || call.method == http::Method::POST {
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(call.body.len())).map_err(bad)?;
    }
    Ok(head)
}

/// The whole body in one buffer, each byte copied once.
async fn read_body(session: &mut HttpSession, headers: &http::HeaderMap, limit: usize) -> Result<Bytes, Trouble> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Trouble::TooLarge);
    }
    let mut whole = BytesMut::with_capacity(declared.unwrap_or(0).min(PREALLOCATE));
    while read_piece(session, &mut whole).await.map_err(|error| Trouble::Lost(error.to_string()))? {
        if whole.len() > limit {
            return Err(Trouble::TooLarge);
        }
    }
    if declared.is_some_and(|declared| declared != whole.len()) && session.as_http1().is_some() {
        return Err(Trouble::Lost("the reply ended before its length".to_owned()));
    }
    Ok(whole.freeze())
}

/// The data of a stream's events, one after the other, without those that were good only for the watcher.
async fn read_events(session: &mut HttpSession, limit: usize, watcher: &Watcher<'_>) -> Result<Bytes, Trouble> {
    let mut events = pin!(SseByteStream::new(pieces(session, limit)));
    let mut whole = BytesMut::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Sse { data: Some(data), .. }) if !watcher(&data) => {
                whole.extend_from_slice(data.as_bytes());
                whole.extend_from_slice(b"\n");
            }
            Ok(_) => {}
            Err(sse_stream::Error::Body(error)) if is_too_large(&*error) => return Err(Trouble::TooLarge),
            Err(error) => return Err(Trouble::Lost(error.to_string())),
        }
    }
    Ok(whole.freeze())
}

/// The body in pieces. Boxed, because the compiler cannot see through it that it may move to another thread.
fn pieces(session: &mut HttpSession, limit: usize) -> BoxStream<'_, std::io::Result<Bytes>> {
    Box::pin(stream::try_unfold((session, limit), next_piece))
}

/// A body being read, and how much of it may still come.
type Pieces<'a> = (&'a mut HttpSession, usize);

/// The next piece of the body, as long as all of them are within the limit.
async fn next_piece<'a>((session, left): Pieces<'a>) -> std::io::Result<Option<(Bytes, Pieces<'a>)>> {
    let mut piece = BytesMut::new();
    let more = read_piece(session, &mut piece).await.map_err(std::io::Error::other)?;
    match left.checked_sub(piece.len()) {
        Some(left) => Ok(more.then(|| (piece.freeze(), (session, left)))),
        None => Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge)),
    }
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::FileTooLarge)
}

/// Adds the next piece of the body to `whole`; `false` at its end.
async fn read_piece(session: &mut HttpSession, whole: &mut BytesMut) -> pingora::Result<bool> {
    let piece = match session {
        // Pingora's own method for all versions would copy the piece out of its buffer first.
        HttpSession::H1(session) => session.read_body_ref().await?,
        other => {
            let piece = other.read_response_body().await?;
            whole.extend_from_slice(piece.as_deref().unwrap_or_default());
            return Ok(piece.is_some());
        }
    };
    whole.extend_from_slice(piece.unwrap_or_default());
    Ok(piece.is_some())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_into_a_private_network_is_refused_before_anything_is_sent() {
        let transport = Transport::default();
        let send = async |url: &str, reach: Reach| {
            let deadline = Instant::now() + Duration::from_secs(20);
            let bounds = Bounds { deadline, connect: Duration::from_secs(10), body: 1, reach };
            transport.send(&Call::get(url.parse().unwrap(), HeaderMap::new()), bounds).await.unwrap_err()
        };
        for url in
            ["http://localhost:1/a.png", "http://127.0.0.1:1/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/"]
        {
            assert_eq!(send(url, Reach::Open).await, Trouble::Private, "{url}");
        }
        assert!(matches!(send("http://127.0.0.1:1/", Reach::Anywhere).await, Trouble::Unreachable(_)));
    }
}
