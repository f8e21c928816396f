//! DashScope's error responses: `{"code","message","request_id"}`; only the message names the field.
//!
//! PROVIDERS.md section 10 has the codes and statuses; some sentences are from memory. Nothing here decides whether
//! there is an error.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldError;
use crate::sandbox::read_http_request::BadBody;

/// What the filter says of what came out.
pub(in crate::sandbox) const WITHHELD: (&str, &str) =
    ("DataInspectionFailed", "Output data may contain inappropriate content.");

/// An id like the vendor's.
pub(in crate::sandbox) fn request_id(seed: u64) -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", seed >> 32, seed & 0xffff_ffff)
}

pub(in crate::sandbox) fn wrong_surface(calls: &str) -> ErrorResponse {
    let words = format!("current user api does not support {calls} calls");
    violation(StatusCode::FORBIDDEN, "AccessDenied", &words)
}

/// The vendor's envelope for errors.
pub(in crate::sandbox) fn error_body(code: &str, message: &str) -> Value {
    json!({"code": code, "message": message, "request_id": request_id(0)})
}

pub(in crate::sandbox) fn violation(status: StatusCode, code: &str, message: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error_body(code, message))
}

/// The vendor names a field only in its sentence.
pub(in crate::sandbox) fn bad_field(field: &FieldError) -> ErrorResponse {
    // What the vendor calls it behind the scenes is what it says.
    let name = if field.field == "n" { "num_images_per_prompt" } else { &field.field };
    let words = format!("The {name} {}", field.sentence());
    violation(StatusCode::BAD_REQUEST, "InvalidParameter", &words)
}

pub(in crate::sandbox) fn bad_body(why: BadBody) -> ErrorResponse {
    let words = match why {
        BadBody::TooLarge => {
            return violation(StatusCode::PAYLOAD_TOO_LARGE, "BadRequest.TooLarge", "Payload Too Large");
        }
        BadBody::ContentType(given) => format!("Content-Type '{given}' is not supported."),
        BadBody::NotJson(why) => format!("Required body invalid, please check the request body format. ({why})"),
        BadBody::NotAnObject => "Required body invalid, please check the request body format.".to_owned(),
    };
    violation(StatusCode::BAD_REQUEST, "InvalidParameter", &words)
}

/// No `retry-after`: the vendor does not say when to come back.
pub(in crate::sandbox) fn fault_response(mode: Mode) -> ErrorResponse {
    let (status, code, words) = match mode {
        Mode::RateLimited { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Throttling.RateQuota",
            "Requests rate limit exceeded, please try again later.",
        ),
        Mode::OutOfMoney => {
            (StatusCode::BAD_REQUEST, "Arrearage", "Access denied, please make sure your account is in good standing.")
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "An internal error has occurred."),
    };
    ErrorResponse::fault(status, error_body(code, words))
}

/// The content of what was sent is refused.
pub(in crate::sandbox) fn refusal() -> ErrorResponse {
    ErrorResponse::fault(
        StatusCode::BAD_REQUEST,
        error_body("DataInspectionFailed", "Input data may contain inappropriate content."),
    )
}
