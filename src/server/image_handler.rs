//! One image request over HTTP: read, let in, handed to the gateway, and answered in one piece or as a stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pingora::Result;
use pingora::proxy::Session;

use crate::config::plan::{Limits, Priority};
use crate::error::Error;
use crate::gateway::gateway_request::GatewayRequest;
use crate::gateway::outcome::Outcome;
use crate::gateway::progress;
use crate::gateway::snapshot::Snapshot;
use crate::idempotency::IdempotencyKey;
use crate::money::Usd;
use crate::request::ResponseFormat;
use crate::server::app::Easel;
use crate::server::authenticate;
use crate::server::context::Ctx;
use crate::server::endpoint::Operation;
use crate::server::event_stream::{Events, Stream};
use crate::server::in_flight::{GaugeGuard, InFlightGuard};
use crate::server::log_line::Asked;
use crate::server::rate_allowance::Allowance;
use crate::server::request_headers;
use crate::server::request_headers::{cache_wish, routed_headers};
use crate::server::response;
use crate::server::response::Answer;
use crate::server::response_writer::ResponseWriter;
use crate::server::{parse_request, request_body};

/// A place among the image requests that are served at once.
type InFlightPermit = (InFlightGuard, GaugeGuard);

impl Easel {
    /// Reads and serves one image request. `None` when the answer was streamed, an error when not to its end.
    pub(super) async fn draw(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Arc<Snapshot>,
        operation: Operation,
    ) -> Result<Option<Answer>> {
        let asked = self.ask(session, ctx, snapshot, operation).await;
        let asked = asked.and_then(|(ask, permit)| {
            let rates = &self.gateway.shared.rate_limiter;
            let allowance = Allowance::take(rates, &ask.caller, ask.request.n, Instant::now())?;
            Ok((ask, permit, allowance))
        });
        let (ask, _permit, allowance) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                let outcome = Outcome::failed(snapshot.version, error);
                return Ok(Some(self.answer(ctx, snapshot, outcome)));
            }
        };
        if ask.request.stream {
            // Boxed, because whatever lies in here is moved for each request, and most are not streamed.
            return Box::pin(self.stream(session, ctx, snapshot, ask, allowance)).await;
        }
        let headers = routed_headers(session, snapshot);
        let outcome = self.gateway.serve(snapshot, ask, |name| headers.text(name)).await;
        allowance.settle(&outcome);
        Ok(Some(self.answer(ctx, snapshot, outcome)))
    }

    /// Serves one image request that asks for a stream. What is given back is the answer in one piece, where nothing
    /// was sent before it was there; `None` when the stream was sent to its end, an error when it was not.
    async fn stream(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Arc<Snapshot>,
        ask: GatewayRequest,
        allowance: Allowance<'_>,
    ) -> Result<Option<Answer>> {
        if self.draining.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        let headers = routed_headers(session, snapshot);
        let events = Events::new(&ask.request);
        let (sender, receiver) = progress::channel(&ask.request);
        let serving =
            self.gateway.serve(snapshot, GatewayRequest { progress: Some(sender), ..ask }, |name| headers.text(name));
        let limits = &snapshot.plan.server.limits;
        let stream = Stream { events, heartbeat: limits.heartbeat };
        let mut writer = ResponseWriter::new(session, limits.send_timeout).adding(&ctx.told);
        let (outcome, answer) = stream.run(&mut writer, serving, receiver).await;
        ctx.sent = writer.sent();
        allowance.settle(&outcome);
        ctx.outcome = Some(outcome);
        answer
    }

    /// The answer in one piece; links in it are good from now on.
    pub(super) fn answer(&self, ctx: &mut Ctx, snapshot: &Snapshot, outcome: Outcome) -> Answer {
        let link = |name: &str| self.link(snapshot, name);
        let answer = response::images(&outcome, &link);
        if outcome.format == ResponseFormat::Url {
            for kept in outcome.result.iter().flatten() {
                self.gateway.shared.cache.hold_link(kept, snapshot.plan.server.link_ttl, Instant::now());
            }
        }
        ctx.outcome = Some(outcome);
        answer
    }

    /// A place among the image requests that are served at once.
    fn permit(&self, snapshot: &Snapshot) -> Result<InFlightPermit, Error> {
        let (permit, drawing) = InFlightGuard::take(&self.drawing);
        if drawing > snapshot.plan.server.limits.in_flight {
            return Err(too_busy());
        }
        Ok((permit, GaugeGuard::new(self.gateway.shared.metrics.requests_in_flight.clone())))
    }

    /// The request as the gateway takes it. The caller is identified before anything of the body is read, and the rest
    /// of the head is checked before the body is parsed. A request takes a place only when all of it is there, so that
    /// slow senders take none.
    async fn ask(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Snapshot,
        operation: Operation,
    ) -> Result<(GatewayRequest, InFlightPermit), Error> {
        let limits = &snapshot.plan.server.limits;
        let caller = authenticate::identify(session, &snapshot.plan).inspect_err(|_| request_body::leave(session))?;
        ctx.asked = Some(Asked::by(&caller.tenant));
        let head = match self.head(session, limits, operation) {
            Ok(told) => told,
            Err(error) => {
                request_body::skip(session, limits, &self.bodies).await;
                return Err(error);
            }
        };
        let body =
            request_body::read(session, parse_request::most_bytes(operation, limits), limits, &self.bodies).await?;
        // A body that waits for its turn to be parsed has a place already, which bounds how many wait.
        let permit = self.permit(snapshot)?;
        let Head { max_usd, deadline_after, priority, idempotency_key, media } = head;
        let request = parse_request::request(session, operation, media, body, limits).await?;
        let prompts = snapshot.plan.server.log.prompts;
        ctx.asked = Some(Asked::of(&caller.tenant, &request, self.gateway.shared.hash_seed, prompts));
        let (id, cache) = (ctx.id.as_str().into(), cache_wish(session));
        let progress = None;
        let asked =
            GatewayRequest { request, id, caller, max_usd, deadline_after, cache, priority, idempotency_key, progress };
        Ok((asked, permit))
    }

    /// What the head of a request says besides its route.
    fn head(&self, session: &Session, limits: &Limits, operation: Operation) -> Result<Head, Error> {
        if self.drawing.load(Ordering::Acquire) >= limits.in_flight {
            return Err(too_busy());
        }
        Ok(Head {
            max_usd: request_headers::max_usd(session)?,
            deadline_after: request_headers::deadline_after(session)?,
            priority: request_headers::priority(session)?,
            idempotency_key: request_headers::idempotency_key(session)?,
            media: parse_request::media(session, operation)?,
        })
    }
}

/// What the head of a request says besides its route.
struct Head {
    /// What the caller is willing to pay.
    max_usd: Option<Usd>,
    /// How long it waits.
    deadline_after: Option<Duration>,
    /// Whether somebody waits at all.
    priority: Priority,
    idempotency_key: Option<IdempotencyKey>,
    /// What the body is written in.
    media: parse_request::Media,
}

fn too_busy() -> Error {
    Error::busy("This server is at its limit of image requests in flight.")
}
