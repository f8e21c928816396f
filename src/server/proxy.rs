//! Easel as a Pingora proxy: image routes are read and answered here, everything else passes through.
//!
//! `request_filter` answers what is Easel's own and returns `true`; for all other paths it reads nothing and Pingora
//! proxies the request to `passthrough`, streaming both ways, upgrades included. A client that leaves while its
//! pictures are drawn is not watched for: the drawing goes on without it anyway (it is paid for), and its place among
//! the image requests in flight is freed at the route's deadline at the latest.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use h2::Reason;
use http::header::TRANSFER_ENCODING;
use http::{HeaderName, HeaderValue, Version};
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{ErrorSource, ErrorType, Result};

use crate::config::plan::Limits;
use crate::error::{Error, ErrorKind};
use crate::gateway::ask::{Ask, CacheWish};
use crate::gateway::outcome::Outcome;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::{Gateway, progress};
use crate::metrics::seconds;
use crate::money::Usd;
use crate::request::ResponseFormat;
use crate::server::access::{AccessLog, Image, Line, Stamp};
use crate::server::bodies::Bodies;
use crate::server::body::Upload;
use crate::server::browser::{Door, Signs};
use crate::server::caller::{self, Allowance};
use crate::server::connections::Reading;
use crate::server::near_path::{NearPath, near};
use crate::server::outlet::Outlet;
use crate::server::paths::{self, Operation, Target};
use crate::server::respond::{self, Answer};
use crate::server::stream::{Events, Stream};
use crate::server::{body, browser, cors, decode, feedback, framing, request_id, wire};
use crate::signed_links::BadLink;

/// Easel, to be mounted in a Pingora server as any other [`ProxyHttp`].
pub struct Easel {
    gateway: Arc<Gateway>,
    log: AccessLog,
    public_url: String,
    draining: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    drawing: Arc<AtomicUsize>,
    bodies: Arc<Bodies>,
}

impl Easel {
    /// Serves `gateway`. `public_url` is how clients reach picture files where the config names none.
    pub fn new(gateway: Arc<Gateway>, log: AccessLog, public_url: String) -> Easel {
        let bodies = Bodies::new(gateway.shared.metrics.request_body_bytes.clone());
        let (draining, in_flight, drawing) = (Arc::default(), Arc::default(), Arc::default());
        Easel { gateway, log, public_url, draining, in_flight, drawing, bodies }
    }

    /// Set to ask clients to leave after their present request.
    pub fn draining(&self) -> Arc<AtomicBool> {
        self.draining.clone()
    }

    /// Requests being served, passed-through ones included.
    pub fn in_flight(&self) -> Arc<AtomicUsize> {
        self.in_flight.clone()
    }
}

/// One request's own state.
pub struct Ctx {
    began: Instant,
    id: String,
    snapshot: Option<Arc<Snapshot>>,
    outcome: Option<Outcome>,
    counted: Option<Counted>,
    /// A body that is passed through.
    upload: Option<Upload>,
    /// It is still on its way.
    reading: Option<Reading>,
    /// Bytes that were sent by a way of our own.
    sent: usize,
    /// What every answer tells: the request's id, and what a browser needs.
    told: Vec<(HeaderName, HeaderValue)>,
}

/// A place among those who are counted, given back when dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn take(count: &Arc<AtomicUsize>) -> (Counted, usize) {
        let now = count.fetch_add(1, Ordering::AcqRel) + 1;
        (Counted(count.clone()), now)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A gauge that goes down again when this is dropped.
struct Lowered(prometheus::IntGauge);

impl Drop for Lowered {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[async_trait]
impl ProxyHttp for Easel {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        let id = request_id::new();
        let told = request_id::headers(&id).into();
        Ctx {
            began: Instant::now(),
            id,
            snapshot: None,
            outcome: None,
            counted: None,
            upload: None,
            reading: None,
            sent: 0,
            told,
        }
    }

