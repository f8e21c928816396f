//! What both versions of Stability's API do alike: seeds, blurred pictures, headers that describe a picture, and the
//! words for faults.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::sandbox::faults::Mode;
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

/// Both versions' status, name and sentence for a fault.
pub(super) fn fault_words(mode: Mode) -> (StatusCode, &'static str, &'static str) {
    match mode {
        Mode::RateLimited { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            "You have exceeded the rate limit of 150 requests within a 10 second period, and have been timed out \
             for 60 seconds.",
        ),
        Mode::OutOfMoney => (
            StatusCode::PAYMENT_REQUIRED,
            "payment_required",
            "You lack sufficient credits to make this request. Please purchase more credits.",
        ),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "An unexpected server error has occurred."),
    }
}
