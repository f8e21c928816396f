//! What both versions of Stability's API answer alike.

use axum::http::HeaderValue;
use axum::response::Response;

use crate::sandbox::vendor_call::VendorCall;

/// Both versions: zero is any.
pub(super) fn seed_of(asked: u32, call: &VendorCall) -> u32 {
    match (asked, u32::try_from(call.seed >> 33).unwrap_or(1)) {
        (0, seed) => seed.max(1),
        (asked, _) => asked,
    }
}

/// Both versions: this word gets a picture that is blurred, and charged.
pub(super) fn is_blurred(prompt: &str) -> bool {
    prompt.to_lowercase().contains("blurred")
}

/// Both versions: what JSON would say, in headers.
pub(super) fn set_headers(answer: &mut Response, reason: &'static str, seed: u32) {
    answer.headers_mut().insert("finish-reason", HeaderValue::from_static(reason));
    answer.headers_mut().insert("seed", HeaderValue::from(seed));
}
