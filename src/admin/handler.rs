//! The operator's listener: metrics, health, what was paid and what is kept. Loopback by default. A GET changes nothing;
//! a POST may: what is purged is drawn and paid for anew.
//!
//! Metrics and health are for whoever reaches it, so that a scraper needs no key. What is under `/admin/` is for who is
//! on the machine or has the token.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::ACCEPT;
use http::{Method, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::admin::cache;
use crate::admin::dashboard::{self, Dashboard, Served};
use crate::admin::equivalences;
use crate::admin::explain::{self, ExplainQuery};
use crate::admin::ledger::ledger;
use crate::admin::readiness::Readiness;
use crate::admin::requests::{self, RequestStory};
use crate::admin::response_headers;
use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;
use crate::secret::Zeroizing;
use crate::server::authenticate::bearer;
use crate::server::browser_guard::{self, HostCheck, OriginHeaders};
use crate::server::response::error_object;

/// Reports that are made at once. Each sorts all rows of its time, so the others wait.
static REPORTS: Semaphore = Semaphore::const_new(2);

/// Requests that are explained at once, each with its body in memory.
static EXPLANATIONS: Semaphore = Semaphore::const_new(2);

/// Looks at all that the cache holds, at once.
static LOOKS: Semaphore = Semaphore::const_new(1);

/// How long the body of one is waited for.
const LONGEST_BODY: Duration = Duration::from_secs(10);

/// Learned pairs of words: a GET lists them, a POST changes one.
const EQUIVALENCES: &str = "/admin/cache/equivalences";

/// The last requests; with an id behind it, all of one.
const REQUESTS: &str = "/admin/requests";

/// What routes in shadow mode would have served by embeddings.
const SHADOW: &str = "/admin/cache/shadow";

const JSON: &str = "application/json";
/// A line of JSON each.
const LINES: &str = "application/jsonl";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain";
/// What a scraper accepts that reads exemplars.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// What is here, for who asks for something else.
const HERE: &str = "here: / /metrics /healthz /readyz /admin/ledger /admin/requests /admin/cache /admin/explain /admin/cache/purge \
    /admin/cache/equivalences /admin/cache/shadow\n";

/// Serves `/metrics`, `/healthz`, `/readyz` and what is under `/admin/`.
pub struct Admin {
    gateway: Arc<Gateway>,
    readiness: Readiness,
    local: bool,
    dashboard: Dashboard,
}

impl Admin {
    /// Serves what there is to know of `gateway`. `readiness` says whether clients are served, for who stops is healthy, but not
    /// ready; `local`, whether nobody but this machine reaches the listener.
    pub fn new(gateway: Arc<Gateway>, readiness: Readiness, local: bool) -> Admin {
        Admin { gateway, readiness, local, dashboard: Dashboard::default() }
    }

    /// Does now what whoever looks at the page first would wait for. Has to be called on a tokio runtime.
    pub fn read_ahead(&self) {
        self.dashboard.read_ahead(&self.gateway);
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let mut response = self.respond(session).await;
        response_headers::add(response.headers_mut());
        response
    }
}

impl Admin {
    async fn respond(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let path = request.uri.path();
        let posted = match path {
            "/admin/explain" => Some("only POST, with the request's JSON\n"),
            "/admin/cache/purge" => Some("only POST, with JSON that says which pictures are to go\n"),
            EQUIVALENCES if request.method == Method::POST => Some("only GET and POST\n"),
            _ => None,
        };
        let fits = match posted {
            Some(_) => request.method == Method::POST,
            None => matches!(request.method, Method::GET | Method::HEAD),
        };
        if let Some(refusal) = self.foreign(session, path) {
            return refusal;
        }
        if !fits {
            return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, posted.unwrap_or("only GET\n"));
        }
        if posted.is_some() {
            return match self.refuse_unauthorized(session) {
                Some(refusal) => refusal,
                None if path == "/admin/explain" => self.explain(session).await,
                None if path == EQUIVALENCES => self.change_equivalence(session).await,
                None => self.purge(session).await,
            };
        }
        match path {
            "/metrics" => self.metrics(session),
            "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => match self.readiness.refusal() {
                Some(why) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, &format!("{}\n", why.as_str())),
                None => answer(StatusCode::OK, TEXT, "ready\n"),
            },
            path if Dashboard::has(path) => match self.refuse_unauthorized(session) {
                Some(refusal) => asking_for_a_password(refusal),
                None => self.page(session, path, request.uri.query().unwrap_or_default()).await,
            },
            path if path.starts_with("/admin/") => match self.refuse_unauthorized(session) {
                Some(refusal) => refusal,
                None if path == "/admin/ledger" => self.ledger(request.uri.query().unwrap_or_default()).await,
                None if path.starts_with(REQUESTS) => {
                    self.requests(path, request.uri.query().unwrap_or_default()).await
                }
                None if path == "/admin/cache" => self.cache().await,
                None if path == EQUIVALENCES => told(Ok(Ok(equivalences::list(&self.gateway)))),
                None if path == SHADOW => answer(StatusCode::OK, LINES, &self.gateway.shared.shadow_hits.lines()),
                None => answer(StatusCode::NOT_FOUND, TEXT, HERE),
            },
            _ => answer(StatusCode::NOT_FOUND, TEXT, HERE),
        }
    }

    /// The page that Prometheus reads: with exemplars where it takes them and there are any, else as it always was.
    fn metrics(&self, session: &ServerSession) -> Response<Vec<u8>> {
        let accepted = session.req_header().headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let traced = self.gateway.snapshot().plan.server.tracing.is_some();
        let (page, kind) = match traced && accepted.into_iter().any(|kinds| kinds.contains(OPEN_METRICS)) {
            true => (self.gateway.scrape_open_metrics(), "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            false => (self.gateway.scrape(), "text/plain; version=0.0.4"),
        };
        match page {
            Ok(page) => answer(StatusCode::OK, kind, &page),
            Err(error) => {
                log::error!("metrics cannot be rendered: {error}");
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "metrics cannot be rendered\n")
            }
        }
    }

    /// The answer to a web page that would read or change what is not its own. Health is nobody's secret. Where others
    /// reach the listener, and where a token opens it, a program may call it what it likes.
    fn foreign(&self, session: &ServerSession, path: &str) -> Option<Response<Vec<u8>>> {
        let snapshot = self.gateway.snapshot();
        let server = &snapshot.plan.server;
        if matches!(path, "/healthz" | "/readyz") {
            return None;
        }
        let open = self.local && (server.admin_token.is_none() || path == "/metrics");
        let signs = OriginHeaders::of(session.req_header());
        let host_check = if open { HostCheck::Operators } else { HostCheck::OperatorsPages };
        browser_guard::foreign(signs, server, host_check).map(|foreign| refused(&foreign.error(signs)))
    }

    /// The refusal of a client that may not see what is under `/admin/`; `None` for one that may.
    fn refuse_unauthorized(&self, session: &ServerSession) -> Option<Response<Vec<u8>>> {
        let snapshot = self.gateway.snapshot();
        let Some(token) = &snapshot.plan.server.admin_token else {
            let help = "set server.admin_token, or let server.admin be a loopback address";
            return (!self.local).then(|| refused(&Error::new(ErrorKind::Forbidden, help).with_code("admin_closed")));
        };
        let told = session.req_header().headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let password = told.and_then(password);
        let known = told
            .and_then(bearer)
            .or(password.as_ref().map(|password| password.as_str()))
            .is_some_and(|told| token.is(told));
        let help = "send 'authorization: Bearer TOKEN' with server.admin_token";
        (!known).then(|| refused(&Error::new(ErrorKind::Unauthorized, help)))
    }

    /// What would become of the request in the body.
    async fn explain(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let turn = EXPLANATIONS.acquire().await;
        let body = match body(session, explain::MOST_BODY).await {
            Ok(body) => body,
            Err(error) => return refused(&error),
        };
        let head = session.req_header();
        let headers = head.headers.clone();
        let query = ExplainQuery::read(head.uri.query().unwrap_or_default());
        let gateway = self.gateway.clone();
        let explained = tokio::task::spawn_blocking(move || {
            let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            let explanation = explain::explain(&gateway, &body, &query?, told)?;
            Ok::<_, Error>(serde_json::to_string_pretty(&explanation).unwrap_or_default())
        });
        let explained = explained.await;
        drop(turn);
        match explained {
            Ok(Ok(text)) => answer(StatusCode::OK, JSON, &format!("{text}\n")),
            Ok(Err(error)) => refused(&error),
            Err(error) => {
                log::error!("a request was not explained: {error}");
                refused(&Error::new(ErrorKind::Internal, "the request was not explained"))
            }
        }
    }

    /// What the cache holds.
    async fn cache(&self) -> Response<Vec<u8>> {
        let turn = LOOKS.acquire().await;
        let gateway = self.gateway.clone();
        let looked = tokio::task::spawn_blocking(move || cache::contents(&gateway)).await;
        drop(turn);
        told(looked.map(Ok))
    }

    /// Takes out of the cache what the body selects.
    async fn purge(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let body = match body(session, cache::MOST_BODY).await {
            Ok(body) => body,
            Err(error) => return refused(&error),
        };
        let turn = LOOKS.acquire().await;
        let gateway = self.gateway.clone();
        let purged = tokio::task::spawn_blocking(move || cache::purge(&gateway, &body)).await;
        drop(turn);
        told(purged)
    }

    /// Changes what is known of a pair of words.
    async fn change_equivalence(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let changed = match body(session, cache::MOST_BODY).await {
            Ok(body) => equivalences::change(&self.gateway, &body).await,
            Err(error) => Err(error),
        };
        told(Ok(changed))
    }

    /// The page for people, or what it loads.
    async fn page(&self, session: &ServerSession, path: &str, query: &str) -> Response<Vec<u8>> {
        match self.dashboard.serve(&self.gateway, (path, query), &REPORTS).await {
            Ok(Served::Asset(media_type, text)) => answer(StatusCode::OK, media_type, text),
            Ok(Served::Picture(bytes)) => {
                let mut picture = answer(StatusCode::OK, "image/png", "");
                picture.headers_mut().insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(bytes.len()));
                *picture.body_mut() = bytes.to_vec();
                picture
            }
            Ok(Served::Page(status, text)) => {
                let mut page = compressed(session, answer(status, HTML, &text));
                let policy = http::HeaderValue::from_static(dashboard::POLICY);
                page.headers_mut().insert(http::header::CONTENT_SECURITY_POLICY, policy);
                page
            }
            Err(error) => refused(&error),
        }
    }

    /// The last requests, or all of one.
    async fn requests(&self, path: &str, query: &str) -> Response<Vec<u8>> {
        let id = match path.strip_prefix(REQUESTS).unwrap_or_default() {
            "" => None,
            rest => match rest.strip_prefix('/') {
                Some(id) => Some(id.to_owned()),
                None => return answer(StatusCode::NOT_FOUND, TEXT, HERE),
            },
        };
        let (gateway, query) = (self.gateway.clone(), query.to_owned());
        let turn = REPORTS.acquire().await;
        let story = move || {
            let story = match id {
                Some(id) => RequestStory::of(&gateway, &id).map(|story| story.json()),
                None => requests::list(&gateway, &query),
            };
            drop(turn);
            story
        };
        told(tokio::task::spawn_blocking(story).await)
    }

    /// What was paid, as `easel ledger` prints it.
    async fn ledger(&self, query: &str) -> Response<Vec<u8>> {
        self.gateway.shared.durable_ledger.write_savings();
        let (store, query) = (self.gateway.shared.durable_ledger.store().clone(), query.to_owned());
        let turn = REPORTS.acquire().await;
        let report = move || {
            let report = ledger(&store, &query);
            drop(turn);
            report
        };
        told(tokio::task::spawn_blocking(report).await)
    }
}

