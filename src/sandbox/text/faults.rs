//! Faults in OpenAI's words, about words instead of pictures.

use axum::http::StatusCode;
use serde_json::json;

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::openai;

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    match mode {
        Mode::RateLimited { retry_after } => {
            let message = "Rate limit reached for requests per min (RPM).";
            let error = json!({"message": message, "type": "requests", "param": null, "code": "rate_limit_exceeded"});
            ErrorResponse::fault(StatusCode::TOO_MANY_REQUESTS, json!({"error": error})).with_retry_after(retry_after)
        }
        mode => openai::errors::fault_response(mode),
    }
}
