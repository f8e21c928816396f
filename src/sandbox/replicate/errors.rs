//! Error responses as Replicate words them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldError;
use crate::sandbox::read_http_request::BadBody;

pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Value {
    json!({"title": title, "detail": detail, "status": status.as_u16()})
}

pub(super) fn not_found_error() -> ErrorResponse {
    let words = "The requested resource could not be found.";
    ErrorResponse::violation(StatusCode::NOT_FOUND, problem(StatusCode::NOT_FOUND, "Not found", words))
}

pub(super) fn no_such_version() -> ErrorResponse {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let words = "The specified version does not exist (or perhaps you don't have permission to use it?)";
    ErrorResponse::violation(status, problem(status, "Invalid version or not permitted", words))
}

pub(super) fn bad_header(name: &str, sentence: &str) -> ErrorResponse {
    let words = format!("{name} {sentence}");
    ErrorResponse::violation(StatusCode::BAD_REQUEST, problem(StatusCode::BAD_REQUEST, "Invalid header", &words))
}

pub(super) fn bad_field(inside: &str, error: &FieldError) -> ErrorResponse {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let (field, sentence) = (format!("{inside}{}", error.field), error.sentence());
    let mut body = problem(status, "Input validation failed", &format!("- {field}: {sentence}\n"));
    body["invalid_fields"] = json!([{"field": field, "description": sentence}]);
    ErrorResponse::violation(status, body)
}

pub(super) fn bad_body(why: BadBody) -> ErrorResponse {
    let (status, words) = match why {
        BadBody::ContentType(given) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported media type \"{given}\" in request."))
        }
        BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large.".to_owned()),
        BadBody::NotJson(why) => (StatusCode::BAD_REQUEST, format!("JSON parse error - {why}")),
        BadBody::NotAnObject => (StatusCode::BAD_REQUEST, "The body must be an object.".to_owned()),
    };
    ErrorResponse::violation(status, json!({"detail": words}))
}

/// No `retry-after`: Replicate says when to come back in its sentence.
pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    let (status, body) = match mode {
        Mode::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            let words = format!("Request was throttled. Your rate limit resets in ~{seconds}s.");
            (StatusCode::TOO_MANY_REQUESTS, json!({"detail": words, "status": 429, "title": "Too many requests"}))
        }
        Mode::OutOfMoney => {
            let words = "You have insufficient credit to run this model. Go to https://replicate.com/account/billing.";
            let status = StatusCode::PAYMENT_REQUIRED;
            (status, problem(status, "Insufficient credit", words))
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, json!({"detail": "Internal server error"})),
    };
    ErrorResponse::fault(status, body)
}
