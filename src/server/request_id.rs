//! The request's id in its answer: under Easel's own name, and under the one that OpenAI's clients look for.
//!
//! Both are on every answer, of whatever kind. A service behind `passthrough` may have an id of its own: OpenAI's name
//! is left to it then, and Easel's still leads to the line in the log.

use http::{HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::ResponseHeader;

/// Easel's own id, whoever answers.
const OWN: HeaderName = HeaderName::from_static("x-easel-request-id");

/// What OpenAI's clients show as `_request_id`.
const OPENAIS: HeaderName = HeaderName::from_static("x-request-id");

/// An id for a request, as good as unique.
pub fn new() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// The headers of an answer of Easel's to the request of this id.
pub fn headers(id: &str) -> [(HeaderName, HeaderValue); 2] {
    // An id is sixteen hexadecimal digits, which are a header's value in any case.
    let value = HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static(""));
    [(OWN, value.clone()), (OPENAIS, value)]
}

/// Tells the id in the head of an answer that is not put together here.
pub fn tell(head: &mut ResponseHeader, id: &str) -> Result<()> {
    let [own, openais] = headers(id);
    head.insert_header(own.0, own.1)?;
    if !head.headers.contains_key(&openais.0) {
        head.insert_header(openais.0, openais.1)?;
    }
    Ok(())
}
