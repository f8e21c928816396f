//! Replicate predictions (PROVIDERS.md section 5): create by model or by version, wait, poll, cancel, fetch files.
//!
//! The handlers are here. A request is read in `requests.rs`, `prediction_task.rs` works on a prediction and
//! `prediction_state.rs` keeps it; which inputs a model takes is in `models.rs`. Webhooks are accepted and never
//! called.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};

use super::settings::Name;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::file_endpoint;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::origin;
use crate::sandbox::replicate::auth::authorise;
use crate::sandbox::replicate::errors::{fault_response, not_found_error};
use crate::sandbox::replicate::prediction_state::Prediction;
use crate::sandbox::replicate::requests::{cancel_after, prefer_wait, read_request};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
mod errors;
pub(in crate::sandbox) mod models;
pub(in crate::sandbox) mod prediction_state;
mod prediction_task;
mod requests;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/models/{owner}/{name}/predictions", routing::post(create_by_model))
        .route("/v1/predictions", routing::post(create_by_version))
        .route("/v1/predictions/{id}", routing::get(poll))
        .route("/v1/predictions/{id}/cancel", routing::post(cancel))
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
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
    let parsed = read_request(call, model, &parts.headers, body).await?;
    inject_fault(call.fault, fault_response).await?;
    let prediction = Prediction::start(call, parsed, deadline);
    let Some(wait) = wait else {
        return Ok((StatusCode::CREATED, JsonResponse(prediction.body(&call.origin))).into_response());
    };
    let ended = tokio::time::timeout(wait, prediction.ended()).await.is_ok();
    let status = if ended { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, JsonResponse(prediction.body(&call.origin))).into_response())
}

async fn poll(State(shared): State<Arc<SandboxState>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&shared, &id, &headers)
        .await
        .map(|found| JsonResponse(found.body(&origin(&headers, &shared.url))).into_response());
    finish(&shared, Name::Replicate, answer)
}

async fn cancel(State(shared): State<Arc<SandboxState>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&shared, &id, &headers).await.map(|found| {
        found.cancel();
        JsonResponse(found.body(&origin(&headers, &shared.url))).into_response()
    });
    finish(&shared, Name::Replicate, answer)
}

/// Finds the prediction that is polled, unless every call meets a fault. Faults by chance are for new predictions only.
async fn find(shared: &SandboxState, id: &str, headers: &HeaderMap) -> Result<Arc<Prediction>, ErrorResponse> {
    let vendor = shared.settings(Name::Replicate);
    authorise(&vendor, headers)?;
    inject_fault(vendor.mode, fault_response).await?;
    shared.predictions.get(id).ok_or_else(not_found_error)
}

async fn not_found(State(shared): State<Arc<SandboxState>>, _: Method, _: Uri) -> Response {
    finish(&shared, Name::Replicate, Err(not_found_error()))
}

#[cfg(test)]
mod tests;
