//! What both versions of Stability's API do alike: seeds, blurred pictures, and headers that describe a picture.

use axum::http::HeaderValue;
use axum::response::Response;

use crate::sandbox::vendor_call::VendorCall;

/// The seed to draw with; a request's zero stands for any.
pub(super) fn seed_of(asked: u32, call: &VendorCall) -> u32 {
    match (asked, u32::try_from(call.seed >> 33).unwrap_or(1)) {
        (0, seed) => seed.max(1),
        (asked, _) => asked,
    }
}

/// Whether the picture is blurred (and charged), because the prompt has the word "blurred".
pub(super) fn is_blurred(prompt: &str) -> bool {
    prompt.to_lowercase().contains("blurred")
}

/// Puts into headers what a JSON answer has beside the picture.
pub(super) fn set_headers(answer: &mut Response, reason: &'static str, seed: u32) {
    answer.headers_mut().insert("finish-reason", HeaderValue::from_static(reason));
    answer.headers_mut().insert("seed", HeaderValue::from(seed));
}
