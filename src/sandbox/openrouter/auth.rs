//! Checks the API key of a request to OpenRouter.

use axum::http::{HeaderMap, StatusCode};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::openrouter::errors::violation;
use crate::sandbox::read_http_request::bearer;
use crate::sandbox::settings::Vendor;

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => Err(violation(StatusCode::UNAUTHORIZED, "No auth credentials found")),
        Some(_) => Err(violation(StatusCode::UNAUTHORIZED, "User not found.")),
    }
}
