//! The operator's listener: metrics, health, and what was paid. Loopback by default; nothing here changes anything.
//!
//! Metrics and health are for whoever reaches it, so that a scraper needs no key. What is under `/admin/` is for who is
//! on the machine or has the token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::admin::explain::{ExplainQuery, MOST_BODY, explain};
use crate::admin::ledger::ledger;
use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;
use crate::server::authenticate::bearer;
use crate::server::browser_guard::{self, HostCheck, OriginHeaders};
use crate::server::response::error_object;

/// Reports that are made at once. Each sorts all rows of its time, so the others wait.
static REPORTS: Semaphore = Semaphore::const_new(2);

/// Requests that are explained at once, each with its body in memory.
static EXPLANATIONS: Semaphore = Semaphore::const_new(2);

/// How long the body of one is waited for.
const LONGEST_BODY: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Serves `/metrics`, `/healthz`, `/readyz`, `/admin/ledger` and `/admin/explain`.
pub struct Admin {
    /// Whose metrics.
    pub gateway: Arc<Gateway>,
    /// Set while the server drains: healthy, but not ready.
    pub draining: Arc<AtomicBool>,
    /// Whether nobody but this machine reaches the listener.
    pub local: bool,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let path = request.uri.path();
        let explains = path == "/admin/explain";
        let fits = if explains {
            request.method == Method::POST
        } else {
            matches!(request.method, Method::GET | Method::HEAD)
        };
        if !fits {
            let only = if explains { "only POST, with the request's JSON\n" } else { "only GET\n" };
            return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, only);
        }
        if let Some(refusal) = self.foreign(session, path) {
            return refusal;
        }
        if explains {
            return match self.refuse_unauthorized(session) {
                Some(refusal) => refusal,
                None => self.explain(session).await,
            };
        }
        match path {
            "/metrics" => self.metrics(),
            "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" if self.draining.load(Ordering::Acquire) => {
                answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n")
            }
            "/readyz" => answer(StatusCode::OK, TEXT, "ready\n"),
            path if path.starts_with("/admin/") => match self.refuse_unauthorized(session) {
                Some(refusal) => refusal,
                None if path == "/admin/ledger" => self.ledger(request.uri.query().unwrap_or_default()).await,
                None => answer(StatusCode::NOT_FOUND, TEXT, "here: /admin/ledger /admin/explain\n"),
            },
            _ => answer(StatusCode::NOT_FOUND, TEXT, "here: /metrics /healthz /readyz /admin/ledger /admin/explain\n"),
        }
    }
}

impl Admin {
    fn metrics(&self) -> Response<Vec<u8>> {
        match self.gateway.scrape() {
            Ok(page) => answer(StatusCode::OK, "text/plain; version=0.0.4", &page),
            Err(error) => {
                log::error!("metrics cannot be rendered: {error}");
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "metrics cannot be rendered\n")
            }
        }
    }

    /// The answer to a web page that would read what is not its own. Health is nobody's secret, what a token opens is
    /// shut to pages anyway, and where others reach the listener a program may call it what it likes.
    fn foreign(&self, session: &ServerSession, path: &str) -> Option<Response<Vec<u8>>> {
        let snapshot = self.gateway.snapshot();
        let server = &snapshot.plan.server;
        let guarded = path == "/metrics" || (path.starts_with("/admin/") && server.admin_token.is_none());
        if !guarded {
            return None;
        }
        let signs = OriginHeaders::of(session.req_header());
        let host_check = if self.local { HostCheck::Operators } else { HostCheck::Clients };
        browser_guard::foreign(signs, server, host_check).map(|foreign| refused(&foreign.error(signs)))
    }

    /// The refusal of a client that may not see what is under `/admin/`; `None` for one that may.
    fn refuse_unauthorized(&self, session: &ServerSession) -> Option<Response<Vec<u8>>> {
        let snapshot = self.gateway.snapshot();
        let Some(token) = &snapshot.plan.server.admin_token else {
            let help = "set server.admin_token, or let server.admin be a loopback address";
            return (!self.local).then(|| refused(&Error::new(ErrorKind::Forbidden, help).with_code("admin_closed")));
        };
        let told = session.req_header().headers.get(http::header::AUTHORIZATION);
        let told = told.and_then(|value| bearer(value.to_str().ok()?));
        let known = told.is_some_and(|told| bool::from(told.as_bytes().ct_eq(token.reveal().as_bytes())));
        let help = "send 'authorization: Bearer TOKEN' with server.admin_token";
        (!known).then(|| refused(&Error::new(ErrorKind::Unauthorized, help)))
    }

    /// What would become of the request in the body.
    async fn explain(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let turn = EXPLANATIONS.acquire().await;
        let body = match body(session).await {
            Ok(body) => body,
            Err(error) => return refused(&error),
        };
        let head = session.req_header();
        let headers = head.headers.clone();
        let query = ExplainQuery::read(head.uri.query().unwrap_or_default());
        let gateway = self.gateway.clone();
        let explained = tokio::task::spawn_blocking(move || {
            let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            let explanation = explain(&gateway, &body, &query?, told)?;
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
        match tokio::task::spawn_blocking(report).await {
            Ok(Ok(report)) => answer(StatusCode::OK, JSON, &format!("{report:#}\n")),
            Ok(Err(error)) => refused(&error),
            Err(error) => {
                log::error!("a report was not made: {error}");
                refused(&Error::new(ErrorKind::Internal, "the report was not made"))
            }
        }
    }
}

/// The body, within its bounds of bytes and time.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Error> {
    let read = async {
        let mut body = Vec::new();
        while let Ok(Some(piece)) = session.read_request_body().await {
            if body.len() + piece.len() > MOST_BODY {
                let message = format!("a request to be explained has at most {MOST_BODY} bytes");
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
