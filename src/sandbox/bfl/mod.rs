//! Black Forest Labs as PROVIDERS.md 9.1 has it: a client submits a task, polls it at its own address, and fetches the
//! picture.
//!
//! What a model takes is in `models.rs`, and a request is read in `requests.rs`. A task is charged when it is ready,
//! and its cost is reported once, in credits, when it is accepted; refused tasks cost nothing. A prompt with the word
//! "forbidden" is refused as a request, a call whose fault is a refusal as content. Webhooks are accepted and never
//! called. Not here: fine-tunes, credits, limits on concurrent tasks.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::draw::Sketch;
use super::faults::Mode;
use super::fields::{FieldError, FieldErrorKind, RequestFields};
use super::settings::Name;
use super::tasks::Task;
use crate::money::Usd;
use crate::sandbox::bfl::auth::authorise;
use crate::sandbox::bfl::errors::{bad_body, bad_field, fault_response, not_found_error};
use crate::sandbox::bfl::models::Model;
use crate::sandbox::bfl::requests::ParsedRequest;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::file_endpoint;
use crate::sandbox::json_response::{ExactJson, JsonResponse};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
mod errors;
pub(in crate::sandbox) mod models;
mod requests;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/get_result", routing::get(poll))
        .route("/v1/{model}", routing::post(submit))
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn submit(State(shared): State<Arc<SandboxState>>, Path(model): Path<String>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::Bfl, request.headers());
    let answer = task(&mut call, model, request).await;
    call.close(answer)
}

async fn task(call: &mut VendorCall, name: String, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let model = Model::of(&name, &call.vendor).ok_or_else(not_found_error)?;
    let parsed = read_request(model, &parts.headers, body).await?;
    inject_fault(call.fault, fault_response).await?;
    let by_pixels = call.vendor.rates.picture(&name, parsed.size, &parsed.inputs);
    let price = by_pixels.unwrap_or_else(|| call.vendor.price_of(&name, parsed.size, None));
    let ending = TaskEnd::of(call, name, &parsed, price);
    let (shared, origin) = (Arc::clone(&call.shared), call.origin.clone());
    let tasks = &shared.vendor_state(Name::Bfl).tasks;
    let kept = Arc::clone(&shared);
    let task = tasks.start(call.take_guard(), call.time, move |_| ending.finish(&kept, &origin));
    let polling_url = format!("{}/bfl/v1/get_result?id={}", call.origin, task.id);
    let hooked = parsed.webhook.is_some();
    let taken = TaskAccepted {
        id: &task.id,
        polling_url: (!hooked).then_some(polling_url),
        status: hooked.then_some("Pending"),
        webhook_url: parsed.webhook,
        cost: if call.vendor.tells_cost { Some(number(credits(price))?) } else { None },
        input_mp: number(hundredths(parsed.inputs.iter().map(|size| size.pixels() / 10_000).sum()))?,
        output_mp: number(hundredths(parsed.size.pixels() / 10_000))?,
    };
    Ok(ExactJson(taken).into_response())
}

async fn read_request(model: Model, headers: &HeaderMap, body: Body) -> Result<ParsedRequest, ErrorResponse> {
    let fields = RequestFields::nullable(read_json(headers, body).await.map_err(bad_body)?);
    model.read(fields).await.map_err(|error| bad_field("body", &error))
}

/// The answer to a task that was accepted. With a webhook there is no address to poll.
#[derive(Serialize)]
struct TaskAccepted<'t> {
    id: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    polling_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    /// The digits themselves, as are the others.
    cost: Option<Box<RawValue>>,
    input_mp: Box<RawValue>,
    output_mp: Box<RawValue>,
}

