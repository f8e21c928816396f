//! Checks the API key of a request to fal.ai.

use axum::http::{HeaderMap, StatusCode, header};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fal::errors::violation;
use crate::sandbox::read_http_request::text;
use crate::sandbox::settings::Vendor;

/// `Authorization: Key ...`, and no other word before the key.
pub(in crate::sandbox) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let key = text(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Key "));
    match key {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => {
            let words = "Authentication is required to access this application.";
            Err(violation(StatusCode::UNAUTHORIZED, words, "unauthorized"))
        }
        Some(_) => Err(violation(StatusCode::UNAUTHORIZED, "No user found for Key ID and Secret", "unauthorized")),
    }
}
