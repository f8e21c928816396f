//! Requests that are not Easel's own, on their way to the service behind it.
//!
//! Pingora streams them both ways, upgrades included. Here stands what it has to be told: where the service is, whether
//! its connection may serve another request, and what a client learns when the service cannot be reached.

use std::time::Duration;

use pingora::prelude::HttpPeer;
use pingora::proxy::Session;
use pingora::{ErrorSource, ErrorType, Result};

use crate::error::{Error, ErrorKind};
use crate::server::app::Easel;
use crate::server::context::Ctx;
use crate::server::request_body::{self, ReceivedBody};
use crate::server::watched_stream;

impl Easel {
    /// The service that the request is passed through to.
    pub(super) async fn passthrough_peer(&self, session: &mut Session, ctx: &Ctx) -> Result<HttpPeer> {
        let missing = || pingora::Error::explain(ErrorType::InternalError, "no passthrough");
        let url = ctx.snapshot.as_ref().and_then(|snapshot| snapshot.passthrough()).ok_or_else(missing)?;
        let peer = self.gateway.shared.transport.passthrough_peer(url).await;
        let mut peer = peer.map_err(|trouble| {
            pingora::Error::explain(ErrorType::ConnectNoRoute, format!("passthrough: {trouble:?}")).into_up()
        })?;
        if !leaves_nothing(session) {
            // A request with a group key of its own gets a new connection, which no other request is given.
            peer.group_key = fastrand::u64(1..);
            peer.options.idle_timeout = Some(Duration::ZERO);
        }
        Ok(peer)
    }
}

/// Gets a request ready to be passed through.
pub fn begin(session: &mut Session, ctx: &mut Ctx, send_timeout: Duration) {
    ctx.upload = Some(ReceivedBody::begins(session));
    if session.is_http2() || watched_stream::meter(session).is_none() {
        // For each piece that the service sends, of 64 KiB. Over HTTP/1.1 the connection itself is watched.
        session.set_write_timeout(Some(send_timeout));
    }
    let upgrades = session.req_header().headers.contains_key(http::header::UPGRADE);
    if !upgrades && !session.is_body_empty() {
        ctx.reading = watched_stream::presence(session).map(|presence| presence.reads());
    }
    if upgrades {
        // Whether the service takes the upgrade or not: what the client sends after it may be no HTTP.
        session.set_keepalive(None);
    }
}

/// Whether a service can have nothing left of this request when it has answered it, so that its connection may serve
/// the next one. A body may be left: services answer before they have read it, or do not read it at all.
fn leaves_nothing(session: &mut Session) -> bool {
    let head = session.req_header();
    let plain = head.method == http::Method::GET && !head.headers.contains_key(http::header::UPGRADE);
    plain && session.is_body_empty()
}

/// What a client is told of a request that could not be passed through; none where its answer has begun, or where the
/// client itself is at fault and is not to be told.
pub fn failure(session: &Session, error: &pingora::Error, id: &str) -> Option<Error> {
    if session.response_written().is_some_and(|head| !head.status.is_informational()) {
        return None;
    }
    if *error.esource() == ErrorSource::Downstream {
        return request_body::at_fault(error);
    }
    log::warn!("{id}: passthrough failed: {error}");
    let kind = match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout => ErrorKind::DeadlineExceeded,
        _ => ErrorKind::UpstreamFailed,
    };
    Some(Error::new(kind, "The service behind this proxy could not be reached."))
}
