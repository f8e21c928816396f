//! Error responses of version 2beta of Stability's API (Stable Image).

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldError;
use crate::sandbox::multipart::BadForm;
use crate::sandbox::stability::common::fault_words;

pub(super) fn bad_form(bad: BadForm, given: &str) -> ErrorResponse {
    match bad {
        BadForm::TooLarge => {
            violation(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "body: must be at most 10MiB")
        }
        BadForm::ContentType(_) => {
            bad_field(&FieldError::other("content-type", format!("must be multipart/form-data, not '{given}'")))
        }
        BadForm::Broken(words) => bad_field(&FieldError::other("body", words)),
        BadForm::Twice(name) => bad_field(&FieldError::other(&name, "must be given once")),
    }
}

/// Version 2beta's envelope: a list of `errors`.
pub(super) fn error_body(name: &str, words: &str) -> Value {
    json!({"id": "sandbox", "name": name, "errors": [words]})
}

pub(super) fn violation(status: StatusCode, name: &str, words: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error_body(name, words))
}

pub(super) fn bad_field(field: &FieldError) -> ErrorResponse {
    violation(StatusCode::BAD_REQUEST, "bad_request", &format!("{}: {}", field.field, field.sentence()))
}

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    let (status, name, words) = fault_words(mode);
    ErrorResponse::fault(status, error_body(name, words))
}
