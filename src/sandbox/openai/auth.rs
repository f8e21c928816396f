//! Checks the API key of a request to OpenAI.

use axum::http::{HeaderMap, StatusCode};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::openai::errors::invalid;
use crate::sandbox::read_http_request::bearer;
use crate::sandbox::settings::Vendor;

pub(in crate::sandbox) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let key = bearer(headers);
    if vendor.accepts(key) {
        return Ok(());
    }
    let body = match key {
        None | Some("") => invalid(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using \
             Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            None,
            None,
        ),
        Some(_) => invalid("Incorrect API key provided.", None, Some("invalid_api_key")),
    };
    Err(ErrorResponse::violation(StatusCode::UNAUTHORIZED, body))
}
