//! fal.ai's queue (PROVIDERS.md section 9.2): submit, poll, fetch the result, cancel.
//!
//! The queue accepts a request whatever its input says, as at the vendor: the result says what the model refuses, on a
//! request that is COMPLETED all the same. The queue checks the key, the endpoint and the JSON at once. A request that
//! waits longer than its header allows is never started. What an endpoint takes is in `models.rs`, its inputs are read
//! in `requests.rs`, its results are in `results.rs`. A prompt with the word "withheld" has its last picture blacked
//! out, which is charged like any other. Not here: webhooks, logs, streaming, files by URL, and the vendor's own
//! retries.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Value, json};

use super::fields::RequestFields;
use super::settings::Name;
use super::tasks::Task;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fal::auth::authorise;
use crate::sandbox::fal::errors::{bad_body, fault_response, kind_of, model_error, violation};
use crate::sandbox::fal::models::Model;
use crate::sandbox::fal::results::{RequestEnd, UnchargedPictures, add_error, stored_result, to_response};
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::file_endpoint;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::{origin, read_json};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
pub(in crate::sandbox) mod errors;
pub(in crate::sandbox) mod models;
mod requests;
pub(in crate::sandbox) mod results;

/// The header with which a client says how long its request may wait to be started.
const START_TIMEOUT: HeaderName = HeaderName::from_static("x-fal-request-timeout");

/// What stands before the 16 digits of a request.
const REQUEST: &str = "00000000-0000-4000-";

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    // An endpoint's name has any number of parts, so the other paths are matched by hand.
    Router::new()
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .fallback(any)
        .method_not_allowed_fallback(not_found)
}

async fn any(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method(), &parts[..]) {
        (&Method::GET, [owner, app, "requests", id, "status"]) => {
            poll(&shared, &format!("{owner}/{app}"), id, request.headers()).await
        }
        (&Method::GET, [_, _, "requests", id]) => fetch(&shared, id, request.headers()).await,
        (&Method::PUT, [_, _, "requests", id, "cancel"]) => cancel(&shared, id, request.headers()).await,
        (&Method::POST, [_, _, rest @ ..]) if rest.first() != Some(&"requests") => {
            let mut call = VendorCall::admit(&shared, Name::Fal, request.headers());
            let answer = submit(&mut call, &path, request).await;
            call.close(answer)
        }
        _ => not_found(State(shared)).await,
    }
}

async fn not_found(State(shared): State<Arc<SandboxState>>) -> Response {
    finish(&shared, Name::Fal, Err(violation(StatusCode::NOT_FOUND, "Not Found", "not_found")))
}

/// Accepts a request.
async fn submit(call: &mut VendorCall, name: &str, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let unknown = || violation(StatusCode::NOT_FOUND, &format!("Application '{name}' not found"), "not_found");
    let model = Model::of(name, &call.vendor).ok_or_else(unknown)?;
    let patience = start_timeout(&parts.headers)?;
    let fields = RequestFields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let reading = tokio::task::spawn_blocking(move || model.read(fields));
    let asked = reading.await.map_err(|_| ErrorResponse::broken())?;
    inject_fault(call.fault, fault_response).await?;
    let ending = match asked {
        Err(field) => {
            let body = model_error(&field.field, &field.sentence(), kind_of(&field.why));
            call.shared.vendor_state(Name::Fal).billing.complain(format!("422 {body}"));
            RequestEnd::Failed(body)
        }
        Ok(asked) if call.refuses(&asked.prompt) => {
            let words =
                "The content could not be processed because it contained material flagged by a content checker.";
            RequestEnd::Failed(model_error("prompt", words, "content_policy_violation"))
        }
        Ok(asked) => RequestEnd::Drawn(Box::new(UnchargedPictures::prepare(call, name, asked).await?)),
    };
    let shared = Arc::clone(&call.shared);
    let task = shared.vendor_state(Name::Fal).tasks.start(call.take_guard(), call.time, move |_| ending.finish());
    if let Some(patience) = patience.filter(|patience| *patience < start_delay(&task)) {
        give_up_after(patience, Arc::clone(&task));
    }
    let mut body = addresses(&call.origin, &app(name), &task);
    body["status"] = json!("IN_QUEUE");
    body["queue_position"] = json!(0);
    Ok(JsonResponse(body).into_response())
}

/// How long a request may wait for its beginning: seconds, more than a tenth.
fn start_timeout(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
    let Some(value) = headers.get(&START_TIMEOUT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.parse::<f64>().ok()).filter(|seconds| *seconds > 0.1);
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(patience)) => Ok(Some(patience)),
        _ => Err(violation(StatusCode::BAD_REQUEST, "X-Fal-Request-Timeout must be above 0.1 seconds", "bad_request")),
    }
}

