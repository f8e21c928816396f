//! Checks the key of a request to Black Forest Labs.

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::sandbox::bfl::errors::violation;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::read_http_request::text;
use crate::sandbox::settings::Vendor;

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    match text(headers, &HeaderName::from_static("x-key")) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => Err(violation(StatusCode::FORBIDDEN, "Not authenticated")),
        Some(_) => Err(violation(StatusCode::FORBIDDEN, "Not authenticated - Invalid Authentication")),
    }
}
