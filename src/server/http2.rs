//! A connection of HTTP/2: its streams, a bounded number of them at work, and a bounded wait for the next.
//!
//! Only a stream that begins counts as a sign of life: pings, settings and half a head do not. A connection that is
//! closed for its silence is told so by GOAWAY first, and what its client had sent by then is still answered.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, Stream};
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::server::connections::{CloseReason, ConnectionGuard, ServingGuard};
use crate::server::listener_context::ListenerContext;
use crate::server::wait_for_shutdown::stopping;

type Connection = h2::server::Connection<Stream, Bytes>;

/// Requests of one connection that are served at once. A client may have as many streams open; one that it resets is
/// not open any more, but its request may still be served for a moment.
const STREAMS: usize = 100;

/// Requests that no proxy may pass on, after which a connection is closed. As many as Pingora allows.
const MALFORMED: usize = 32;

/// How long a connection without requests that was told GOAWAY may stay.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the last words to a connection that makes room for another may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Serves the connection to its end. Its first request must be there by `first_by`.
pub async fn serve<A>(
    service: &ListenerContext<A>,
    stream: Stream,
    guard: &ConnectionGuard,
    first_by: Instant,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    });
    let open = handshake(stream, Some(options(service.limits().request_header)));
    let connection = tokio::select! {
        open = timeout_at(first_by, open) => open,
        () = guard.closing_requested() => return,
        () = stopping(shutdown) => return,
    };
    let closed = match connection {
        Ok(Ok(connection)) => {
            let ended = Arc::default();
            let serve = Serve { service, guard, shutdown, connection, digest, ended, malformed: 0, leaving: None };
            serve.until_closed(first_by).await
        }
        Ok(Err(error)) => {
            log::debug!("no HTTP/2 after its preface: {error}");
            Some(CloseReason::Malformed)
        }
        Err(_) => Some(CloseReason::HeaderTimeout),
    };
    if let Some(closed) = closed {
        service.connections.count(closed);
    }
}

fn options(most: usize) -> H2Options {
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(most).unwrap_or(u32::MAX));
    options.max_concurrent_streams(STREAMS as u32);
    options
}

/// One connection as it is served.
struct Serve<'a, A> {
    service: &'a ListenerContext<A>,
    guard: &'a ConnectionGuard,
    shutdown: &'a ShutdownWatch,
    connection: Connection,
    digest: Arc<Digest>,
    /// Told whenever a request is not served any more.
    ended: Arc<Notify>,
    malformed: usize,
    /// Since when the client is told to leave.
    leaving: Option<Instant>,
}

impl<A: HttpServerApp + Send + Sync + 'static> Serve<'_, A> {
    /// Serves until the end; why Easel made it, where it did.
    async fn until_closed(mut self, first_by: Instant) -> Option<CloseReason> {
        let (opened, mut served, mut closed) = (Instant::now(), false, None);
        loop {
            let (quiet, keepalive_timeout) = (self.guard.quiet_since(), self.service.limits().keepalive_timeout);
            let waits_until = match (self.leaving, quiet) {
                (Some(since), quiet) => quiet.map_or(since, |quiet| quiet.max(since)) + GOODBYE,
                (None, Some(since)) if served => since + keepalive_timeout,
                (None, _) => first_by.min(opened + keepalive_timeout),
            };
            let room = self.guard.serving() < STREAMS;
            tokio::select! {
                biased;
                () = stopping(self.shutdown), if self.leaving.is_none() => self.leave(),
                () = self.guard.closing_requested() => return self.go(closed).await,
                next = next(&mut self.connection, &self.digest, room) => match next {
                    Ok(Some(H2Accept::Session(session))) => {
                        served = true;
                        self.begin(session);
                    }
                    Ok(Some(H2Accept::Rejected)) if self.malformed + 1 < MALFORMED => self.malformed += 1,
                    Ok(Some(H2Accept::Rejected)) => return Some(CloseReason::Malformed),
                    Ok(None) => return closed,
                    Err(error) => {
                        log::debug!("a connection of HTTP/2 ends: {error}");
                        return closed;
                    }
                },
                () = self.ended.notified() => {}
                () = sleep_until(waits_until), if quiet.is_some() => {
                    if self.leaving.is_some() {
                        return closed;
                    }
                    closed = Some(if served { CloseReason::Idle } else { CloseReason::HeaderTimeout });
                    self.leave();
                }
            }
        }
    }

    /// Says that the client should open no more streams.
    fn leave(&mut self) {
        self.leaving = Some(Instant::now());
        self.connection.graceful_shutdown();
    }

    /// Closes at once, which is told where the client still listens.
    async fn go(mut self, closed: Option<CloseReason>) -> Option<CloseReason> {
        self.connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        let said = poll_fn(|cx| self.connection.poll_closed(cx));
        let _ = timeout_at(Instant::now() + LAST_WORD, said).await;
        closed
    }

    fn begin(&self, session: HttpSession) {
        let Some(serving) = self.guard.presence().begin_serving() else { return };
        let run = StreamTask { serving: Some(serving), ended: self.ended.clone() };
        let (app, shutdown) = (self.service.app.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            app.process_new_http(ServerSession::new_http2(session), &shutdown).await;
            drop(run);
        });
    }
}

/// The next stream; where there is no `room` for one, the connection only goes on with those there are.
async fn next(connection: &mut Connection, digest: &Arc<Digest>, room: bool) -> pingora::Result<Option<H2Accept>> {
    if room {
        return HttpSession::from_h2_conn(connection, digest.clone()).await;
    }
    match poll_fn(|cx| connection.poll_closed(cx)).await {
        Ok(()) => Ok(None),
        Err(error) => pingora::Error::e_because(pingora::ErrorType::H2Error, "while serving streams", error),
    }
}

/// A request that is being served.
struct StreamTask {
    serving: Option<ServingGuard>,
    ended: Arc<Notify>,
}

impl Drop for StreamTask {
    fn drop(&mut self) {
        self.serving = None;
        self.ended.notify_one();
    }
}
