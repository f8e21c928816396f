//! Error responses as Anthropic words them.
//!
//! The field's name stands before the sentence, as the vendor has it; the sentences themselves are from memory. Status
//! and type are what a client may rely on.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::read_http_request::BadBody;

/// The envelope; the id is added where it is known.
pub(super) fn error_body(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

pub(super) fn violation(status: StatusCode, kind: &str, message: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error_body(kind, message))
}

pub(super) fn invalid(message: &str) -> ErrorResponse {
    violation(StatusCode::BAD_REQUEST, "invalid_request_error", message)
}

pub(super) fn with_id(error: ErrorResponse, id: &str) -> ErrorResponse {
    let mut body = error.body.clone();
    if body.is_object() {
        body["request_id"] = json!(id);
    }
    error.reworded(body)
}

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    let fault_response = |status: u16, kind, message| {
        ErrorResponse::fault(
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error_body(kind, message),
        )
    };
    match mode {
        Mode::RateLimited { retry_after } => {
            let message = "This request would exceed your organization's rate limit.";
            fault_response(429, "rate_limit_error", message).with_retry_after(retry_after)
        }
        Mode::OutOfMoney => fault_response(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or \
             purchase credits.",
        ),
        Mode::Overloaded => fault_response(529, "overloaded_error", "Overloaded"),
        _ => fault_response(500, "api_error", "Internal server error"),
    }
}

pub(in crate::sandbox) fn bad_field(error: FieldError) -> ErrorResponse {
    let sentence = match &error.why {
        FieldErrorKind::Missing => "Field required".to_owned(),
        FieldErrorKind::Unknown => "Extra inputs are not permitted".to_owned(),
        FieldErrorKind::Below(least) => format!("Input should be greater than or equal to {least}"),
        FieldErrorKind::Above(most) => format!("Input should be less than or equal to {most}"),
        _ => error.sentence(),
    };
    invalid(&format!("{}: {sentence}", error.field))
}

pub(in crate::sandbox) fn bad_body(why: BadBody) -> ErrorResponse {
    match why {
        BadBody::ContentType(given) => invalid(&format!("content-type: must be application/json, not '{given}'")),
        BadBody::TooLarge => {
            let message = "Request exceeds the maximum allowed number of bytes.";
            violation(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
        }
        BadBody::NotJson(why) => invalid(&format!("The request body is not valid JSON: {why}")),
        BadBody::NotAnObject => invalid("Input should be a valid dictionary"),
    }
}
