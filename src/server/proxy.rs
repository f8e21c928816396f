//! Easel as a Pingora proxy: image routes are read and answered here, everything else passes through.
//!
//! `request_filter` answers what is Easel's own and returns `true`; for all other paths it touches nothing and Pingora
//! proxies the request to `passthrough`, streaming both ways, upgrades included. A client that leaves while its
//! pictures are drawn is not watched for: the drawing goes on without it anyway (it is paid for), and its place among
//! the image requests in flight is freed at the route's deadline at the latest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{ErrorType, Result};

use crate::error::{Error, Kind};
use crate::gateway::live::Live;
use crate::gateway::outcome::Outcome;
use crate::gateway::{Ask, CacheWish, Gateway, viewer};
use crate::metrics::seconds;
use crate::request::ResponseFormat;
use crate::server::access::{AccessLog, Image, Line};
use crate::server::caller::{self, Allowance};
use crate::server::paths::{self, Operation, Target};
use crate::server::respond::{self, Answer, Delivery};
use crate::server::stream::{Events, Stream};
use crate::server::{ask, body, feedback};
use crate::signing::BadLink;

/// How long a write to a client may stand still.
const STALLED: Duration = Duration::from_secs(30);
/// A client that takes fewer bytes a second than this is not waited for.
const SLOWEST: usize = 8 * 1024;

/// Easel, to be mounted in a Pingora server as any other [`ProxyHttp`].
pub struct Easel {
    gateway: Arc<Gateway>,
    log: AccessLog,
    public_url: String,
    draining: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    drawing: Arc<AtomicUsize>,
}

impl Easel {
    /// Serves `gateway`. `public_url` is how clients reach picture files where the config names none.
    pub fn new(gateway: Arc<Gateway>, log: AccessLog, public_url: String) -> Easel {
        Easel { gateway, log, public_url, draining: Arc::default(), in_flight: Arc::default(), drawing: Arc::default() }
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
    live: Option<Arc<Live>>,
    outcome: Option<Outcome>,
    counted: Option<Counted>,
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
        let id = format!("{:016x}", fastrand::u64(..));
        Ctx { began: Instant::now(), id, live: None, outcome: None, counted: None }
    }

