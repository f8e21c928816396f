//! Checks what a request to Google shows: an API key at the Gemini API, an access token at Vertex AI.

use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde_json::json;

use crate::sandbox::access_tokens::TokenStore;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::google::errors::{error_body, violation};
use crate::sandbox::read_http_request::{bearer, text};
use crate::sandbox::settings::Vendor;

/// The Gemini API's key.
pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    match text(headers, &HeaderName::from_static("x-goog-api-key")) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => {
            let message = "Method doesn't allow unregistered callers. Please use API Key.";
            Err(violation(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message))
        }
        Some(_) => {
            let message = "API key not valid. Please pass a valid API key.";
            let mut body = error_body(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message);
            body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]);
            Err(ErrorResponse::violation(StatusCode::BAD_REQUEST, body))
        }
    }
}

/// Vertex AI's access token.
pub(super) fn authorise_token(issued: &TokenStore, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    if bearer(headers).is_some_and(|token| issued.knows(token)) {
        return Ok(());
    }
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
    Err(violation(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message))
}
