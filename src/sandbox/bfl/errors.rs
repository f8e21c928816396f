//! Error responses as Black Forest Labs words them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::read_http_request::BadBody;

pub(super) fn violation(status: StatusCode, words: &str) -> ErrorResponse {
    ErrorResponse::violation(status, json!({"detail": words}))
}

pub(super) fn not_found_error() -> ErrorResponse {
    violation(StatusCode::NOT_FOUND, "Not Found")
}

pub(super) fn bad_field(place: &str, error: &FieldError) -> ErrorResponse {
    let kind = match error.why {
        FieldErrorKind::Missing => "missing",
        FieldErrorKind::Unknown => "extra_forbidden",
        FieldErrorKind::NotA(..) => "type_error",
        FieldErrorKind::Below(_) => "greater_than_equal",
        FieldErrorKind::Above(_) => "less_than_equal",
        FieldErrorKind::NotOneOf(_) => "enum",
        FieldErrorKind::Empty | FieldErrorKind::TooLong(..) | FieldErrorKind::Other(_) => "value_error",
    };
    unprocessable(json!([place, error.field]), &error.sentence(), kind)
}

fn unprocessable(place: Value, words: &str, kind: &str) -> ErrorResponse {
    ErrorResponse::violation(
        StatusCode::UNPROCESSABLE_ENTITY,
        json!({"detail": [{"loc": place, "msg": words, "type": kind}]}),
    )
}

pub(super) fn bad_body(why: BadBody) -> ErrorResponse {
    match why {
        BadBody::TooLarge => violation(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
        BadBody::NotJson(why) => unprocessable(json!(["body"]), &format!("JSON decode error: {why}"), "json_invalid"),
        BadBody::NotAnObject | BadBody::ContentType(_) => {
            unprocessable(json!(["body"]), "Input should be a valid dictionary", "model_attributes_type")
        }
    }
}

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    match mode {
        Mode::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            let words = "Too many concurrent tasks";
            let body = json!({"error": "rate_limit_exceeded", "message": words, "retry_after": seconds});
            ErrorResponse::fault(StatusCode::TOO_MANY_REQUESTS, body).with_retry_after(retry_after)
        }
        Mode::OutOfMoney => {
            ErrorResponse::fault(StatusCode::PAYMENT_REQUIRED, json!({"detail": "Insufficient credits"}))
        }
        _ => ErrorResponse::fault(StatusCode::INTERNAL_SERVER_ERROR, json!({"detail": "Internal Server Error"})),
    }
}