/// What a person typed when a browser asked: the token, under any name.
fn password(authorization: &str) -> Option<Zeroizing<String>> {
    let (scheme, pair) = authorization.split_once(' ')?;
    let pair = scheme.eq_ignore_ascii_case("basic").then_some(pair.trim())?;
    let pair = Zeroizing::new(String::from_utf8(base64_simd::STANDARD.decode_to_vec(pair).ok()?).ok()?);
    pair.split_once(':').map(|(_, password)| Zeroizing::new(password.to_owned()))
}

/// Has a browser ask the person before it for the token.
fn asking_for_a_password(mut refusal: Response<Vec<u8>>) -> Response<Vec<u8>> {
    if refusal.status() == StatusCode::UNAUTHORIZED {
        let ask = http::HeaderValue::from_static("Basic realm=\"Easel: any name, server.admin_token as password\"");
        refusal.headers_mut().insert(http::header::WWW_AUTHENTICATE, ask);
    }
    refusal
}

/// A page as gzip, for a browser that takes that: two hundred requests are much alike, and a tenth is left of them.
fn compressed(session: &ServerSession, page: Response<Vec<u8>>) -> Response<Vec<u8>> {
    let taken = session.req_header().headers.get(http::header::ACCEPT_ENCODING);
    let gzip = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|codings| codings.split(',').any(|coding| coding.trim() == "gzip"))
    };
    if !taken.is_some_and(gzip) {
        return page;
    }
    let (mut head, body) = page.into_parts();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(&body);
    let body = encoder.finish().unwrap_or_default();
    head.headers.insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    head.headers.insert(http::header::VARY, http::HeaderValue::from_static("accept-encoding"));
    head.headers.insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(body.len()));
    Response::from_parts(head, body)
}

