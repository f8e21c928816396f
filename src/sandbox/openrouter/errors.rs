//! Error responses as OpenRouter words them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldError;
use crate::sandbox::read_http_request::BadBody;

/// The envelope, whose code is a number.
pub(super) fn error_body(status: StatusCode, message: &str) -> Value {
    json!({"error": {"code": status.as_u16(), "message": message}, "user_id": "user_sandbox"})
}

pub(super) fn violation(status: StatusCode, message: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error_body(status, message))
}

pub(super) fn bad_field(error: FieldError) -> ErrorResponse {
    violation(StatusCode::BAD_REQUEST, &format!("{}: {}", error.field, error.sentence()))
}

pub(super) fn bad_body(why: BadBody) -> ErrorResponse {
    match why {
        BadBody::ContentType(given) => {
            violation(StatusCode::BAD_REQUEST, &format!("expected application/json, not '{given}'"))
        }
        BadBody::TooLarge => violation(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
        BadBody::NotJson(why) => violation(StatusCode::BAD_REQUEST, &format!("Invalid JSON: {why}")),
        BadBody::NotAnObject => violation(StatusCode::BAD_REQUEST, "Invalid input: expected object"),
    }
}

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    let fault_response = |status, message| ErrorResponse::fault(status, error_body(status, message));
    match mode {
        Mode::RateLimited { retry_after } => {
            fault_response(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").with_retry_after(retry_after)
        }
        Mode::OutOfMoney => fault_response(StatusCode::PAYMENT_REQUIRED, "Insufficient credits. Add more to continue."),
        _ => fault_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}