    /// No response modules: pictures do not compress.
    fn init_downstream_modules(&self, _modules: &mut pingora::modules::http::HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        ctx.counted = Some(Counted::take(&self.in_flight).0);
        let live = self.gateway.live();
        ctx.live = Some(live.clone());
        let request = session.req_header();
        let head_only = request.method == http::Method::HEAD;
        let target = paths::target(&request.method, request.uri.path());
        let elsewhere = live.passthrough().is_some();
        if elsewhere && matches!(target, Target::Other | Target::WrongMethod(_)) {
            return Ok(false);
        }
        // A client that takes nothing must not hold its pictures for ever.
        session.set_write_timeout(Some(STALLED));
        session.set_min_send_rate(Some(SLOWEST));
        let answer = match target {
            Target::Draw(operation) => match self.draw(session, ctx, &live, operation).await {
                Some(answer) => answer,
                None => return Ok(true),
            },
            Target::Feedback => feedback::answer(session, &self.gateway, &live, &ctx.id).await,
            Target::Models => models(session, &live),
            Target::Model(name) => model(session, &live, &name),
            Target::File(name) => self.file(session, &live, &name),
            Target::WrongMethod(allowed) => {
                let message = format!("This path takes {allowed} only.");
                Answer::error(&Error::new(Kind::WrongMethod, message).with_detail(allowed))
            }
            Target::Other => Answer::error(&unknown_path(session)),
        };
        if self.draining.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        if let Err(error) = answer.write(session, head_only).await {
            log::debug!("{}: the client left before its answer: {error}", ctx.id);
        }
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let missing = || pingora::Error::explain(ErrorType::InternalError, "no passthrough");
        let url = ctx.live.as_ref().and_then(|live| live.passthrough()).ok_or_else(missing)?;
        let peer = self.gateway.shared.transport.passthrough_peer(url).await;
        peer.map(Box::new).map_err(|trouble| {
            pingora::Error::explain(ErrorType::ConnectNoRoute, format!("passthrough: {trouble:?}")).into_up()
        })
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &pingora::Error, ctx: &mut Ctx) -> FailToProxy {
        let ours = matches!(error.esource(), pingora::ErrorSource::Downstream);
        if ours || session.response_written().is_some() {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        log::warn!("{}: passthrough failed: {error}", ctx.id);
        let kind = match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout => Kind::DeadlineExceeded,
            _ => Kind::UpstreamFailed,
        };
        let answer = Answer::error(&Error::new(kind, "The service behind this proxy could not be reached."));
        let error_code = answer.status;
        session.set_keepalive(None);
        if let Err(error) = answer.write(session, false).await {
            log::debug!("{}: the client left before its answer: {error}", ctx.id);
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&pingora::Error>, ctx: &mut Ctx) {
        let elapsed = ctx.began.elapsed();
        if let Some(outcome) = &ctx.outcome {
            self.measure(outcome, elapsed);
        }
        let request = session.req_header();
        self.log.write(Line {
            time: String::new(),
            request_id: &ctx.id,
            method: request.method.as_str(),
            path: request.uri.path(),
            status: session.response_written().map_or(0, |response| response.status.as_u16()),
            duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            bytes: session.body_bytes_sent(),
            config_version: ctx.live.as_ref().map_or(0, |live| live.version),
            image: ctx.outcome.as_ref().map(image_line),
        });
        ctx.counted = None;
    }
}

impl Easel {
    /// Reads and serves one image request. `None` when the answer was streamed.
    async fn draw(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        live: &Arc<Live>,
        operation: Operation,
    ) -> Option<Answer> {
        let (_place, drawing) = Counted::take(&self.drawing);
        let gauge = self.gateway.shared.metrics.requests_in_flight.clone();
        gauge.inc();
        let _gauge = Lowered(gauge);
        let asked = match drawing > live.plan.server.limits.in_flight {
            true => Err(too_busy()),
            false => self.ask(session, ctx, live, operation).await,
        };
        let asked = asked.and_then(|ask| {
            let rates = &self.gateway.shared.rates;
            Allowance::take(rates, &ask.caller, ask.request.n, Instant::now()).map(|allowance| (ask, allowance))
        });
        let (ask, allowance) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                let outcome = Outcome::failed(live.version, error);
                return Some(self.answer(ctx, live, outcome, ResponseFormat::B64Json));
            }
        };
        let (format, streamed) = (ask.request.response_format, ask.request.stream);
        let headers = session.req_header().headers.clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if !streamed {
            let outcome = self.gateway.serve(live, ask, header).await;
            allowance.settle(&outcome);
            return Some(self.answer(ctx, live, outcome, format));
        }
        if self.draining.load(Ordering::Acquire) {
            session.set_keepalive(None);
        }
        let events = Events::new(&ask.request);
        let (stage, viewer) = viewer::stage(&ask.request);
        let serving = self.gateway.serve(live, Ask { stage: Some(stage), ..ask }, header);
        let stream = Stream { events, request_id: &ctx.id, heartbeat: live.plan.server.limits.heartbeat };
        let (outcome, answer) = stream.run(session, serving, viewer).await;
        allowance.settle(&outcome);
        ctx.outcome = Some(outcome);
        answer
    }

    /// The answer in one piece; links in it are good from now on.
    fn answer(&self, ctx: &mut Ctx, live: &Live, outcome: Outcome, format: ResponseFormat) -> Answer {
        let link = |name: &str| self.link(live, name);
        let answer = respond::images(&outcome, &Delivery { format, link: &link, request_id: &ctx.id });
        if format == ResponseFormat::Url {
            for kept in outcome.result.iter().flatten() {
                self.gateway.shared.links.hold(kept, live.plan.server.link_ttl, Instant::now());
            }
        }
        ctx.outcome = Some(outcome);
        answer
    }

    /// The request as the gateway takes it. The body is read before anything is refused, so that the connection stays
    /// usable.
    async fn ask(&self, session: &mut Session, ctx: &Ctx, live: &Live, operation: Operation) -> Result<Ask, Error> {
        let limits = &live.plan.server.limits;
        let body = body::read(session, limits.request_body, limits.body_timeout).await?;
        let (caller, max_usd) = (caller::identify(session, &live.plan)?, caller::max_usd(session)?);
        let request = ask::request(session, operation, body).await?;
        let (id, cache) = (ctx.id.as_str().into(), cache_wish(session));
        Ok(Ask { request, id, caller, max_usd, cache, stage: None })
    }

    fn link(&self, live: &Live, name: &str) -> String {
        let base = live.plan.server.public_url.as_ref().map_or(self.public_url.as_str(), |url| url.as_str());
        let expires = respond::unix_seconds() + live.plan.server.link_ttl.as_secs();
        format!("{}/v1/images/files/{name}?{}", base.trim_end_matches('/'), live.link_key.query(name, expires))
    }

    /// A picture file, for who holds a good link.
    fn file(&self, session: &Session, live: &Live, name: &str) -> Answer {
        let Some((id, format)) = respond::parse_file_name(name) else {
            return Answer::error(&Error::new(Kind::FileNotFound, "There is no such picture."));
        };
        let query = session.req_header().uri.query().unwrap_or_default();
        let now = respond::unix_seconds();
        if let Err(bad) = live.link_key.check(name, query, now) {
            let message = match bad {
                BadLink::Signature => "This link is not signed by this server, or was changed.",
                BadLink::Expired => "This link has expired. Repeat the image request for a fresh one.",
            };
            let code = match bad {
                BadLink::Signature => "bad_signature",
                BadLink::Expired => "link_expired",
            };
            return Answer::error(&Error::new(Kind::LinkRefused, message).with_code(code));
        }
        match self.gateway.shared.links.get(id, Instant::now()) {
            Some(kept) if kept.picture.format == format => respond::file(&kept, live.plan.server.link_ttl),
            _ => Answer::error(&Error::new(
                Kind::FileNotFound,
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

fn image_line(outcome: &Outcome) -> Image<'_> {
    Image {
        route: outcome.route.as_deref().unwrap_or("none"),
        outcome: outcome.word(),
        cache: outcome.cache.word(),
        cost_usd: outcome.cost.to_string(),
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

fn models(session: &Session, live: &Live) -> Answer {
    match caller::identify(session, &live.plan) {
        Ok(caller) => respond::models(&live.model_names(|route| caller.may_use(route))),
        Err(error) => Answer::error(&error),
    }
}

fn model(session: &Session, live: &Live, name: &str) -> Answer {
    let caller = match caller::identify(session, &live.plan) {
        Ok(caller) => caller,
        Err(error) => return Answer::error(&error),
    };
    if live.model_names(|route| caller.may_use(route)).contains(&name) {
        return Answer::json(200, &respond::model(name));
    }
    let shown: String = name.chars().take(80).collect();
    let message = format!("The model '{shown}' does not exist here. GET /v1/models lists what does.");
    Answer::error(&Error::new(Kind::ModelNotFound, message).with_param("model"))
}

fn too_busy() -> Error {
    Error::new(Kind::Busy, "This server is at its limit of image requests in flight.")
        .with_retry_after(Duration::from_secs(1))
}

fn unknown_path(session: &Session) -> Error {
    let request = session.req_header();
    let path: String = request.uri.path().chars().take(120).collect();
    let message = format!("Nothing answers {} {path} here, and no 'server.passthrough' is set.", request.method);
    Error::new(Kind::UnknownPath, message)
}
