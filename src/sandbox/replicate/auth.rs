//! Checks the token of a request to Replicate.

use axum::http::{HeaderMap, StatusCode};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::read_http_request::bearer;
use crate::sandbox::replicate::errors::problem;
use crate::sandbox::settings::Vendor;

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    if vendor.accepts(bearer(headers)) {
        return Ok(());
    }
    let words = "You did not pass a valid authentication token";
    Err(ErrorResponse::violation(StatusCode::UNAUTHORIZED, problem(StatusCode::UNAUTHORIZED, "Unauthenticated", words)))
}
