//! What a browser is told so that the web pages that the config names may ask, and read the answers.
//!
//! Credentials are never allowed and origins never a star: each answer names the one page that asked, and nobody who is
//! not in the config is named.

use std::sync::LazyLock;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN,
};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::config::plan::Server;
use crate::server::browser_guard::{ForeignOrigin, OriginHeaders};
use crate::server::easel_headers;
use crate::server::endpoint::Endpoint;
use crate::server::response::Answer;

/// Headers of answers that a page may read besides those that every page may and those that say what happened to a request.
const READABLE: [&str; 4] = ["x-request-id", "x-easel-request-id", "retry-after", "x-should-retry"];

/// All that a page may read.
static READABLE_LIST: LazyLock<HeaderValue> = LazyLock::new(|| {
    let names = READABLE.into_iter().chain(easel_headers::ALL.iter().map(HeaderName::as_str));
    // Names of headers and commas always fit into one.
    HeaderValue::try_from(names.collect::<Vec<_>>().join(", ")).unwrap_or(HeaderValue::from_static("x-request-id"))
});

/// How long a browser need not ask again, in seconds.
const GOOD_FOR: &str = "600";

/// The most of the names of headers that is repeated to a browser. Clients send some twenty.
const NAMES: usize = 4096;

/// The headers that the answer to this request has because the config names pages. None where it names none.
pub fn headers(request: &Parts, server: &Server) -> Vec<(HeaderName, HeaderValue)> {
    if server.cors.is_empty() {
        return Vec::new();
    }
    // Also where no page asked: what a cache keeps of that answer is no answer for a page.
    let mut headers = vec![(http::header::VARY, HeaderValue::from_static("Origin"))];
    if let Some(origin) = named(&request.headers, server) {
        headers.push((http::header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        headers.push((http::header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE_LIST.clone()));
    }
    headers
}

/// The answer to a browser that asks before it sends a page's request. `None` where this is no such question, or not
/// Easel's to answer: the path is not its own, or the config names no pages.
pub fn preflight(request: &Parts, target: &Endpoint, server: &Server) -> Option<Answer> {
    let asked = request.method == Method::OPTIONS && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let Endpoint::WrongMethod(allowed) = target else { return None };
    if !asked || !request.headers.contains_key(ORIGIN) || server.cors.is_empty() {
        return None;
    }
    if named(&request.headers, server).is_none() {
        return Some(Answer::error(&ForeignOrigin::Origin.error(OriginHeaders::of(request))));
    }
    let names = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|names| names.to_str().ok());
    let names = names.filter(|names| names.len() <= NAMES).unwrap_or("authorization, content-type");
    let headers = vec![
        (ACCESS_CONTROL_ALLOW_METHODS, (*allowed).to_owned()),
        (ACCESS_CONTROL_ALLOW_HEADERS, names.to_owned()),
        (ACCESS_CONTROL_MAX_AGE, GOOD_FOR.to_owned()),
    ];
    Some(Answer { status: 204, headers, body: Vec::new() })
}

/// The page that asks, if the config names it.
fn named<'a>(headers: &'a HeaderMap, server: &Server) -> Option<&'a HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    server.cors.iter().any(|named| named.as_bytes() == origin.as_bytes()).then_some(origin)
}
