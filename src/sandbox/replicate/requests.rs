//! Reads and checks a request to Replicate: its body, and how long it waits and may run by its headers.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::http_request::read_json;
use crate::sandbox::replicate::errors::{bad_body, bad_field, bad_header, no_such_version, not_found_error};
use crate::sandbox::replicate::models::{PictureInput, RequestedModel};
use crate::sandbox::vendor_call::VendorCall;

/// The longest `Prefer: wait`.
const LONGEST_WAIT: u64 = 60;

/// The picture to draw, and the request's own input.
#[derive(Debug)]
pub(in crate::sandbox) struct ParsedRequest {
    /// `owner/name`, as invoices have it.
    pub model: String,
    /// As the request gave it.
    pub version: String,
    /// As the request gave it.
    pub input: Map<String, Value>,
    pub picture: PictureInput,
}

/// Checks the request and finds out what is to be drawn.
pub(super) async fn read_request(
    call: &VendorCall,
    model: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<ParsedRequest, ErrorResponse> {
    let mut fields = RequestFields::json(read_json(headers, body).await.map_err(bad_body)?);
    let version = match &model {
        None => Some(fields.prompt("version", 300).map_err(|error| bad_field("", &error))?),
        Some(_) => None,
    };
    let input = fields.any("input");
    outer(fields).map_err(|error| bad_field("", &error))?;
    let asked = match (&model, &version) {
        (Some(name), _) => RequestedModel::by_name(name, &call.vendor),
        (None, Some(version)) => RequestedModel::by_version(version, &call.vendor),
        (None, None) => None,
    };
    let asked = asked.ok_or_else(|| if model.is_some() { not_found_error() } else { no_such_version() })?;
    let input = match input {
        Some(Value::Object(input)) => input,
        Some(_) => return Err(bad_field("", &FieldError::other("input", "must be an object"))),
        None => return Err(bad_field("", &FieldError::new("input", FieldErrorKind::Missing))),
    };
    let picture = asked.read(input.clone()).map_err(|error| bad_field("input.", &error))?;
    Ok(ParsedRequest { model: asked.name, version: version.unwrap_or_else(|| "hidden".to_owned()), input, picture })
}

/// What may stand beside `input`; `additionalProperties` is false.
fn outer(mut fields: RequestFields) -> Result<(), FieldError> {
    let webhook = fields.text("webhook")?;
    if webhook.is_some_and(|url| !url.starts_with("https://")) {
        return Err(FieldError::other("webhook", "must be an HTTPS URL"));
    }
    if let Some(filter) = fields.any("webhook_events_filter") {
        let known = |event: &Value| ["start", "output", "logs", "completed"].iter().any(|word| event == word);
        if !filter.as_array().is_some_and(|events| events.iter().all(known)) {
            return Err(FieldError::other("webhook_events_filter", "must be a list of start, output, logs, completed"));
        }
    }
    fields.flag("stream")?;
    fields.end()
}

/// `Prefer: wait` or `wait=n`, n from 1 to 60.
pub(super) fn prefer_wait(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
    let Some(value) = headers.get("prefer") else { return Ok(None) };
    let seconds = match value.to_str() {
        Ok("wait") => Some(LONGEST_WAIT),
        Ok(text) => text.strip_prefix("wait=").and_then(|n| n.parse().ok()),
        Err(_) => None,
    };
    let seconds = seconds.filter(|seconds| (1..=LONGEST_WAIT).contains(seconds));
    let bad = || bad_header("Prefer", "must be wait or wait=n with n from 1 to 60");
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(bad)
}

/// `Cancel-After: 90s`, in s, m or h, at least five seconds; a bare number is seconds.
pub(super) fn cancel_after(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
    let Some(value) = headers.get("cancel-after") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let text = if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let known_units = text.bytes().all(|byte| byte.is_ascii_digit() || b"smh".contains(&byte));
    let time = humantime::parse_duration(&text).ok().filter(|time| known_units && *time >= Duration::from_secs(5));
    time.map(Some).ok_or_else(|| bad_header("Cancel-After", "must be a time like 90s, 5m or 1h, at least 5s"))
}
