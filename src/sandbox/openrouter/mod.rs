//! OpenRouter as PROVIDERS.md section 7 has it: its image API in `image_api.rs`, its chat in `chat.rs`.
//!
//! What both APIs read alike is in `requests.rs`, what they draw, charge and answer alike in `draw_and_charge.rs`. Not here:
//! streaming, lists of models, routing among makers (`provider` is taken and ignored).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::{Router, routing};

use crate::sandbox::openrouter::errors::violation;
use crate::sandbox::settings::Name;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::finish;

mod auth;
pub(in crate::sandbox) mod chat;
mod draw_and_charge;
mod errors;
mod image_api;
pub(in crate::sandbox) mod models;
mod requests;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/api/v1/images", routing::post(image_api::generate))
        .route("/api/v1/chat/completions", routing::post(chat::complete))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("Not Found: {method} {}", uri.path());
    finish(&shared, Name::OpenRouter, Err(violation(StatusCode::NOT_FOUND, &message)))
}
