//! Stability AI: version 1 in `v1.rs` and `v1_edits.rs`, version 2beta in `stable_image.rs` (PROVIDERS.md section 3).
//!
//! Both versions answer on the same host with the same key, but word their errors differently.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use axum::{Router, routing};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::settings::Name;
use crate::sandbox::stability::v1_errors::error_body;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::finish;

mod auth;
mod common;
pub(in crate::sandbox) mod stable_image;
mod stable_image_errors;
mod v1;
pub(in crate::sandbox) mod v1_edits;
mod v1_errors;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/generation/{engine}/text-to-image", routing::post(v1::generate))
        .route("/v1/generation/{engine}/image-to-image", routing::post(v1_edits::image_to_image))
        .route("/v1/generation/{engine}/image-to-image/masking", routing::post(v1_edits::masking))
        .route("/v1/engines/list", routing::get(v1::engines))
        .route("/v1/user/balance", routing::get(v1::balance))
        .route("/v2beta/stable-image/generate/{service}", routing::post(stable_image::generate))
        .route("/v2beta/stable-image/edit/{service}", routing::post(stable_image::edit))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("no such route: {method} {}", uri.path());
    finish(
        &shared,
        Name::Stability,
        Err(ErrorResponse::violation(StatusCode::NOT_FOUND, error_body("not_found", &message))),
    )
}