/// Answers with a request's status: 202 until it is completed, whether or not it succeeds.
async fn poll(shared: &SandboxState, app: &str, id: &str, headers: &HeaderMap) -> Response {
    let answer = find(shared, id, headers).await.map(|task| {
        let mut body = addresses(&origin(headers, &shared.url), app, &task);
        let (status, word) = match task.ended_with() {
            None if is_queued(&task) => (StatusCode::ACCEPTED, "IN_QUEUE"),
            None => (StatusCode::ACCEPTED, "IN_PROGRESS"),
            Some(_) => (StatusCode::OK, "COMPLETED"),
        };
        body["status"] = json!(word);
        match word {
            "IN_QUEUE" => body["queue_position"] = json!(0),
            _ => body["logs"] = Value::Null,
        }
        if let Some(ended) = task.ended_with() {
            body["metrics"] = json!({"inference_time": task.time.as_secs_f64()});
            add_error(&mut body, &ended);
        }
        (status, JsonResponse(body)).into_response()
    });
    finish(shared, Name::Fal, answer)
}

/// What the model answered, pictures or its own error.
async fn fetch(shared: &SandboxState, id: &str, headers: &HeaderMap) -> Response {
    let answer = match find(shared, id, headers).await.map(|task| task.ended_with()) {
        Err(error) => Err(error),
        Ok(None) => Err(violation(StatusCode::BAD_REQUEST, "Request is still in progress", "bad_request")),
        Ok(Some(end)) => Ok(to_response(id, &end)),
    };
    finish(shared, Name::Fal, answer)
}

/// Only what has not been begun is stopped; what has been goes on, and is charged.
async fn cancel(shared: &SandboxState, id: &str, headers: &HeaderMap) -> Response {
    let answer = find(shared, id, headers).await.map(|task| {
        if is_queued(&task) {
            task.end(|| {
                stored_result(499, None, "client_cancelled", json!({"detail": "Request was cancelled by the client"}))
            });
        } else if task.ended_with().is_some() {
            return (StatusCode::BAD_REQUEST, JsonResponse(json!({"status": "ALREADY_COMPLETED"}))).into_response();
        }
        (StatusCode::ACCEPTED, JsonResponse(json!({"status": "CANCELLATION_REQUESTED"}))).into_response()
    });
    finish(shared, Name::Fal, answer)
}

/// Finds the request that is polled, unless every call meets a fault. Faults by chance are for new requests only.
async fn find(shared: &SandboxState, id: &str, headers: &HeaderMap) -> Result<Arc<Task>, ErrorResponse> {
    let vendor = shared.settings(Name::Fal);
    authorise(&vendor, headers)?;
    inject_fault(vendor.mode, fault_response).await?;
    let short = id.strip_prefix(REQUEST).map(|rest| rest.replacen('-', "", 1));
    let task = short
        .and_then(|short| shared.vendor_state(Name::Fal).tasks.get(&short))
        .filter(|task| public_id(&task.id) == id);
    task.ok_or_else(|| violation(StatusCode::NOT_FOUND, "Request not found", "not_found"))
}

/// The first fifth of the time is spent waiting for a runner.
fn start_delay(task: &Task) -> Duration {
    task.time / 5
}

fn is_queued(task: &Task) -> bool {
    task.ended_with().is_none() && task.created.elapsed() < start_delay(task)
}

/// Ends a request whose turn comes later than the client would wait; it is never begun, nor charged.
fn give_up_after(patience: Duration, task: Arc<Task>) {
    tokio::spawn(async move {
        tokio::time::sleep_until(task.created + patience).await;
        let words = "Request timed out before a runner started on it";
        let body = json!({"detail": words, "error_type": "startup_timeout"});
        task.end(|| stored_result(504, None, "startup_timeout", body));
    });
}

/// The vendor's ids look like this.
fn public_id(id: &str) -> String {
    let (group, rest) = id.split_at_checked(4).unwrap_or((id, ""));
    format!("{REQUEST}{group}-{rest}")
}

/// The first two parts of an endpoint's name: all that a request's addresses keep of it.
fn app(name: &str) -> String {
    name.split('/').take(2).collect::<Vec<_>>().join("/")
}

fn addresses(origin: &str, app: &str, task: &Task) -> Value {
    let id = public_id(&task.id);
    let own = format!("{origin}/fal/{app}/requests/{id}");
    json!({"request_id": id, "response_url": own, "status_url": format!("{own}/status"),
        "cancel_url": format!("{own}/cancel")})
}

#[cfg(test)]
mod tests;
