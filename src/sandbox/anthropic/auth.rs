//! Checks the key of a request to Anthropic, and the version of the API that it names.

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::sandbox::anthropic::errors::{invalid, violation};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::read_http_request::text;
use crate::sandbox::settings::Vendor;

/// The versions of the API.
const VERSIONS: [&str; 2] = ["2023-06-01", "2023-01-01"];

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let key = text(headers, &HeaderName::from_static("x-api-key"));
    if !vendor.accepts(key) {
        let message = if key.is_none_or(str::is_empty) { "x-api-key header is required" } else { "invalid x-api-key" };
        return Err(violation(StatusCode::UNAUTHORIZED, "authentication_error", message));
    }
    match text(headers, &HeaderName::from_static("anthropic-version")) {
        None => Err(invalid("anthropic-version: header is required")),
        Some(version) if !VERSIONS.contains(&version) => {
            Err(invalid(&format!("anthropic-version: \"{version}\" is not a valid version")))
        }
        Some(_) => Ok(()),
    }
}
