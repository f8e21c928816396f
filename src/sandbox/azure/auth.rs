//! Checks the key or the access token of a request to Azure OpenAI.

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::sandbox::access_tokens::TokenStore;
use crate::sandbox::azure::errors::violation;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::read_http_request::{bearer, text};
use crate::sandbox::settings::Vendor;

pub(super) fn authorise(vendor: &Vendor, given: &TokenStore, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let key = text(headers, &HeaderName::from_static("api-key"));
    if vendor.accepts(key) {
        return Ok(());
    }
    if let (None, Some(token)) = (key, bearer(headers)) {
        let message = "Unauthorized. Access token is missing, invalid, audience is incorrect \
                       (https://cognitiveservices.azure.com), or have expired.";
        return if given.knows(token) { Ok(()) } else { Err(violation(StatusCode::UNAUTHORIZED, "401", message)) };
    }
    let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid \
                   key for an active subscription and use a correct regional API endpoint for your resource.";
    Err(violation(StatusCode::UNAUTHORIZED, "401", message))
}
