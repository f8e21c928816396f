//! Accepts a listener's connections, and serves each with the HTTP version that its client speaks.
//!
//! Pingora tells HTTP/1.1 and HTTP/2 apart by waiting for 24 bytes, which a short HTTP/1.0 health check never sends.
//! Four bytes are enough: no HTTP/1 request begins like HTTP/2's preface. Pingora's own loop gives a TLS handshake a
//! minute, knows no bound on connections, and none on how long they say nothing; that is why there is this one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::protocols::l4::listener::Listener;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::{ALPN, GetSocketDigest, Stream};
use pingora::server::ShutdownWatch;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::server::connections::{CloseReason, ConnectionActivity, ConnectionGuard};
use crate::server::listener_context::ListenerContext;
use crate::server::wait_for_shutdown::stopping;
use crate::server::watched_stream::WatchedStream;
use crate::server::{http1, http2, response};

/// How a connection that is to become HTTP/2 begins (RFC 9113 section 3.4), as far as it differs from any HTTP/1.
const PREFACE: &[u8; 4] = b"PRI ";

/// How long no connection is accepted when the system has no file descriptor left.
const NO_FILES: Duration = Duration::from_millis(50);

/// Connections that are told at once that there is no room. More are closed without a word.
const TOLD: usize = 64;

impl<A: HttpServerApp + Send + Sync + 'static> ListenerContext<A> {
    /// Takes connections in until `closing` says so, and serves them until the server stops.
    pub async fn listen(self, listener: TcpListener, closing: ShutdownWatch, shutdown: ShutdownWatch) {
        let (service, listener, told) = (Arc::new(self), Listener::from(listener), Arc::new(Semaphore::new(TOLD)));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopping(&closing) => break,
            };
            match accepted {
                Ok(socket) => service.take_in(socket, &told, &shutdown),
                Err(error) => service.cannot_accept(&error).await,
            }
        }
        service.app.http_cleanup().await;
    }

    fn take_in(self: &Arc<Self>, mut socket: Socket, told: &Arc<Semaphore>, shutdown: &ShutdownWatch) {
        let digest = socket.get_socket_digest();
        let Some(SocketAddr::Inet(peer)) = digest.as_ref().and_then(|digest| digest.peer_addr()).cloned() else {
            return;
        };
        if let Err(error) = socket.set_nodelay() {
            log::debug!("a connection ended before it was taken in: {error}");
            return;
        }
        let service = self.clone();
        match self.connections.admit(peer.ip(), (self.most)(&self.limits())) {
            Some(connection) => {
                let shutdown = shutdown.clone();
                tokio::spawn(async move { service.serve(socket, connection, &shutdown).await });
            }
            // In TLS there is no word before the handshake, and no handshake for whom there is no room.
            None if self.tls.is_none() => {
                let Ok(turn) = told.clone().try_acquire_owned() else { return };
                let presence = Arc::new(ConnectionActivity::new(peer.ip()));
                tokio::spawn(async move {
                    let stream = Box::new(WatchedStream::new(Box::new(socket), service.gateway.clone(), presence));
                    response::refuse(stream, &full()).await;
                    drop(turn);
                });
            }
            None => {}
        }
    }

    /// When the system has no file descriptor left, idle connections make room, as they do at a bound of our own.
    async fn cannot_accept(&self, error: &io::Error) {
        log::error!("a connection was not taken in: {error}");
        self.connections.make_room_below(self.connections.open());
        sleep(NO_FILES).await;
    }

    /// Serves one connection to its end.
    async fn serve(&self, socket: Socket, connection: ConnectionGuard, shutdown: &ShutdownWatch) {
        let first_by = Instant::now() + self.limits().header_timeout;
        let opened = tokio::select! {
            biased;
            opened = timeout_at(first_by, self.open(socket, &connection)) => opened,
            () = connection.closing_requested() => return,
            () = stopping(shutdown) => return,
        };
        match opened {
            // Boxed, like all that most connections are never in: a connection takes as much as the largest of them.
            Ok(Ok((stream, true))) => Box::pin(http2::serve(self, stream, &connection, first_by, shutdown)).await,
            Ok(Ok((stream, false))) => http1::serve(self, stream, &connection, first_by, shutdown).await,
            Ok(Err(Some(closed))) => self.connections.count(closed),
            Ok(Err(None)) => {}
            Err(_) => self.connections.count(CloseReason::HeaderTimeout),
        }
    }

    /// What a client speaks, and whether that is HTTP/2. An error is why it is closed, where that is Easel's doing.
    async fn open(&self, socket: Socket, connection: &ConnectionGuard) -> Result<(Stream, bool), Option<CloseReason>> {
        let secured: Stream = match &self.tls {
            None => Box::new(socket),
            Some(tls) => Box::new(Box::pin(tls.tls_handshake(socket)).await.map_err(|error| {
                log::debug!("no TLS with a client: {error}");
                Some(CloseReason::Handshake)
            })?),
        };
        let mut stream: Stream =
            Box::new(WatchedStream::new(secured, self.gateway.clone(), connection.presence().clone()));
        let http2 = match self.tls {
            // The handshake has settled which of the two it is.
            Some(_) => matches!(stream.selected_alpn_proto(), Some(ALPN::H2)),
            None if self.http2 => {
                let mut first = [0; PREFACE.len()];
                stream.try_peek(&mut first).await.map_err(|_| None)? && &first == PREFACE
            }
            None => false,
        };
        Ok((stream, http2))
    }
}

fn full() -> Error {
    let message = "This server has as many connections as it may, and all of them work.";
    Error::new(ErrorKind::Unavailable, message)
        .with_code(CloseReason::Full.as_str())
        .with_retry_after(Duration::from_secs(1))
}