    /// No response modules: pictures do not compress.
    fn init_downstream_modules(&self, _modules: &mut pingora::modules::http::HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        ctx.counted = Some(Counted::take(&self.in_flight).0);
        let snapshot = self.gateway.snapshot();
        ctx.snapshot = Some(snapshot.clone());
        let settled = framing::settle(session.req_header_mut());
        if !matches!(settled, Ok(true)) {
            session.set_keepalive(None);
        }
        let request = session.req_header();
        let target = paths::target(&request.method, request.uri.path());
        if let Err(error) = settled {
            return self.reply(session, ctx, &snapshot, Answer::error(&error)).await;
        }
        let (server, request) = (&snapshot.plan.server, session.req_header());
        if let Some(answer) = cors::preflight(request, &target, server) {
            ctx.told.extend(cors::headers(request, server));
            return self.reply(session, ctx, &snapshot, answer).await;
        }
        if snapshot.passthrough().is_some() && matches!(target, Target::Other | Target::WrongMethod(_)) {
            pass(session, ctx, snapshot.plan.server.limits.send_timeout);
            return Ok(false);
        }
        ctx.told.extend(cors::headers(session.req_header(), server));
        let answer = match target {
            _ if let Some(error) = foreign(session, &snapshot, &target) => {
                self.turn_away(session, ctx, &snapshot, &target, error)
            }
            Target::Draw(operation) => match self.draw(session, ctx, &snapshot, operation).await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Ok(true),
                Err(error) => return Err(give_up(session, error)),
            },
            Target::Feedback => feedback::answer(session, &self.gateway, &snapshot, &self.bodies).await,
            Target::Models => models(session, &snapshot),
            Target::Model(name) => model(session, &snapshot, &name),
            Target::File(name) => self.file(session, &snapshot, &name),
            Target::WrongMethod(allowed) => {
                let message = format!("This path takes {allowed} only.");
                Answer::error(&Error::new(ErrorKind::WrongMethod, message).with_detail(allowed))
            }
            Target::Other => Answer::error(&unknown_path(session)),
        };
        self.reply(session, ctx, &snapshot, answer).await
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

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let missing = || pingora::Error::explain(ErrorType::InternalError, "no passthrough");
        let url = ctx.snapshot.as_ref().and_then(|snapshot| snapshot.passthrough()).ok_or_else(missing)?;
        let peer = self.gateway.shared.transport.passthrough_peer(url).await;
        let mut peer = peer.map_err(|trouble| {
            pingora::Error::explain(ErrorType::ConnectNoRoute, format!("passthrough: {trouble:?}")).into_up()
        })?;
        if !leaves_nothing(session) {
            // Who asks for a connection of a group of its own gets a new one, and nobody asks for it again.
            peer.group_key = fastrand::u64(1..);
            peer.options.idle_timeout = Some(Duration::ZERO);
        }
        Ok(Box::new(peer))
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &pingora::Error, ctx: &mut Ctx) -> FailToProxy {
        let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
        let told = match error.esource() {
            _ if begun => None,
            ErrorSource::Downstream => body::at_fault(error),
            _ => {
                log::warn!("{}: passthrough failed: {error}", ctx.id);
                let kind = match error.etype() {
                    ErrorType::ConnectTimedout | ErrorType::ReadTimedout => ErrorKind::DeadlineExceeded,
                    _ => ErrorKind::UpstreamFailed,
                };
                Some(Error::new(kind, "The service behind this proxy could not be reached."))
            }
        };
        session.set_keepalive(None);
        let Some(told) = told else {
            log::debug!("{}: not answered to its end: {error}", ctx.id);
            // Over HTTP/1.1 the connection ends short of the answer's length or last chunk, which says the same.
            session.shutdown_with_reason(Reason::INTERNAL_ERROR);
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let answer = Answer::error(&told);
        let error_code = answer.status;
        let patience = self.gateway.snapshot().plan.server.limits.send_timeout;
        match answer.write(&mut Outlet::new(session, patience).adding(&ctx.told), false).await {
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
        // Who was given something keeps its connection longer than a stranger, when others need room.
        let served = session.response_written().is_some_and(|response| response.status.as_u16() < 400);
        if let Some(presence) = wire::presence(session).filter(|_| served) {
            presence.knows();
        }
        let elapsed = ctx.began.elapsed();
        if let Some(outcome) = &ctx.outcome {
            self.measure(outcome, elapsed);
        }
        let request = session.req_header();
        self.log.write(&Line {
            time: Stamp::default(),
            request_id: &ctx.id,
            method: request.method.as_str(),
            path: request.uri.path(),
            status: session.response_written().map_or(0, |response| response.status.as_u16()),
            duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            bytes: ctx.sent.max(session.body_bytes_sent()),
            config_version: ctx.snapshot.as_ref().map_or(0, |snapshot| snapshot.version),
            image: ctx.outcome.as_ref().map(image_line),
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
        let mut outlet = Outlet::new(session, snapshot.plan.server.limits.send_timeout).adding(&ctx.told);
        let written = answer.write(&mut outlet, head_only).await;
        ctx.sent = outlet.sent();
        written.map(|()| true).map_err(|error| give_up(session, error))
    }

    /// The answer to a web page that has no business here. Its body is not read, so its connection ends.
    fn turn_away(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Snapshot,
        target: &Target,
        error: Error,
    ) -> Answer {
        session.set_keepalive(None);
        match target {
            Target::Draw(_) => self.answer(ctx, snapshot, Outcome::failed(snapshot.version, error)),
            _ => Answer::error(&error),
        }
    }

    /// Reads and serves one image request. `None` when the answer was streamed, an error when not to its end.
    async fn draw(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Arc<Snapshot>,
        operation: Operation,
    ) -> Result<Option<Answer>> {
        let asked = self.ask(session, ctx, snapshot, operation).await;
        let asked = asked.and_then(|(ask, place)| {
            let rates = &self.gateway.shared.rate_limiter;
            let allowance = Allowance::take(rates, &ask.caller, ask.request.n, Instant::now())?;
            Ok((ask, place, allowance))
        });
        let (ask, _place, allowance) = match asked {
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

    /// Serves one image request that asks for a stream. What is given back is the answer in one piece, where nothing was
    /// sent before it was there; `None` when the stream was sent to its end, an error when it was not.
    async fn stream(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Arc<Snapshot>,
        ask: Ask,
        allowance: Allowance<'_>,
    ) -> Result<Option<Answer>> {
        if self.draining.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        let headers = routed_headers(session, snapshot);
        let events = Events::new(&ask.request);
        let (sender, receiver) = progress::channel(&ask.request);
        let serving = self.gateway.serve(snapshot, Ask { progress: Some(sender), ..ask }, |name| headers.text(name));
        let limits = &snapshot.plan.server.limits;
        let stream = Stream { events, heartbeat: limits.heartbeat };
        let mut outlet = Outlet::new(session, limits.send_timeout).adding(&ctx.told);
        let (outcome, answer) = stream.run(&mut outlet, serving, receiver).await;
        ctx.sent = outlet.sent();
        allowance.settle(&outcome);
        ctx.outcome = Some(outcome);
        answer
    }

    /// The answer in one piece; links in it are good from now on.
    fn answer(&self, ctx: &mut Ctx, snapshot: &Snapshot, outcome: Outcome) -> Answer {
        let link = |name: &str| self.link(snapshot, name);
        let answer = respond::images(&outcome, &link);
        if outcome.format == ResponseFormat::Url {
            for kept in outcome.result.iter().flatten() {
                self.gateway.shared.links.hold(kept, snapshot.plan.server.link_ttl, Instant::now());
            }
        }
        ctx.outcome = Some(outcome);
        answer
    }

    /// A place among the image requests that are served at once.
    fn place(&self, snapshot: &Snapshot) -> Result<(Counted, Lowered), Error> {
        let (place, drawing) = Counted::take(&self.drawing);
        if drawing > snapshot.plan.server.limits.in_flight {
            return Err(too_busy());
        }
        let gauge = self.gateway.shared.metrics.requests_in_flight.clone();
        gauge.inc();
        Ok((place, Lowered(gauge)))
    }

    /// The request as the gateway takes it. Whatever its head tells is settled before its body is worked on, and who
    /// asks before anything of the body is read. A place is nobody's before the whole request is there, so that slow
    /// senders take none.
    async fn ask(
        &self,
        session: &mut Session,
        ctx: &Ctx,
        snapshot: &Snapshot,
        operation: Operation,
    ) -> Result<(Ask, (Counted, Lowered)), Error> {
        let limits = &snapshot.plan.server.limits;
        let caller = caller::identify(session, &snapshot.plan).inspect_err(|_| body::leave(session))?;
        let (max_usd, media) = match self.head(session, limits, operation) {
            Ok(told) => told,
            Err(error) => {
                body::skip(session, limits, &self.bodies).await;
                return Err(error);
            }
        };
        let body = body::read(session, decode::most_bytes(operation, limits), limits, &self.bodies).await?;
        // Whoever waits for a turn to be read has a place, which bounds how many wait.
        let place = self.place(snapshot)?;
        let request = decode::request(session, operation, media, body, limits).await?;
        let (id, cache) = (ctx.id.as_str().into(), cache_wish(session));
        Ok((Ask { request, id, caller, max_usd, cache, progress: None }, place))
    }

    /// What the caller is willing to pay, and what the body is written in.
    fn head(
        &self,
        session: &Session,
        limits: &Limits,
        operation: Operation,
    ) -> Result<(Option<Usd>, decode::Media), Error> {
        if self.drawing.load(Ordering::Acquire) >= limits.in_flight {
            return Err(too_busy());
        }
        Ok((caller::max_usd(session)?, decode::media(session, operation)?))
    }

    fn link(&self, snapshot: &Snapshot, name: &str) -> String {
        let base = snapshot.plan.server.public_url.as_ref().map_or(self.public_url.as_str(), |url| url.as_str());
        let expires = respond::unix_seconds() + snapshot.plan.server.link_ttl.as_secs();
        format!("{}/v1/images/files/{name}?{}", base.trim_end_matches('/'), snapshot.link_key.query(name, expires))
    }

    /// A picture file, for who holds a good link.
    fn file(&self, session: &Session, snapshot: &Snapshot, name: &str) -> Answer {
        let Some((id, format)) = respond::parse_file_name(name) else {
            return Answer::error(&Error::new(ErrorKind::FileNotFound, "There is no such picture."));
        };
        let query = session.req_header().uri.query().unwrap_or_default();
        let now = respond::unix_seconds();
        if let Err(bad) = snapshot.link_key.check(name, query, now) {
            let message = match bad {
                BadLink::Signature => "This link is not signed by this server, or was changed.",
                BadLink::Expired => "This link has expired. Repeat the image request for a fresh one.",
            };
            let code = match bad {
                BadLink::Signature => "bad_signature",
                BadLink::Expired => "link_expired",
            };
            return Answer::error(&Error::new(ErrorKind::LinkRefused, message).with_code(code));
        }
        match self.gateway.shared.links.get(id, Instant::now()) {
            Some(kept) if kept.picture.format == format => respond::file(&kept, snapshot.plan.server.link_ttl),
            _ => Answer::error(&Error::new(
                ErrorKind::FileNotFound,
                "This picture is no longer held. Repeat the image request for a fresh link.",
            )),
        }
    }

    fn measure(&self, outcome: &Outcome, elapsed: Duration) {
        let metrics = &self.gateway.shared.metrics;
        let route = outcome.route.as_deref().unwrap_or("none");
        metrics.requests.with_label_values(&[route, outcome.word()]).inc();
        metrics.request_seconds.with_label_values(&[route, outcome.cache.word()]).observe(seconds(elapsed));
    }
}

/// Why a web page may not ask for this. A picture's link is signed and meant to be shown by any page; what is not ours
/// is not ours to refuse.
fn foreign(session: &Session, snapshot: &Snapshot, target: &Target) -> Option<Error> {
    if matches!(target, Target::File(_) | Target::WrongMethod(_) | Target::Other) || !snapshot.plan.clients.is_empty() {
        return None;
    }
    let signs = Signs::of(session.req_header());
    browser::foreign(signs, &snapshot.plan.server, Door::Clients).map(|foreign| foreign.error(signs))
}

/// Gets a request ready to be passed through.
fn pass(session: &mut Session, ctx: &mut Ctx, patience: Duration) {
    ctx.upload = Some(Upload::begins(session));
    if session.is_http2() || wire::meter(session).is_none() {
        // For each piece that the service sends, of 64 KiB. Over HTTP/1.1 the connection itself is watched.
        session.set_write_timeout(Some(patience));
    }
    let upgrades = session.req_header().headers.contains_key(http::header::UPGRADE);
    if !upgrades && !session.is_body_empty() {
        ctx.reading = wire::presence(session).map(|presence| presence.reads());
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

/// Ends an answer that was not sent to its end so that the client sees it.
fn give_up(session: &mut Session, error: Box<pingora::Error>) -> Box<pingora::Error> {
    session.shutdown_with_reason(Reason::CANCEL);
    error.into_down()
}

/// The headers of a request that routes match by. The session cannot be asked for them while it is served.
struct RoutedHeaders<'l>(HashMap<&'l str, HeaderValue>);

impl RoutedHeaders<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

fn routed_headers<'l>(session: &Session, snapshot: &'l Snapshot) -> RoutedHeaders<'l> {
    let names = snapshot.plan.routes.iter().flat_map(|route| &route.headers).map(|(name, _)| name.as_str());
    RoutedHeaders(names.filter_map(|name| Some((name, session.get_header(name)?.clone()))).collect())
}

fn image_line(outcome: &Outcome) -> Image<'_> {
    Image {
        route: outcome.route.as_deref().unwrap_or("none"),
        outcome: outcome.word(),
        cache: outcome.cache.word(),
        cost_usd: outcome.cost,
        attempts: outcome.attempts,
        served_by: outcome.served_by(),
        skipped: &outcome.skipped,
        enriched: outcome.enriched.as_ref(),
        adjusted: outcome.adjusted(),
    }
}

/// `cache-control` of the request; of several wishes the strictest counts.
fn cache_wish(session: &Session) -> CacheWish {
    let told = session.req_header().headers.get_all(http::header::CACHE_CONTROL);
    let words: Vec<String> = told
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
        .collect();
    if words.iter().any(|word| word == "no-store") {
        CacheWish::Skip
    } else if words.iter().any(|word| word == "no-cache" || word == "max-age=0") {
        CacheWish::Fresh
    } else {
        CacheWish::Use
    }
}

fn models(session: &Session, snapshot: &Snapshot) -> Answer {
    match caller::identify(session, &snapshot.plan) {
        Ok(caller) => respond::models(&snapshot.model_names(|route| caller.may_use(route))),
        Err(error) => Answer::error(&error),
    }
}

fn model(session: &Session, snapshot: &Snapshot, name: &str) -> Answer {
    let caller = match caller::identify(session, &snapshot.plan) {
        Ok(caller) => caller,
        Err(error) => return Answer::error(&error),
    };
    if snapshot.model_names(|route| caller.may_use(route)).contains(&name) {
        return Answer::json(200, &respond::model(name));
    }
    let shown: String = name.chars().take(80).collect();
    let message = format!("The model '{shown}' does not exist here. GET /v1/models lists what does.");
    Answer::error(&Error::new(ErrorKind::ModelNotFound, message).with_param("model"))
}

fn too_busy() -> Error {
    Error::busy("This server is at its limit of image requests in flight.")
}

fn unknown_path(session: &Session) -> Error {
    let request = session.req_header();
    let path: String = request.uri.path().chars().take(120).collect();
    let message = match near(request.uri.path()) {
        Some(NearPath { path: meant, help }) => {
            format!("Nothing answers {} {path} here. '{meant}' is probably meant: {help}.", request.method)
        }
        None => format!("Nothing answers {} {path} here, and no 'server.passthrough' is set.", request.method),
    };
    Error::new(ErrorKind::UnknownPath, message)
}
