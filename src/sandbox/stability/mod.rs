//! Stability AI, version 1: text to image in JSON, engines, balance (PROVIDERS.md section 3.2).
//!
//! The newer endpoints are in `stable_image.rs`; both answer on the same host with the same key, but word their errors
//! differently. Strict where the documents are: SDXL 1.0 draws nine sizes, and because the documented default of 512
//! is not one of them, a request without a size is refused. What starts from a picture is in `edits.rs`. Not
//! here: upscaling.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::json;
use serde_json::value::RawValue;

use super::fields::Fields;
use super::settings::Name;
use crate::money::Usd;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::http_request::read_json;
use crate::sandbox::json_response::Json;
use crate::sandbox::stability::errors::{authorise, bad_body, error};
use crate::sandbox::stability::v1::{ParsedRequest, SDXL, admit, serve};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod common;
mod errors;
pub(in crate::sandbox) mod stable_image;
mod v1;
pub(in crate::sandbox) mod v1_edits;

/// What the account held before anything was charged.
const DEPOSIT: Usd = Usd::from_nanos(1_000_000_000_000);

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/generation/{engine}/text-to-image", routing::post(generate))
        .route("/v1/generation/{engine}/image-to-image", routing::post(v1_edits::whole))
        .route("/v1/generation/{engine}/image-to-image/masking", routing::post(v1_edits::masked))
        .route("/v1/engines/list", routing::get(engines))
        .route("/v1/user/balance", routing::get(balance))
        .route("/v2beta/stable-image/generate/{service}", routing::post(stable_image::generate))
        .route("/v2beta/stable-image/edit/{service}", routing::post(stable_image::edit))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn generate(State(shared): State<Arc<SandboxState>>, Path(engine): Path<String>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::Stability, request.headers());
    let answer = answer(&call, engine, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, engine: String, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    let bytes = admit(call, &engine, &parts.headers)?;
    let object = read_json(&parts.headers, body).await.map_err(bad_body)?;
    serve(call, ParsedRequest::read(Fields::json(object), engine, bytes)?).await
}

async fn engines(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let list = json!([{
        "id": SDXL,
        "name": "Stable Diffusion XL v1.0",
        "description": "Stability-AI Stable Diffusion XL v1.0",
        "type": "PICTURE",
    }]);
    let answer = authorise(&shared.settings(Name::Stability), &headers).map(|()| Json(list).into_response());
    finish(&shared, Name::Stability, answer)
}

/// Credits left, one for each cent, written exactly.
async fn balance(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let spent = shared.vendor_state(Name::Stability).billing.bill().usd;
    let credits = DEPOSIT.checked_sub(spent).and_then(|left| left.checked_mul(100)).unwrap_or(Usd::ZERO);
    let answer = authorise(&shared.settings(Name::Stability), &headers).and_then(|()| {
        let body = RawValue::from_string(format!("{{\"credits\":{credits}}}")).map_err(|_| ErrorResponse::broken())?;
        Ok(Json(body).into_response())
    });
    finish(&shared, Name::Stability, answer)
}

async fn lost(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("no such route: {method} {}", uri.path());
    finish(&shared, Name::Stability, Err(ErrorResponse::violation(StatusCode::NOT_FOUND, error("not_found", &message))))
}

#[cfg(test)]
mod tests;
