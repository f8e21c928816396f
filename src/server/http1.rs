//! A connection of HTTP/1.1: one request after the other, and a bounded wait for each.

use std::pin::pin;

use pingora::apps::HttpServerApp;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::server::connections::{CloseReason, ConnectionGuard};
use crate::server::http1_head;
use crate::server::http1_head::{Head, Time};
use crate::server::listener_context::ListenerContext;
use crate::server::response;
use crate::server::wait_for_shutdown::stopping;

/// Serves the connection to its end, or until it is told to go. The head of its first request must be there by
/// `first_by`.
pub async fn serve<A>(
    service: &ListenerContext<A>,
    stream: Stream,
    connection: &ConnectionGuard,
    first_by: Instant,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    tokio::select! {
        biased;
        () = requests(service, stream, connection, first_by, shutdown) => {}
        () = connection.closing_requested() => {}
    }
}

/// Closes a connection on which no request came in time.
async fn close<A>(service: &ListenerContext<A>, mut stream: Stream, why: CloseReason) {
    service.connections.count(why);
    // Whether it is closed gently or is gone already, it ends here.
    let _ = stream.shutdown().await;
}

async fn requests<A>(
    service: &ListenerContext<A>,
    mut stream: Stream,
    connection: &ConnectionGuard,
    first_by: Instant,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut kept = false;
    let mut stopping = pin!(stopping(shutdown));
    loop {
        let limits = service.limits();
        let time = match kept {
            false => Time { begins_by: first_by, then: None },
            true => Time { begins_by: Instant::now() + limits.keepalive_timeout, then: Some(limits.header_timeout) },
        };
        let head = tokio::select! {
            biased;
            head = http1_head::read(&mut stream, time, limits.request_header, || connection.mark_request_started()) => head,
            () = &mut stopping => return,
        };
        let head = match head {
            Head::Whole(head) => head,
            Head::Gone => return,
            Head::Nothing if kept => return close(service, stream, CloseReason::Idle).await,
            Head::Nothing => return close(service, stream, CloseReason::HeaderTimeout).await,
            Head::Refused(closed, error) => {
                service.connections.count(closed);
                return Box::pin(response::refuse(stream, &error)).await;
            }
        };
        let Some(_serving) = connection.presence().begin_serving() else { return };
        let mut session = ServerSession::new_http1(stream);
        session.set_pipelined_prefix(head);
        let Some(reused) = service.app.process_new_http(session, shutdown).await else { return };
        (stream, kept) = (reused.consume().0, true);
    }
}
