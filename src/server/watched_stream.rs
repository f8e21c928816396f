//! The byte stream of a client's connection, watched below HTTP.
//!
//! HTTP's parser does not tell three things, so they are observed here: how many bytes were read in all, which bounds
//! what is not body; whether the client takes what is written to it; and when the connection may be closed without
//! taking the last answer away with it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::gateway::Gateway;
use crate::server::connections::ConnectionActivity;

/// How often a client that takes nothing is looked at within the time it has.
const LOOKS: u32 = 4;

/// How long a connection that is closed is still read. A client that sends on while its answer is on the way would
/// otherwise be answered by a reset, which may take the answer away (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// How much of it is read: what a fast network brings on before the client has seen that it need not.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// What is gathered before it is written: a head and a short body are one packet. As much as Pingora gathers.
const GATHERED: usize = 1460;

/// Bytes that came over one connection.
#[derive(Debug, Default)]
pub struct ByteMeter {
    read: AtomicU64,
    last: AtomicU64,
}

impl ByteMeter {
    /// Bytes that HTTP has read so far.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The last eight of them.
    pub fn last(&self) -> [u8; 8] {
        self.last.load(Ordering::Relaxed).to_be_bytes()
    }

    fn count(&self, bytes: &[u8]) {
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let last = bytes.iter().rev().take(8).rev();
        let last = last.fold(self.last.load(Ordering::Relaxed), |last, byte| last << 8 | u64::from(*byte));
        self.last.store(last, Ordering::Relaxed);
    }
}

/// What a request can learn of its connection.
struct ConnectionNote {
    meter: Arc<ByteMeter>,
    presence: Arc<ConnectionActivity>,
}

fn note(session: &ServerSession) -> Option<&ConnectionNote> {
    session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
}

/// The meter of a request's connection; none in an embedder's server.
pub fn meter(session: &ServerSession) -> Option<Arc<ByteMeter>> {
    note(session).map(|note| note.meter.clone())
}

/// What the connection of a request does; none in an embedder's server.
pub fn presence(session: &ServerSession) -> Option<Arc<ConnectionActivity>> {
    note(session).map(|note| note.presence.clone())
}

/// The stream of one client's connection.
#[derive(Debug)]
pub struct WatchedStream {
    stream: BufWriter<Stream>,
    meter: Arc<ByteMeter>,
    presence: Arc<ConnectionActivity>,
    /// Pingora hands a request this note of its connection, and nothing else that a connection could carry.
    note: Option<Arc<ProxyDigest>>,
    gateway: GatewayHandle,
    /// When a client that is waited for is looked at next.
    look: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    stall: Option<Stall>,
    linger: Option<Linger>,
}

/// Knows how long a client may take nothing, which a reload may change.
struct GatewayHandle(Arc<Gateway>);

impl std::fmt::Debug for GatewayHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GatewayHandle")
    }
}

/// A client that could not be written to when last looked at.
#[derive(Debug)]
struct Stall {
    since: Instant,
    taken: u64,
}

/// A connection that is read on after its last answer.
#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl WatchedStream {
    /// Watches over `stream`, the connection that is known as `presence`.
    pub fn new(stream: Stream, gateway: Arc<Gateway>, presence: Arc<ConnectionActivity>) -> WatchedStream {
        let (meter, stream) = (Arc::<ByteMeter>::default(), BufWriter::with_capacity(GATHERED, stream));
        let head = ResponseHeader::build(200, Some(0)).ok();
        let told = ConnectionNote { meter: meter.clone(), presence: presence.clone() };
        let note = head.map(|head| Arc::new(ProxyDigest::new(Box::new(head), Some(Box::new(told)))));
        let gateway = GatewayHandle(gateway);
        WatchedStream { stream, meter, presence, note, gateway, look: None, waiting: false, stall: None, linger: None }
    }

    /// What the client's machine has confirmed, where the system tells. A socket can be written to only after a third
    /// of its buffer is free again, which takes a slow reader far longer than to read some of it.
    fn taken(&self) -> u64 {
        let info = self.stream.get_ref().get_socket_digest().and_then(|socket| socket.tcp_info());
        info.map_or(0, |info| info.tcpi_bytes_acked)
    }

    /// How long the client may take nothing.
    fn send_timeout(&self) -> Duration {
        self.gateway.0.snapshot().plan.server.limits.send_timeout
    }

    /// Hands on what a write came to; one that must wait too long is an error.
    ///
    /// Large answers wait often and shortly, so a wait sets no timer and asks the system nothing until it has lasted
    /// for a while. The client's time counts from the first look then, which makes it a quarter longer at most.
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            (self.waiting, self.stall) = (false, None);
            return written;
        }
        if !std::mem::replace(&mut self.waiting, true) {
            self.look_later();
        }
        while self.look.as_mut().is_some_and(|look| look.as_mut().poll(cx).is_ready()) {
            let (now, send_timeout, taken) = (Instant::now(), self.send_timeout(), self.taken());
            match &mut self.stall {
                Some(stall) if taken <= stall.taken && now - stall.since >= send_timeout => {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Some(stall) if taken <= stall.taken => {}
                stall => *stall = Some(Stall { since: now, taken }),
            }
            if let Some(look) = &mut self.look {
                look.as_mut().reset(now + send_timeout / LOOKS);
            }
        }
        Poll::Pending
    }

    /// Sees to it that a wait that begins now is looked at, by the timer of an earlier one if that still runs.
    fn look_later(&mut self) {
        if self.look.as_ref().is_some_and(|look| !look.is_elapsed()) {
            return;
        }
        let at = Instant::now() + self.send_timeout() / LOOKS;
        match &mut self.look {
            Some(look) => look.as_mut().reset(at),
            None => self.look = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Reads what still comes, to nowhere, until the client has closed too or has had its time.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(linger) = &mut self.linger else { return Poll::Ready(()) };
        let mut away = [0; 8 * 1024];
        while linger.bytes < LINGER_BYTES {
            let mut away = ReadBuf::new(&mut away);
            match Pin::new(&mut self.stream).poll_read(cx, &mut away) {
                Poll::Ready(Ok(())) if !away.filled().is_empty() => linger.bytes += away.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending => return linger.until.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut wire.stream).poll_read(cx, buffer);
        wire.meter.count(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.stream).poll_write(cx, bytes);
        wire.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.stream).poll_write_vectored(cx, pieces);
        wire.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let flushed = Pin::new(&mut wire.stream).poll_flush(cx);
        wire.unless_stalled(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.linger.is_none() {
            let closed = Pin::new(&mut wire.stream).poll_shutdown(cx);
            ready!(wire.unless_stalled(cx, closed))?;
            wire.presence.mark_closing();
            wire.linger = Some(Linger { until: Box::pin(sleep(LINGER)), bytes: 0 });
        }
        wire.drain(cx).map(Ok)
    }
}

#[async_trait]
impl Shutdown for WatchedStream {
    async fn shutdown(&mut self) {
        self.stream.get_mut().shutdown().await;
    }
}

impl UniqueID for WatchedStream {
    fn id(&self) -> UniqueIDType {
        self.stream.get_ref().id()
    }
}

impl Ssl for WatchedStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.get_ref().selected_alpn_proto()
    }
}

impl GetTimingDigest for WatchedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_ref().get_timing_digest()
    }
}

impl GetProxyDigest for WatchedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.note.clone()
    }
}

impl GetSocketDigest for WatchedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_ref().get_socket_digest()
    }
}

#[async_trait]
impl Peek for WatchedStream {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.stream.get_mut().try_peek(buffer).await
    }
}
