//! Easel as a Pingora proxy, phase by phase: image routes are answered in `request_filter`, everything else passes
//! through.
//!
//! `request_filter` answers what is Easel's own (`router`) and returns `true`. For all other paths it reads nothing,
//! and Pingora proxies the request to `passthrough`. Easel does not watch for a client that leaves while its pictures
//! are drawn: the drawing goes on without it anyway (it is paid for), and its place among the image requests in flight
//! is freed at the route's deadline at the latest.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use h2::Reason;
use http::Version;
use http::header::TRANSFER_ENCODING;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{ErrorSource, Result};

use crate::config::plan::LogFormat;
use crate::gateway::outcome::Outcome;
use crate::gateway::snapshot::Snapshot;

pub use crate::server::app::Easel;
pub use crate::server::context::Ctx;
use crate::server::endpoint;
use crate::server::endpoint::Endpoint;
use crate::server::in_flight::InFlightGuard;
use crate::server::log_line::{Image, LogLine, LogTime};
use crate::server::request_spans::{self, AnsweredRequest};
use crate::server::request_trace::RequestTrace;
use crate::server::response::Answer;
use crate::server::response_writer::ResponseWriter;
use crate::server::{cors, message_framing, passthrough, request_id, watched_stream};

#[async_trait]
impl ProxyHttp for Easel {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::new()
    }

    /// No response modules: pictures do not compress.
    fn init_downstream_modules(&self, _modules: &mut pingora::modules::http::HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        ctx.counted = Some(InFlightGuard::take(&self.in_flight).0);
        let snapshot = self.gateway.snapshot();
        ctx.snapshot = Some(snapshot.clone());
        if let Some(to) = &snapshot.plan.server.tracing {
            ctx.trace = Some(Box::new(RequestTrace::begin(to, &session.req_header().headers)));
        }
        let settled = message_framing::settle(session.req_header_mut());
        if !matches!(settled, Ok(true)) {
            session.set_keepalive(None);
        }
        let request = session.req_header();
        let target = endpoint::target(&request.method, request.uri.path());
        if let Err(error) = settled {
            return self.reply(session, ctx, &snapshot, Answer::error(&error)).await;
        }
        let (server, request) = (&snapshot.plan.server, session.req_header());
        if let Some(answer) = cors::preflight(request, &target, server) {
            ctx.told.extend(cors::headers(request, server));
            return self.reply(session, ctx, &snapshot, answer).await;
        }
        if snapshot.passthrough().is_some() && matches!(target, Endpoint::Other | Endpoint::WrongMethod(_)) {
            passthrough::begin(session, ctx, snapshot.plan.server.limits.send_timeout);
            return Ok(false);
        }
        ctx.told.extend(cors::headers(session.req_header(), server));
        let answer = match self.endpoint(session, ctx, &snapshot, target).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(true),
            Err(error) => return Err(give_up(session, error)),
        };
        self.reply(session, ctx, &snapshot, answer).await
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        self.passthrough_peer(session, ctx).await.map(Box::new)
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        ctx.trace.as_ref().map_or(Ok(()), |trace| trace.hand_on(head))
    }

    /// HTTP/2 ends a body with an empty frame more often than not. Handed on as it is, Pingora would write it as the
    /// chunk that ends the body, and then the end once more: to the service the beginning of another request.
    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Ctx,
    ) -> Result<()> {
        if let Some(upload) = &mut ctx.upload {
            upload.passes(body.as_ref().map_or(0, Bytes::len))?;
            if end_of_stream && !upload.ended_plainly() {
                session.set_keepalive(None);
            }
        }
        if end_of_stream {
            ctx.reading = None;
        }
        if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        Ok(())
    }

    /// A client older than HTTP/1.1 knows no chunks: the end of the connection is the end of its answer.
    async fn response_filter(&self, session: &mut Session, head: &mut ResponseHeader, ctx: &mut Ctx) -> Result<()> {
        request_id::tell(head, &ctx.id)?;
        if session.req_header().version < Version::HTTP_11 && head.headers.contains_key(TRANSFER_ENCODING) {
            head.remove_header(&TRANSFER_ENCODING);
            session.set_keepalive(None);
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &pingora::Error, ctx: &mut Ctx) -> FailToProxy {
        let told = passthrough::failure(session, error, &ctx.id);
        session.set_keepalive(None);
        let Some(told) = told else {
            log::debug!("{}: not answered to its end: {error}", ctx.id);
            // Over HTTP/1.1 the connection ends short of the answer's length or last chunk, which says the same.
            session.shutdown_with_reason(Reason::INTERNAL_ERROR);
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let answer = Answer::error(&told);
        let error_code = answer.status;
        let send_timeout = self.gateway.snapshot().plan.server.limits.send_timeout;
        match answer.write(&mut ResponseWriter::new(session, send_timeout).adding(&ctx.told), false).await {
            // An unread body would turn the close into a reset, which may take the answer away.
            Ok(()) if !session.is_http2() => session.shutdown().await,
            Ok(()) => {}
            Err(error) => log::debug!("{}: the client left before its answer: {error}", ctx.id),
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// A client that leaves or takes nothing is no error of Easel's.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Ctx, error: &pingora::Error) -> bool {
        *error.esource() == ErrorSource::Downstream
    }

    async fn logging(&self, session: &mut Session, _error: Option<&pingora::Error>, ctx: &mut Ctx) {
        // When others need room, a client that was served keeps its connection longer than one that was not.
        let served = session.response_written().is_some_and(|response| response.status.as_u16() < 400);
        if let Some(presence) = watched_stream::presence(session).filter(|_| served) {
            presence.mark_served();
        }
        let elapsed = ctx.began.elapsed();
        if let Some(outcome) = &ctx.outcome {
            self.measure(ctx, outcome, elapsed);
            self.show(ctx, outcome);
        }
        let request = session.req_header();
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let trace_id = ctx.trace.as_ref().map(|trace| trace.id());
        if let Some(trace) = ctx.trace.as_ref().filter(|trace| trace.is_sampled()) {
            let spans = request_spans::spans(&AnsweredRequest {
                trace,
                id: &ctx.id,
                method: request.method.as_str(),
                path: request.uri.path(),
                status,
                took: elapsed,
                asked: ctx.asked.as_ref(),
                outcome: ctx.outcome.as_ref(),
                plan: ctx.snapshot.as_ref().map(|snapshot| &snapshot.plan),
            });
            self.gateway.shared.spans.push(&trace.to, spans);
        }
        self.tell(&LogLine {
            time: LogTime::default(),
            request_id: &ctx.id,
            trace_id: trace_id.as_deref(),
            method: request.method.as_str(),
            path: request.uri.path(),
            status,
            duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            bytes: ctx.sent.max(session.body_bytes_sent()),
            config_version: ctx.snapshot.as_ref().map_or(0, |snapshot| snapshot.version),
            image: ctx.outcome.as_ref().map(|outcome| Image::of(outcome, ctx.asked.as_ref())),
        });
        ctx.counted = None;
    }
}

impl Easel {
    /// Sends an answer; an error means that it was not sent to its end.
    async fn reply(&self, session: &mut Session, ctx: &mut Ctx, snapshot: &Snapshot, answer: Answer) -> Result<bool> {
        if self.draining.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        let head_only = session.req_header().method == http::Method::HEAD;
        let mut writer = ResponseWriter::new(session, snapshot.plan.server.limits.send_timeout).adding(&ctx.told);
        let written = answer.write(&mut writer, head_only).await;
        ctx.sent = writer.sent();
        written.map(|()| true).map_err(|error| give_up(session, error))
    }

    /// Writes a request's line, and remembers it where it is about pictures and of a client that is known: strangers fill no
    /// memory.
    fn tell(&self, line: &LogLine<'_>) {
        thread_local! {
            /// Where a line is put together, outside of everybody's way.
            static LINE: RefCell<String> = const { RefCell::new(String::new()) };
        }
        let known = line.image.as_ref().filter(|image| image.client.is_some());
        if known.is_none() && !self.log.is_on() {
            return;
        }
        let as_text = self.gateway.snapshot().plan.server.log.format == Some(LogFormat::Text);
        LINE.with_borrow_mut(|text| {
            if known.is_some() || !as_text {
                line.write_json(text);
            }
            if let Some(image) = known {
                // What is too long for the memory is too long for the ledger.
                let kept = self.gateway.shared.recent_requests.add(line.request_id, text);
                if kept && image.attempts > 0 {
                    self.gateway.shared.durable_ledger.told(line.request_id, text);
                }
            }
            if as_text {
                text.clear();
                line.write_text(text);
            }
            text.push('\n');
            self.log.write(text.as_bytes());
            text.clear();
        });
    }

    /// Lets operators see what was drawn, where the config that served it says so.
    fn show(&self, ctx: &Ctx, outcome: &Outcome) {
        if ctx.snapshot.as_ref().is_some_and(|snapshot| snapshot.plan.server.dashboard_pictures) {
            self.gateway.shared.recent_pictures.add(&ctx.id, outcome);
        }
    }

    fn measure(&self, ctx: &Ctx, outcome: &Outcome, elapsed: Duration) {
        let metrics = &self.gateway.shared.metrics;
        let route = outcome.route.as_deref().unwrap_or("none");
        metrics.requests.with_label_values(&[route, outcome.as_str()]).inc();
        let trace_id = ctx.trace.as_ref().filter(|trace| trace.is_sampled()).map(|trace| trace.id());
        metrics.answered((route, outcome.cache.as_str()), elapsed, trace_id.as_deref(), SystemTime::now());
    }
}

/// Ends an answer that was not sent to its end so that the client sees it.
fn give_up(session: &mut Session, error: Box<pingora::Error>) -> Box<pingora::Error> {
    session.shutdown_with_reason(Reason::CANCEL);
    error.into_down()
}
