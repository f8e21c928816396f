//! Replicate predictions (PROVIDERS.md section 5): create by model or by version, wait, poll, cancel, fetch files.
//!
//! Only the requests and their answers; what becomes of a prediction is in `prediction_store.rs`, which inputs a
//! model takes in `models.rs`. Webhooks are accepted and never called.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Value, json};

use super::faults::Mode;
use super::fields::{FieldError, FieldErrorKind, Fields};
use super::settings::{Name, Vendor};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::files;
use crate::sandbox::http_request::{BadBody, bearer, origin, read_json};
use crate::sandbox::json_response::Json;
use crate::sandbox::replicate::models::RequestedModel;
use crate::sandbox::replicate::prediction_store::Prediction;
use crate::sandbox::replicate::prediction_task::ParsedRequest;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

pub(in crate::sandbox) mod models;
pub(in crate::sandbox) mod prediction_store;
mod prediction_task;

/// The longest `Prefer: wait`.
const LONGEST_WAIT: u64 = 60;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/models/{owner}/{name}/predictions", routing::post(create_by_model))
        .route("/v1/predictions", routing::post(create_by_version))
        .route("/v1/predictions/{id}", routing::get(poll))
        .route("/v1/predictions/{id}/cancel", routing::post(cancel))
        .route("/files/{id}/{file}", routing::get(files::fetch))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn create_by_model(
    State(shared): State<Arc<SandboxState>>,
    Path((owner, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    let mut call = VendorCall::admit(&shared, Name::Replicate, request.headers());
    let answer = create(&mut call, Some(format!("{owner}/{name}")), request).await;
    call.close(answer)
}

async fn create_by_version(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::Replicate, request.headers());
    let answer = create(&mut call, None, request).await;
    call.close(answer)
}

async fn create(call: &mut VendorCall, model: Option<String>, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let wait = prefer_wait(&parts.headers)?;
    let deadline = cancel_after(&parts.headers)?;
    let order = read_order(call, model, &parts.headers, body).await?;
    inject_fault(call.fate, fault).await?;
    let prediction = Prediction::start(call, order, deadline);
    let Some(wait) = wait else {
        return Ok((StatusCode::CREATED, Json(prediction.body(&call.origin))).into_response());
    };
    let ended = tokio::time::timeout(wait, prediction.ended()).await.is_ok();
    let status = if ended { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(prediction.body(&call.origin))).into_response())
}

async fn poll(State(shared): State<Arc<SandboxState>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&shared, &id, &headers)
        .await
        .map(|found| Json(found.body(&origin(&headers, &shared.url))).into_response());
    finish(&shared, Name::Replicate, answer)
}

async fn cancel(State(shared): State<Arc<SandboxState>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&shared, &id, &headers).await.map(|found| {
        found.cancel();
        Json(found.body(&origin(&headers, &shared.url))).into_response()
    });
    finish(&shared, Name::Replicate, answer)
}

/// The prediction asked about, unless the whole vendor misbehaves. Odds are for creating only.
async fn find(shared: &SandboxState, id: &str, headers: &HeaderMap) -> Result<Arc<Prediction>, ErrorResponse> {
    let vendor = shared.settings(Name::Replicate);
    authorise(&vendor, headers)?;
    inject_fault(vendor.mode, fault).await?;
    shared.predictions.get(id).ok_or_else(not_found)
}

async fn lost(State(shared): State<Arc<SandboxState>>, _: Method, _: Uri) -> Response {
    finish(&shared, Name::Replicate, Err(not_found()))
}

