//! Checks the API key of a request to DashScope.

use axum::http::{HeaderMap, StatusCode};

use crate::sandbox::dashscope::errors::violation;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::read_http_request::bearer;
use crate::sandbox::settings::Vendor;

pub(in crate::sandbox) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => Err(violation(StatusCode::UNAUTHORIZED, "InvalidApiKey", "No API-key provided.")),
        Some(_) => Err(violation(StatusCode::UNAUTHORIZED, "InvalidApiKey", "Invalid API-key provided.")),
    }
}
