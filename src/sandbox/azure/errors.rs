//! Error responses as Azure OpenAI words them: OpenAI's errors in Azure's envelope, and errors of its own.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::FieldError;
use crate::sandbox::openai;
use crate::sandbox::openai::models::Family;

/// Azure's envelope, whose code is a word or a status in a string.
pub(super) fn error_body(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

pub(super) fn violation(status: StatusCode, code: &str, message: &str) -> ErrorResponse {
    ErrorResponse::violation(status, error_body(code, message))
}

pub(super) fn no_such_deployment() -> ErrorResponse {
    let message = "The API deployment for this resource does not exist. If you created the deployment within the last \
                   5 minutes, please wait a moment and try again.";
    violation(StatusCode::NOT_FOUND, "DeploymentNotFound", message)
}

pub(super) fn bad_field(error: FieldError) -> ErrorResponse {
    as_azure_error(openai::errors::bad_field(error))
}

/// OpenAI's error with Azure's kind of code.
pub(super) fn as_azure_error(error: ErrorResponse) -> ErrorResponse {
    let mut body = error.body.clone();
    if body["error"]["code"].is_null() {
        body["error"]["code"] = json!(error.status.as_str());
    }
    error.reworded(body)
}

pub(super) fn fault_response(mode: Mode) -> ErrorResponse {
    match mode {
        Mode::RateLimited { retry_after } => {
            let message = format!(
                "Requests to the ImageGenerations_Create Operation under Azure OpenAI API have exceeded call rate \
                 limit of your current pricing tier. Please retry after {} seconds.",
                retry_after.as_secs_f32().ceil()
            );
            ErrorResponse::fault(StatusCode::TOO_MANY_REQUESTS, error_body("429", &message))
                .with_retry_after(retry_after)
        }
        Mode::OutOfMoney => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            ErrorResponse::fault(StatusCode::TOO_MANY_REQUESTS, error_body("insufficient_quota", message))
        }
        _ => {
            let message = "The server had an error while processing your request.";
            ErrorResponse::fault(StatusCode::INTERNAL_SERVER_ERROR, error_body("InternalServerError", message))
        }
    }
}

/// DALL-E's prompts meet Azure's own filter, the GPT image models OpenAI's.
pub(super) fn refusal(family: Family) -> ErrorResponse {
    if !family.is_dalle() {
        let body = json!({"error": {
            "message": "Your request was rejected by the safety system. If you believe this is an error, contact us \
                        through an Azure support ticket. safety_violations=[violence].",
            "type": "image_generation_user_error",
            "param": null,
            "code": "moderation_blocked",
        }});
        return ErrorResponse::fault(StatusCode::BAD_REQUEST, body);
    }
    let mut body = error_body("contentFilter", "Your task failed as a result of our safety system.");
    body["error"]["inner_error"] = json!({
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_results": {"violence": {"filtered": true, "severity": "high"}},
    });
    ErrorResponse::fault(StatusCode::BAD_REQUEST, body)
}
