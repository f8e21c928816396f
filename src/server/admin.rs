//! The operator's listener: metrics and health. Loopback by default; nothing here changes anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::gateway::Gateway;

/// Serves `/metrics`, `/healthz` and `/readyz`.
pub struct Admin {
    /// Whose metrics.
    pub gateway: Arc<Gateway>,
    /// Set while the server drains: healthy, but not ready.
    pub draining: Arc<AtomicBool>,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        if !matches!(request.method, http::Method::GET | http::Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n");
        }
        match request.uri.path() {
            "/metrics" => match self.gateway.scrape() {
                Ok(page) => text(StatusCode::OK, "text/plain; version=0.0.4", &page),
                Err(error) => {
                    log::error!("metrics cannot be rendered: {error}");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics cannot be rendered\n")
                }
            },
            "/healthz" => text(StatusCode::OK, "text/plain", "ok\n"),
            "/readyz" if self.draining.load(Ordering::Acquire) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "draining\n")
            }
            "/readyz" => text(StatusCode::OK, "text/plain", "ready\n"),
            _ => text(StatusCode::NOT_FOUND, "text/plain", "here: /metrics /healthz /readyz\n"),
        }
    }
}

fn text(status: StatusCode, media_type: &'static str, body: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    headers.insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(body.len()));
    response
}
