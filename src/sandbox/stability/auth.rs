//! Checks the API key of a request to Stability. Both versions take the same key and word a wrong one differently.

use axum::http::{HeaderMap, StatusCode};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::read_http_request::bearer;
use crate::sandbox::settings::Vendor;
use crate::sandbox::stability::stable_image_errors::violation;
use crate::sandbox::stability::v1_errors::error_body;

pub(super) fn authorise_v1(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None => Err(ErrorResponse::violation(
            StatusCode::UNAUTHORIZED,
            error_body("unauthorized", "missing authorization header"),
        )),
        Some(_) => Err(ErrorResponse::violation(
            StatusCode::UNAUTHORIZED,
            error_body("unauthorized", "Incorrect API key provided"),
        )),
    }
}

pub(super) fn authorise_stable_image(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None => Err(violation(StatusCode::UNAUTHORIZED, "unauthorized", "authorization: is required")),
        Some(_) => Err(violation(StatusCode::UNAUTHORIZED, "unauthorized", "authorization: invalid API key")),
    }
}
