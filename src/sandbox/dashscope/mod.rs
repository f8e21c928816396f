//! Alibaba's DashScope (PROVIDERS.md section 10): messages that are answered at once, and tasks that are polled.
//!
//! The handlers are here, and when a call is charged; a request is read in `requests.rs` and `input_and_parameters.rs` and
//! answered in `responses.rs`, what a model takes is in `models.rs`. Input pictures come inside the request, nothing is
//! downloaded; text between pictures and streaming are not here. A prompt with the word "withheld" loses its last
//! picture to the vendor's filter, while the others are delivered.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Value, json};

use super::settings::Name;
use super::tasks::Task;
use crate::sandbox::dashscope::auth::authorise;
use crate::sandbox::dashscope::errors::{WITHHELD, error_body, fault_response, refusal, request_id, violation};
use crate::sandbox::dashscope::requests::{ParsedRequest, Surface};
use crate::sandbox::dashscope::responses::timestamp;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::file_endpoint;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
pub(in crate::sandbox) mod errors;
mod input_and_parameters;
pub(in crate::sandbox) mod models;
pub(in crate::sandbox) mod requests;
mod responses;

/// What stands before the 16 digits of a task.
const TASK: &str = "00000000-0000-4000-";

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/api/v1/services/aigc/multimodal-generation/generation", routing::post(answer_messages))
        .route("/api/v1/services/aigc/text2image/image-synthesis", routing::post(submit))
        .route("/api/v1/tasks/{id}", routing::get(poll))
        .route("/api/v1/tasks/{id}/cancel", routing::post(cancel))
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn answer_messages(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::DashScope, request.headers());
    let answer = messages(&call, request).await;
    call.close(answer)
}

async fn submit(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::DashScope, request.headers());
    let answer = task(&mut call, request).await;
    call.close(answer)
}

async fn messages(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let parsed = ParsedRequest::read(call, request, Surface::Messages).await?;
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.asked.prompt) {
        return Err(refusal());
    }
    call.work().await;
    let drawn = parsed.drawn(call);
    // Nothing is awaited from here on: what is charged is answered.
    call.charge(&parsed.name, parsed.asked.size, None, drawn.charged(), 0)?;
    let links = drawn.put(&call.shared, &call.origin);
    Ok(JsonResponse(parsed.answer(&links, call.seed)).into_response())
}

async fn task(call: &mut VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let parsed = ParsedRequest::read(call, request, Surface::Tasks).await?;
    inject_fault(call.fault, fault_response).await?;
    let (shared, origin) = (Arc::clone(&call.shared), call.origin.clone());
    let price = call.vendor.price_of(&parsed.name, parsed.asked.size, None);
    let drawn = (!call.refuses(&parsed.asked.prompt)).then(|| parsed.drawn(call));
    let tasks = &shared.vendor_state(Name::DashScope).tasks;
    let (kept, seed) = (Arc::clone(&shared), call.seed);
    let task = tasks.start(call.take_guard(), call.time, move |_| {
        let Some(drawn) = drawn else {
            return failed(WITHHELD.0, WITHHELD.1);
        };
        let billing = &kept.vendor_state(Name::DashScope).billing;
        match billing.charge(&parsed.name, price, drawn.charged(), 0) {
            Some(_) => parsed.results(&drawn.put(&kept, &origin)),
            None => failed("InternalError", "the sandbox itself failed"),
        }
    });
    let output = json!({"task_status": "PENDING", "task_id": public_id(&task.id)});
    Ok(JsonResponse(json!({"output": output, "request_id": request_id(seed)})).into_response())
}

/// Answers with a task's status; an unknown task has a status of its own.
async fn poll(State(shared): State<Arc<SandboxState>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&shared, &id, &headers).await.map(|found| {
        let (mut output, usage) = match &found {
            None => (json!({"task_status": "UNKNOWN"}), Value::Null),
            Some(task) => status_and_usage(task),
        };
        output["task_id"] = json!(id);
        let mut body = json!({"request_id": request_id(0), "output": output});
        if !usage.is_null() {
            body["usage"] = usage;
        }
        JsonResponse(body).into_response()
    });
    finish(&shared, Name::DashScope, answer)
}

/// Only what has not been begun can be stopped.
async fn cancel(State(shared): State<Arc<SandboxState>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&shared, &id, &headers).await.and_then(|found| {
        let canceled = || json!({"output": {"task_status": "CANCELED"}});
        match found.filter(|task| is_waiting(task)) {
            Some(task) if task.end(canceled) => Ok(JsonResponse(json!({"request_id": request_id(0)})).into_response()),
            _ => {
                let words = "Failed to cancel the task, please confirm if the task is in PENDING status.";
                Err(ErrorResponse::fault(StatusCode::BAD_REQUEST, error_body("UnsupportedOperation", words)))
            }
        }
    });
    finish(&shared, Name::DashScope, answer)
}

/// Finds the task that is polled, unless every call meets a fault. Faults by chance are for new tasks only.
async fn find(shared: &SandboxState, id: &str, headers: &HeaderMap) -> Result<Option<Arc<Task>>, ErrorResponse> {
    let vendor = shared.settings(Name::DashScope);
    authorise(&vendor, headers)?;
    inject_fault(vendor.mode, fault_response).await?;
    let short = id.strip_prefix(TASK).map(|rest| rest.replacen('-', "", 1));
    Ok(short
        .and_then(|short| shared.vendor_state(Name::DashScope).tasks.get(&short))
        .filter(|task| public_id(&task.id) == id))
}

async fn not_found(State(shared): State<Arc<SandboxState>>) -> Response {
    finish(&shared, Name::DashScope, Err(violation(StatusCode::NOT_FOUND, "NotFound", "Not found.")))
}

/// A task's output and usage.
fn status_and_usage(task: &Task) -> (Value, Value) {
    let (mut output, usage) = match task.ended_with() {
        None if is_waiting(task) => (json!({"task_status": "PENDING"}), Value::Null),
        None => (json!({"task_status": "RUNNING"}), Value::Null),
        Some(mut ended) if ended.is_object() => (ended["output"].take(), ended["usage"].take()),
        Some(_) => (failed("InternalError", "the sandbox is closing")["output"].take(), Value::Null),
    };
    output["submit_time"] = json!(timestamp(task.created.elapsed()));
    (output, usage)
}

/// The first fifth of the time is spent waiting for a turn.
fn is_waiting(task: &Task) -> bool {
    task.ended_with().is_none() && task.created.elapsed() < task.time / 5
}

/// The vendor's ids look like this.
fn public_id(id: &str) -> String {
    let (group, rest) = id.split_at_checked(4).unwrap_or((id, ""));
    format!("{TASK}{group}-{rest}")
}

/// How a task ends that draws nothing.
fn failed(code: &str, message: &str) -> Value {
    json!({"output": {"task_status": "FAILED", "code": code, "message": message}})
}

#[cfg(test)]
mod tests;
