//! Error responses as Google words them.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::read_http_request::BadBody;

pub(super) fn error_body(status: StatusCode, word: &str, message: &str) -> Value {
    json!({"error": {"code": status.as_u16(), "message": message, "status": word}})
}

pub(super) fn violation(status: StatusCode, word: &str, message: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error_body(status, word, message))
}

pub(super) fn bad_field(error: FieldError) -> ErrorResponse {
    let message = match error.why {
        FieldErrorKind::Unknown => {
            format!("Invalid JSON payload received. Unknown name \"{}\": Cannot find field.", error.field)
        }
        _ => format!("{}: {}", error.field, error.sentence()),
    };
    violation(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &message)
}

pub(super) fn bad_body(why: BadBody) -> ErrorResponse {
    let message = match why {
        BadBody::ContentType(given) => format!("content type must be application/json, not '{given}'"),
        BadBody::TooLarge => "Request payload size exceeds the limit".to_owned(),
        BadBody::NotJson(why) => format!("Invalid JSON payload received. {why}"),
        BadBody::NotAnObject => "Invalid JSON payload received. Expected an object.".to_owned(),
    };
    violation(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &message)
}

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    let fault_response = |status, word, message| ErrorResponse::fault(status, error_body(status, word, message));
    match mode {
        Mode::RateLimited { retry_after } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut body = error_body(status, "RESOURCE_EXHAUSTED", "You exceeded your current quota.");
            body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}s", retry_after.as_secs_f32())}]);
            ErrorResponse::fault(status, body)
        }
        Mode::OutOfMoney => fault_response(
            StatusCode::FORBIDDEN,
            "PERMISSION_DENIED",
            "This API method requires billing to be enabled.",
        )
        .reworded(json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
            "message": "This API method requires billing to be enabled.",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED"}]}})),
        _ => fault_response(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "An internal error has occurred."),
    }
}
