//! What every answer of the operator's listener tells a browser: load nothing, be in no frame, keep no copy, guess no
//! type, tell nobody the address.
//!
//! Nothing here is needed by a program. A browser that shows an answer, or a page that would embed it, is held to it.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// What an answer that is no page may load and do: nothing.
const DATA_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// One header and its value each.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, DATA_POLICY),
    // Browsers that do not know `frame-ancestors` know this one.
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // What was paid, and by whom, stays in no browser's cache.
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds them to an answer. What it says already stays: a page has a policy of its own.
pub fn add(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gets_every_header_and_a_page_keeps_its_own_policy() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
        add(&mut headers);
        assert_eq!(headers.len(), HEADERS.len());
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
