//! Error responses of version 1 of Stability's API.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldError;
use crate::sandbox::read_http_request::BadBody;
use crate::sandbox::stability::common::fault_words;

/// Version 1's envelope: one `message`.
pub(super) fn error_body(name: &str, message: &str) -> Value {
    json!({"id": "sandbox", "name": name, "message": message})
}

pub(super) fn bad_field(name: &str, error: &FieldError) -> ErrorResponse {
    ErrorResponse::violation(
        StatusCode::BAD_REQUEST,
        error_body(name, &format!("{}: {}", error.field, error.sentence())),
    )
}

pub(super) fn bad_body(why: BadBody) -> ErrorResponse {
    match why {
        BadBody::ContentType(given) => {
            let error = FieldError::other("content-type", format!("must be application/json, not '{given}'"));
            bad_field("bad_request", &error)
        }
        BadBody::TooLarge => {
            ErrorResponse::violation(StatusCode::PAYLOAD_TOO_LARGE, error_body("payload_too_large", "body over 10MiB"))
        }
        BadBody::NotJson(why) => bad_field("bad_request", &FieldError::other("body", why)),
        BadBody::NotAnObject => bad_field("bad_request", &FieldError::other("body", "must be an object")),
    }
}

/// No `retry-after`: Stability documents none, only its penalty of 60 seconds.
pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    let (status, name, message) = fault_words(mode);
    ErrorResponse::fault(status, error_body(name, message))
}
