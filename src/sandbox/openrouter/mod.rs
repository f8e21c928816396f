//! OpenRouter's image API as PROVIDERS.md section 7.1 has it, and what its chat in `chat.rs` shares.
//!
//! What a call is charged stands in its answer, as a number with every digit, small ones in scientific notation as
//! JavaScript writes them. Models are in `models.rs`. Not here: streaming, lists of models, routing among
//! makers (`provider` is taken and ignored).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::{Router, routing};

use super::fields::Fields;
use super::settings::Name;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::http_request::read_json;
use crate::sandbox::openrouter::errors::{authorise, bad_body, bad_field, fault, violation};
use crate::sandbox::openrouter::image_api::{moderation, read};
use crate::sandbox::openrouter::requests::{check, model};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

pub(in crate::sandbox) mod chat;
mod errors;
mod image_api;
pub(in crate::sandbox) mod models;
mod requests;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/api/v1/images", routing::post(generate))
        .route("/api/v1/chat/completions", routing::post(chat::complete))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn generate(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::OpenRouter, request.headers());
    let answer = answer(&call, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let mut fields = Fields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (name, model) = model(&mut fields, &call.vendor)?;
    let (mut order, references) = read(name, &model, fields).map_err(bad_field)?;
    order.mark = check(references, model.references, "input_references").await.map_err(bad_field)?;
    inject_fault(call.fate, fault).await?;
    if call.refuses(&order.prompt) {
        return Err(moderation(&order));
    }
    call.work().await;
    order.fill(call).await
}

async fn lost(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("Not Found: {method} {}", uri.path());
    finish(&shared, Name::OpenRouter, Err(violation(StatusCode::NOT_FOUND, &message)))
}

#[cfg(test)]
mod tests;