/// An amount in credits of a cent, never without a point, as the vendor's Python writes it.
fn credits(usd: Usd) -> String {
    let nanos = usd.nanos();
    let text = format!("{}.{:07}", nanos / 10_000_000, nanos % 10_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

fn number(digits: String) -> Result<Box<RawValue>, ErrorResponse> {
    RawValue::from_string(digits).map_err(|_| ErrorResponse::broken())
}

/// What a task will end with.
#[derive(Debug)]
enum TaskEnd {
    Refused(&'static str, &'static str),
    Nothing,
    Picture { model: String, price: Usd, sketch: Box<Sketch> },
}

impl TaskEnd {
    fn of(call: &VendorCall, model: String, parsed: &ParsedRequest, price: Usd) -> TaskEnd {
        match call.fault {
            Mode::Refusing => TaskEnd::Refused("Content Moderated", "Derivative Works Filter"),
            _ if call.refuses(&parsed.prompt) => TaskEnd::Refused("Request Moderated", "Violence"),
            Mode::NoPictures => TaskEnd::Nothing,
            _ => {
                let seed = parsed.seed.map_or(call.seed, i64::cast_unsigned);
                let drawn = call.sketch(&parsed.prompt, seed ^ parsed.fingerprint, 0, parsed.size);
                TaskEnd::Picture { model, price, sketch: Box::new(Sketch { format: parsed.format, ..drawn }) }
            }
        }
    }

    /// Charges what is drawn and says how the task stands from now on.
    fn finish(self, shared: &SandboxState, origin: &str) -> Value {
        match self {
            TaskEnd::Refused(status, reason) => {
                json!({"status": status, "result": null, "details": {"Moderation Reasons": [reason]}})
            }
            TaskEnd::Nothing => json!({"status": "Ready", "result": {}, "details": null}),
            TaskEnd::Picture { model, price, sketch } => {
                if shared.vendor_state(Name::Bfl).billing.charge(&model, price, 1, 0).is_none() {
                    return json!({"status": "Error", "result": null, "details": {"error": "the sandbox itself failed"}});
                }
                let (prompt, seed) = (sketch.prompt.clone(), sketch.seed);
                let sample = format!("{origin}{}", shared.picture_links.put(Name::Bfl, *sketch));
                let now = unix_time();
                let result = json!({"sample": sample, "prompt": prompt, "seed": seed, "start_time": now,
                    "end_time": now, "duration": 0.0});
                json!({"status": "Ready", "result": result, "details": null})
            }
        }
    }
}

/// Answers with a task's status; an unknown task has a status of its own.
async fn poll(
    State(shared): State<Arc<SandboxState>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let answer = find(&shared, &query, &headers).await.map(|(id, found)| {
        let mut body = match found {
            None => json!({"status": "Task not found", "result": null, "details": null}),
            Some(task) => status_body(&task),
        };
        body["id"] = json!(id);
        body["progress"] = Value::Null;
        JsonResponse(body).into_response()
    });
    finish(&shared, Name::Bfl, answer)
}

/// Finds the task that is polled, unless every call meets a fault. Faults by chance are for new tasks only.
async fn find(
    shared: &SandboxState,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<(String, Option<Arc<Task>>), ErrorResponse> {
    let vendor = shared.settings(Name::Bfl);
    authorise(&vendor, headers)?;
    inject_fault(vendor.mode, fault_response).await?;
    let id = query.get("id").ok_or_else(|| bad_field("query", &FieldError::new("id", FieldErrorKind::Missing)))?;
    Ok((id.clone(), shared.vendor_state(Name::Bfl).tasks.get(id)))
}

fn status_body(task: &Task) -> Value {
    match task.ended_with() {
        Some(ended) if ended.is_object() => ended,
        Some(_) => json!({"status": "Error", "result": null, "details": {"error": "the sandbox is closing"}}),
        // The first fifth of the time is spent waiting for a turn.
        None if task.created.elapsed() < task.time / 5 => json!({"status": "Pending", "result": null, "details": null}),
        None => json!({"status": "Generating", "result": null, "details": null}),
    }
}

async fn not_found(State(shared): State<Arc<SandboxState>>) -> Response {
    finish(&shared, Name::Bfl, Err(not_found_error()))
}

#[cfg(test)]
mod tests;
