//! Google's image methods as PROVIDERS.md section 4 has them: the Gemini API with a key, Vertex AI with a token from
//! `token_endpoint.rs`.
//!
//! Strict where Google's own client is: what Vertex AI takes and the Gemini API does not is refused here too, and so is
//! every member that is not in the schema. Models are data; one that only the settings know is asked like Gemini. What
//! Imagen draws into a picture is in `edit_requests.rs`. Not here: streaming, files by address.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::json;

use super::fields::RequestFields;
use super::settings::Name;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::google::auth::{authorise, authorise_token};
use crate::sandbox::google::errors::{bad_body, bad_field, fault_response, violation};
use crate::sandbox::google::models::{GEMINI, MODELS, Model};
use crate::sandbox::google::requests::{read_content, read_predict};
use crate::sandbox::google::responses::{charge_tokens, refusal};
use crate::sandbox::input_images::{decode_all, fingerprint};
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
pub(in crate::sandbox) mod edit_requests;
mod errors;
mod models;
mod requests;
mod responses;
pub(in crate::sandbox) mod token_endpoint;
pub(in crate::sandbox) mod usage;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1beta/models/{target}", routing::post(gemini))
        .route("/v1/projects/{project}/locations/{location}/publishers/google/models/{target}", routing::post(vertex))
        .route("/token", routing::post(token_endpoint::grant))
        .route("/metadata/token", routing::get(token_endpoint::metadata))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn gemini(State(shared): State<Arc<SandboxState>>, Path(target): Path<String>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::Google, request.headers());
    let answer = match authorise(&call.vendor, request.headers()) {
        Ok(()) => answer(&call, &target, false, request).await,
        Err(error) => Err(error),
    };
    call.close(answer)
}

async fn vertex(
    State(shared): State<Arc<SandboxState>>,
    Path((_, _, target)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let call = VendorCall::admit(&shared, Name::Google, request.headers());
    let answer = match authorise_token(&shared.vendor_state(Name::Google).tokens, request.headers()) {
        Ok(()) => answer(&call, &target, true, request).await,
        Err(error) => Err(error),
    };
    call.close(answer)
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("no such path: {method} {}", uri.path());
    finish(&shared, Name::Google, Err(violation(StatusCode::NOT_FOUND, "NOT_FOUND", &message)))
}

async fn answer(call: &VendorCall, target: &str, vertex: bool, request: Request) -> Result<Response, ErrorResponse> {
    let (name, method) = target.split_once(':').unwrap_or((target, ""));
    let (parts, body) = request.into_parts();
    let model = MODELS.iter().find(|model| model.name == name).copied();
    let model = model.or_else(|| call.vendor.price.contains_key(name).then_some(GEMINI));
    let method_of = |model: &Model| if model.predict { "predict" } else { "generateContent" };
    let Some(model) = model.filter(|model| method_of(model) == method && (vertex || !model.masked)) else {
        let message = format!("models/{name} is not found, or is not supported for {method}.");
        return Err(violation(StatusCode::NOT_FOUND, "NOT_FOUND", &message));
    };
    let fields = RequestFields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (mut parsed, inputs, change) = match model.predict {
        true => read_predict(fields, name, &model, vertex).map(|(parsed, change)| (parsed, Vec::new(), change)),
        false => read_content(fields, name, &model, vertex).map(|(parsed, inputs)| (parsed, inputs, None)),
    }
    .map_err(bad_field)?;
    if let Some(change) = change {
        parsed.fingerprint = change.fingerprint();
        let size = change.size().await.map_err(bad_field)?;
        parsed.size = (size, size);
    }
    parsed.inputs = u64::try_from(inputs.len()).unwrap_or(0);
    if !inputs.is_empty() {
        parsed.fingerprint = fingerprint(&inputs, None);
        decode_all("contents", inputs, None).await.map_err(bad_field)?;
    }
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        let tokens = usage::of_reading(&parsed.prompt, parsed.inputs);
        let counted = charge_tokens(call, name, &tokens, 0)?;
        return Ok(JsonResponse(refusal(model.predict, counted)).into_response());
    }
    call.work().await;
    if parsed.prompt.contains("withheld")
        && let Some(usage) = charge_tokens(call, name, &parsed.tokens(), 0)?
    {
        let candidate = json!({"content": {}, "finishReason": "IMAGE_SAFETY", "index": 0});
        return Ok(JsonResponse(json!({"candidates": [candidate], "usageMetadata": usage})).into_response());
    }
    parsed.respond(call, model.predict).await
}

#[cfg(test)]
mod tests;