/// Checks the request and finds out what is to be drawn.
async fn read_order(
    call: &VendorCall,
    model: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<ParsedRequest, ErrorResponse> {
    let mut fields = Fields::json(read_json(headers, body).await.map_err(bad_body)?);
    let version = match &model {
        None => Some(fields.prompt("version", 300).map_err(|wrong| bad_field("", &wrong))?),
        Some(_) => None,
    };
    let input = fields.any("input");
    outer(fields).map_err(|wrong| bad_field("", &wrong))?;
    let asked = match (&model, &version) {
        (Some(name), _) => RequestedModel::by_name(name, &call.vendor),
        (None, Some(version)) => RequestedModel::by_version(version, &call.vendor),
        (None, None) => None,
    };
    let asked = asked.ok_or_else(|| if model.is_some() { not_found() } else { no_such_version() })?;
    let input = match input {
        Some(Value::Object(input)) => input,
        Some(_) => return Err(bad_field("", &FieldError::other("input", "must be an object"))),
        None => return Err(bad_field("", &FieldError::new("input", FieldErrorKind::Missing))),
    };
    let picture = asked.read(input.clone()).map_err(|wrong| bad_field("input.", &wrong))?;
    Ok(ParsedRequest { model: asked.name, version: version.unwrap_or_else(|| "hidden".to_owned()), input, picture })
}

/// What may stand beside `input`; `additionalProperties` is false.
fn outer(mut fields: Fields) -> Result<(), FieldError> {
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
fn prefer_wait(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
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
fn cancel_after(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
    let Some(value) = headers.get("cancel-after") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let text = if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let known_units = text.bytes().all(|byte| byte.is_ascii_digit() || b"smh".contains(&byte));
    let time = humantime::parse_duration(&text).ok().filter(|time| known_units && *time >= Duration::from_secs(5));
    time.map(Some).ok_or_else(|| bad_header("Cancel-After", "must be a time like 90s, 5m or 1h, at least 5s"))
}

fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    if vendor.accepts(bearer(headers)) {
        return Ok(());
    }
    let words = "You did not pass a valid authentication token";
    Err(ErrorResponse::violation(StatusCode::UNAUTHORIZED, problem(StatusCode::UNAUTHORIZED, "Unauthenticated", words)))
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Value {
    json!({"title": title, "detail": detail, "status": status.as_u16()})
}

fn not_found() -> ErrorResponse {
    let words = "The requested resource could not be found.";
    ErrorResponse::violation(StatusCode::NOT_FOUND, problem(StatusCode::NOT_FOUND, "Not found", words))
}

fn no_such_version() -> ErrorResponse {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let words = "The specified version does not exist (or perhaps you don't have permission to use it?)";
    ErrorResponse::violation(status, problem(status, "Invalid version or not permitted", words))
}

fn bad_header(name: &str, sentence: &str) -> ErrorResponse {
    let words = format!("{name} {sentence}");
    ErrorResponse::violation(StatusCode::BAD_REQUEST, problem(StatusCode::BAD_REQUEST, "Invalid header", &words))
}

fn bad_field(inside: &str, wrong: &FieldError) -> ErrorResponse {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let (field, sentence) = (format!("{inside}{}", wrong.field), wrong.sentence());
    let mut body = problem(status, "Input validation failed", &format!("- {field}: {sentence}\n"));
    body["invalid_fields"] = json!([{"field": field, "description": sentence}]);
    ErrorResponse::violation(status, body)
}

fn bad_body(why: BadBody) -> ErrorResponse {
    let (status, words) = match why {
        BadBody::ContentType(given) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported media type \"{given}\" in request."))
        }
        BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large.".to_owned()),
        BadBody::NotJson(why) => (StatusCode::BAD_REQUEST, format!("JSON parse error - {why}")),
        BadBody::NotAnObject => (StatusCode::BAD_REQUEST, "The body must be an object.".to_owned()),
    };
    ErrorResponse::violation(status, json!({"detail": words}))
}

/// No `retry-after`: Replicate says when to come back in its sentence.
fn fault(mode: Mode) -> ErrorResponse {
    let (status, body) = match mode {
        Mode::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            let words = format!("Request was throttled. Your rate limit resets in ~{seconds}s.");
            (StatusCode::TOO_MANY_REQUESTS, json!({"detail": words, "status": 429, "title": "Too many requests"}))
        }
        Mode::OutOfMoney => {
            let words = "You have insufficient credit to run this model. Go to https://replicate.com/account/billing.";
            let status = StatusCode::PAYMENT_REQUIRED;
            (status, problem(status, "Insufficient credit", words))
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, json!({"detail": "Internal server error"})),
    };
    ErrorResponse::fault(status, body)
}

#[cfg(test)]
mod tests;
