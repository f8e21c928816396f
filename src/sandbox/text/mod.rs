//! OpenAI's Chat Completions and Embeddings as PROVIDERS.md sections 7.2 and 13 have them: text in, text or vectors out. A
//! vendor of its own beside the Images API, so that words fail when a test wants words to fail.
//!
//! A token is four characters here. What is charged is what the answer's usage adds up to, a refusal and an answer that
//! was cut off included. A prompt with the word `cached` has half of its input charged as found in the vendor's cache. What
//! a model says can be set (`answers`); else it adds to what it was told, as who rewrites a prompt does. Not here:
//! streaming, tools, pictures, several choices, tokens in place of texts.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Map, Value, json};

use super::settings::Name;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::fields::RequestFields;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::openai::auth::authorise;
use crate::sandbox::openai::errors::{bad_body, invalid};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::text::chat_requests::ParsedChat;
use crate::sandbox::text::completion::Completion;
use crate::sandbox::text::embeddings::ParsedTexts;
use crate::sandbox::text::faults::fault_response;
use crate::sandbox::text::models::MODELS;
use crate::sandbox::vendor_call::{VendorCall, finish};

pub(in crate::sandbox) mod chat_requests;
mod completion;
mod embeddings;
mod faults;
mod models;
#[cfg(test)]
mod tests;
mod usage;
mod vectors;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/chat/completions", routing::post(write))
        .route("/v1/embeddings", routing::post(embed))
        .route("/v1/models", routing::get(models))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn write(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::Text, request.headers());
    let answer = written(&call, request).await.map(|answer| with_id(answer, &call));
    call.close(answer)
}

async fn written(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let parsed = ParsedChat::read(RequestFields::nullable(object(call, request).await?), &call.vendor)?;
    inject_fault(call.fault, fault_response).await?;
    call.work().await;
    let completion = Completion::write(&parsed, call);
    // Nothing is awaited from here on: what is charged is answered.
    call.charge_text(&parsed.model, completion.usage.price(call.vendor.token_price.get(&parsed.model)))?;
    Ok(JsonResponse(completion.to_json(&parsed.model, call.seed)).into_response())
}

async fn embed(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::Text, request.headers());
    let answer = embedded(&call, request).await.map(|answer| with_id(answer, &call));
    call.close(answer)
}

async fn embedded(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let parsed = ParsedTexts::read(RequestFields::nullable(object(call, request).await?), &call.vendor)?;
    inject_fault(call.fault, fault_response).await?;
    call.work().await;
    let (usage, body) = parsed.vectors(call.fault);
    call.charge_text(&parsed.model, usage.price(call.vendor.token_price.get(&parsed.model)))?;
    Ok(JsonResponse(body).into_response())
}

/// The JSON of a request with a good key.
async fn object(call: &VendorCall, request: Request) -> Result<Map<String, Value>, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    read_json(&parts.headers, body).await.map_err(bad_body)
}

fn with_id(mut answer: Response, call: &VendorCall) -> Response {
    if let Ok(id) = HeaderValue::from_str(&format!("req_{:016x}", call.seed)) {
        answer.headers_mut().insert("x-request-id", id);
    }
    answer
}

/// `GET /text/v1/models`.
async fn models(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let vendor = shared.settings(Name::Text);
    let answer = authorise(&vendor, &headers).map(|()| {
        let own = vendor.token_price.keys().map(String::as_str);
        let own = own.filter(|model| !MODELS.iter().any(|(name, _)| name == model));
        let names = MODELS.iter().map(|(name, _)| *name).chain(own);
        let list = names.map(|id| json!({"id": id, "object": "model", "created": 1_754_425_777, "owned_by": "system"}));
        JsonResponse(json!({"object": "list", "data": list.collect::<Vec<_>>()})).into_response()
    });
    finish(&shared, Name::Text, answer)
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("Invalid URL ({method} {})", uri.path());
    finish(&shared, Name::Text, Err(ErrorResponse::violation(StatusCode::NOT_FOUND, invalid(&message, None, None))))
}
