//! What every vendor reads of an HTTP request: its headers as text, and its body as a JSON object.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, header};
use serde_json::{Map, Value};

/// The largest request body that any vendor takes; Stability documents this one, the others borrow it.
pub(super) const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// Why a body is not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadBody {
    /// The content type is this instead (empty when there is none).
    ContentType(String),
    /// Over the limit, or cut off.
    TooLarge,
    /// Not JSON; the parser's message.
    NotJson(String),
    /// JSON, but not an object.
    NotAnObject,
}

/// The request's JSON object.
pub(super) async fn read_json(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, BadBody> {
    let given = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    if media_type(given) != "application/json" {
        return Err(BadBody::ContentType(given.to_owned()));
    }
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| BadBody::TooLarge)?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadBody::NotAnObject),
        Err(why) => Err(BadBody::NotJson(why.to_string())),
    }
}

/// A media type without its parameters, in lower case.
pub(super) fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A header as text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `http://host:port` as the client knows it, which in containers is another name than `own`.
pub(super) fn origin(headers: &HeaderMap, own: &str) -> String {
    text(headers, &header::HOST).map_or_else(|| own.to_owned(), |host| format!("http://{host}"))
}

/// The key in `Authorization: Bearer KEY`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, &header::AUTHORIZATION)?.strip_prefix("Bearer ")
}
