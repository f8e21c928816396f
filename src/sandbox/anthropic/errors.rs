//! What Anthropic says when something is wrong.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::http_request::BadBody;

/// The envelope; the id is added where it is known.
pub(super) fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

pub(super) fn violation(status: StatusCode, kind: &str, message: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error(kind, message))
}

pub(super) fn invalid(message: &str) -> ErrorResponse {
    violation(StatusCode::BAD_REQUEST, "invalid_request_error", message)
}

pub(super) fn with_id(no: ErrorResponse, id: &str) -> ErrorResponse {
    let mut body = no.body.clone();
    if body.is_object() {
        body["request_id"] = json!(id);
    }
    no.reworded(body)
}

pub(super) fn fault(mode: Mode) -> ErrorResponse {
    let fault = |status: u16, kind, message| {
        ErrorResponse::fault(
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error(kind, message),
        )
    };
    match mode {
        Mode::RateLimited { retry_after } => {
            let message = "This request would exceed your organization's rate limit.";
            fault(429, "rate_limit_error", message).with_retry_after(retry_after)
        }
        Mode::OutOfMoney => fault(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or \
             purchase credits.",
        ),
        Mode::Overloaded => fault(529, "overloaded_error", "Overloaded"),
        _ => fault(500, "api_error", "Internal server error"),
    }
}

pub(in crate::sandbox) fn bad_field(wrong: FieldError) -> ErrorResponse {
    let sentence = match &wrong.why {
        FieldErrorKind::Missing => "Field required".to_owned(),
        FieldErrorKind::Unknown => "Extra inputs are not permitted".to_owned(),
        FieldErrorKind::Below(least) => format!("Input should be greater than or equal to {least}"),
        FieldErrorKind::Above(most) => format!("Input should be less than or equal to {most}"),
        _ => wrong.sentence(),
    };
    invalid(&format!("{}: {sentence}", wrong.field))
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
