//! An error response in a vendor's own shape: its status and JSON, and whether the caller is to blame.
//!
//! Every vendor builds its own in its folder. Nothing here knows a wire format, except that a web page is garbage to all of
//! them.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;

use crate::sandbox::json_response::JsonResponse;

/// The page of a load balancer with no server behind it.
const PAGE: &str = "<!doctype html><html><head><title>502 Bad Gateway</title></head>\
                    <body><h1>Bad Gateway</h1><p>The sandbox was told to answer garbage.</p></body></html>\n";

/// How much of a refused request's answer goes on the invoice.
const QUOTE: usize = 300;

/// A response without pictures: an error or a refusal in the vendor's own shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ErrorResponse {
    pub status: StatusCode,
    pub body: Value,
    /// Sent as `retry-after`, in whole seconds.
    retry_after: Option<Duration>,
    /// The caller sent a wrong request; this goes on the invoice.
    callers_fault: bool,
    /// A web page is sent instead of `body`.
    page: bool,
}

impl ErrorResponse {
    /// The request is not one this vendor takes.
    pub(super) fn violation(status: StatusCode, body: Value) -> ErrorResponse {
        ErrorResponse { callers_fault: true, ..ErrorResponse::fault(status, body) }
    }

    /// Nothing wrong with the request: a fault, or a refusal of its content.
    pub(super) fn fault(status: StatusCode, body: Value) -> ErrorResponse {
        ErrorResponse { status, body, retry_after: None, callers_fault: false, page: false }
    }

    /// A web page with status 200 instead of an answer.
    pub(super) fn garbage() -> ErrorResponse {
        ErrorResponse { page: true, ..ErrorResponse::fault(StatusCode::OK, Value::Null) }
    }

    /// The sandbox itself failed. It has no vendor's shape, so that no client learns to expect it.
    pub(super) fn broken() -> ErrorResponse {
        ErrorResponse::fault(StatusCode::INTERNAL_SERVER_ERROR, Value::String("the sandbox itself failed".to_owned()))
    }

    /// The same with a `retry-after` header.
    pub(super) fn with_retry_after(mut self, after: Duration) -> ErrorResponse {
        self.retry_after = Some(after);
        self
    }

    /// The same with another body.
    pub(super) fn reworded(mut self, body: Value) -> ErrorResponse {
        self.body = body;
        self
    }

    /// What goes on the invoice where the request was wrong.
    pub(super) fn violation_note(&self) -> Option<String> {
        let words = || format!("{} {}", self.status.as_u16(), self.body);
        self.callers_fault.then(|| words().chars().take(QUOTE).collect())
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        if self.page {
            return (self.status, Html(PAGE)).into_response();
        }
        let mut answer = (self.status, JsonResponse(self.body)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
