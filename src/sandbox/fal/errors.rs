//! fal.ai's error responses: the queue's own as `{"detail", "error_type"}`, a model's as a list of `detail`s.
//!
//! PROVIDERS.md section 9.2 has the types and statuses; some sentences are from memory. Nothing here decides whether
//! there is an error.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldErrorKind;
use crate::sandbox::read_http_request::BadBody;

/// An error of the queue's own.
pub(in crate::sandbox) fn violation(status: StatusCode, words: &str, kind: &str) -> ErrorResponse {
    ErrorResponse::violation(status, json!({"detail": words, "error_type": kind}))
}

/// An error of the model's.
pub(in crate::sandbox) fn model_error(field: &str, words: &str, kind: &str) -> Value {
    let page = format!("https://docs.fal.ai/errors#{kind}");
    json!({"detail": [{"loc": ["body", field], "msg": words, "type": kind, "url": page, "ctx": {}, "input": {}}]})
}

pub(in crate::sandbox) fn kind_of(why: &FieldErrorKind) -> &'static str {
    match why {
        FieldErrorKind::Missing => "missing",
        FieldErrorKind::Unknown => "extra_forbidden",
        FieldErrorKind::NotA(..) => "type_error",
        FieldErrorKind::Empty => "string_too_short",
        FieldErrorKind::TooLong(..) => "string_too_long",
        FieldErrorKind::Below(_) => "greater_than_equal",
        FieldErrorKind::Above(_) => "less_than_equal",
        FieldErrorKind::NotOneOf(_) => "literal_error",
        FieldErrorKind::Other(_) => "value_error",
    }
}

pub(in crate::sandbox) fn bad_body(why: BadBody) -> ErrorResponse {
    let (status, words) = match why {
        BadBody::ContentType(given) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported content type '{given}'"))
        }
        BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large".to_owned()),
        BadBody::NotJson(why) => (StatusCode::UNPROCESSABLE_ENTITY, format!("Request body is no JSON: {why}")),
        BadBody::NotAnObject => (StatusCode::UNPROCESSABLE_ENTITY, "Request body is no JSON object".to_owned()),
    };
    violation(status, &words, "bad_request")
}

/// No `retry-after`: the vendor does not say when to come back.
pub(in crate::sandbox) fn fault_response(mode: Mode) -> ErrorResponse {
    let (status, words, kind) = match mode {
        Mode::RateLimited { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "You have reached the limit of concurrent requests. Please try again later.",
            "concurrent_requests_limit",
        ),
        Mode::OutOfMoney => (
            StatusCode::FORBIDDEN,
            "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
            "forbidden",
        ),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", "internal_error"),
    };
    ErrorResponse::fault(status, json!({"detail": words, "error_type": kind}))
}