/// An answer that a thread of its own has made.
fn told(answered: Result<Result<Value, Error>, JoinError>) -> Response<Vec<u8>> {
    match answered {
        Ok(Ok(value)) => answer(StatusCode::OK, JSON, &format!("{value:#}\n")),
        Ok(Err(error)) => refused(&error),
        Err(error) => {
            log::error!("an operator was not answered: {error}");
            refused(&Error::new(ErrorKind::Internal, "the answer was not made"))
        }
    }
}

/// The body, within its bounds of bytes and time.
async fn body(session: &mut ServerSession, most: usize) -> Result<Vec<u8>, Error> {
    let read = async {
        let mut body = Vec::new();
        while let Ok(Some(piece)) = session.read_request_body().await {
            if body.len() + piece.len() > most {
                let message = format!("the body has at most {most} bytes here");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    };
    let late = |_| Error::new(ErrorKind::InvalidRequest, "the body did not come in time");
    tokio::time::timeout(LONGEST_BODY, read).await.map_err(late)?
}

/// An error in the shape that the images' listener has, too.
fn refused(error: &Error) -> Response<Vec<u8>> {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(status, JSON, &format!("{:#}\n", json!({"error": error_object(error)})))
}

fn answer(status: StatusCode, media_type: &'static str, body: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    headers.insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(body.len()));
    response
}
