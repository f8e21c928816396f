//! OpenAI's error responses: `{"error":{"message","type","param","code"}}`, all four keys always there.
//!
//! PROVIDERS.md section 1.6 quotes the refusal and `unknown_parameter`; the other sentences are from memory. Status,
//! type, param and code are what a client may rely on. Nothing here decides whether there is an error.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::read_http_request::BadBody;

fn error_body(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

pub(in crate::sandbox) fn invalid(message: &str, param: Option<&str>, code: Option<&str>) -> Value {
    error_body(message, "invalid_request_error", param, code)
}

pub(in crate::sandbox) fn no_such_model(model: &str) -> ErrorResponse {
    let message = format!("The model '{model}' does not exist or you do not have access to it.");
    ErrorResponse::violation(StatusCode::NOT_FOUND, invalid(&message, Some("model"), Some("model_not_found")))
}

pub(in crate::sandbox) fn bad_body(why: BadBody) -> ErrorResponse {
    let (status, message, code) = match why {
        BadBody::ContentType(given) => (
            StatusCode::BAD_REQUEST,
            format!(
                "Unsupported content type: '{given}'. This API method only accepts \
                 'application/json' requests, but you specified the header 'Content-Type: {given}'. Please try \
                 again with a supported content type."
            ),
            Some("unsupported_content_type"),
        ),
        BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large.".to_owned(), None),
        BadBody::NotJson(why) => {
            (StatusCode::BAD_REQUEST, format!("We could not parse the JSON body of your request. ({why})"), None)
        }
        BadBody::NotAnObject => {
            (StatusCode::BAD_REQUEST, "We expected the JSON body of your request to be an object.".to_owned(), None)
        }
    };
    ErrorResponse::violation(status, invalid(&message, None, code))
}

pub(in crate::sandbox) fn bad_field(error: FieldError) -> ErrorResponse {
    let name = &error.field;
    let (message, code) = match &error.why {
        FieldErrorKind::Missing => (format!("Missing required parameter: '{name}'."), "missing_required_parameter"),
        FieldErrorKind::Unknown => (format!("Unknown parameter: '{name}'."), "unknown_parameter"),
        FieldErrorKind::NotA(wanted, got) => {
            (format!("Invalid type for '{name}': expected {wanted}, but got {got} instead."), "invalid_type")
        }
        FieldErrorKind::Empty => (
            format!(
                "Invalid '{name}': empty string. Expected a string with minimum length 1, but got an \
                 empty string instead."
            ),
            "empty_string",
        ),
        FieldErrorKind::TooLong(most, got) => (
            format!(
                "Invalid '{name}': string too long. Expected a string with maximum length {most}, but got a \
                 string with length {got} instead."
            ),
            "string_above_max_length",
        ),
        FieldErrorKind::Below(least) => (
            format!("Invalid '{name}': integer below minimum value. Expected a value >= {least}."),
            "integer_below_min_value",
        ),
        FieldErrorKind::Above(most) => (
            format!("Invalid '{name}': integer above maximum value. Expected a value <= {most}."),
            "integer_above_max_value",
        ),
        FieldErrorKind::NotOneOf(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            (format!("Invalid value for '{name}'. Supported values are: {}.", words.join(", ")), "invalid_value")
        }
        FieldErrorKind::Other(sentence) => {
            (sentence.clone(), if name == "size" { "invalid_size" } else { "invalid_value" })
        }
    };
    ErrorResponse::violation(StatusCode::BAD_REQUEST, invalid(&message, Some(name), Some(code)))
}

/// A fault as OpenAI words it; `sandbox/compatible/execute.rs` uses it too.
pub(in crate::sandbox) fn fault_response(mode: Mode) -> ErrorResponse {
    match mode {
        Mode::RateLimited { retry_after } => {
            let body =
                error_body("Rate limit reached for images per minute.", "requests", None, Some("rate_limit_exceeded"));
            ErrorResponse::fault(StatusCode::TOO_MANY_REQUESTS, body).with_retry_after(retry_after)
        }
        Mode::OutOfMoney => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            let body = error_body(message, "insufficient_quota", None, Some("insufficient_quota"));
            ErrorResponse::fault(StatusCode::TOO_MANY_REQUESTS, body)
        }
        _ => {
            let message = "The server had an error while processing your request. Sorry about that!";
            ErrorResponse::fault(StatusCode::INTERNAL_SERVER_ERROR, error_body(message, "server_error", None, None))
        }
    }
}

pub(in crate::sandbox) fn refusal(is_dalle: bool, request_id: &str) -> ErrorResponse {
    let message = format!(
        "Your request was rejected by the safety system. If you believe this is an error, contact us \
         at help.openai.com and include the request ID {}. safety_violations=[violence].",
        request_id
    );
    let body = if is_dalle {
        invalid(&message, None, Some("content_policy_violation"))
    } else {
        let mut body = error_body(&message, "image_generation_user_error", None, Some("moderation_blocked"));
        body["error"]["moderation_details"] = json!({"moderation_stage": "input", "categories": ["violence"]});
        body
    };
    ErrorResponse::fault(StatusCode::BAD_REQUEST, body)
}
