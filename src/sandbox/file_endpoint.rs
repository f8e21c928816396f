//! Serves the pictures behind links: each is drawn when it is fetched.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::sandbox::draw::draw_all;
use crate::sandbox::state::SandboxState;

/// `GET /{vendor}/files/{id}/{file}`.
pub(super) async fn fetch(State(shared): State<Arc<SandboxState>>, Path((id, _)): Path<(String, String)>) -> Response {
    let Some(sketch) = shared.picture_links.get(&id) else {
        return (StatusCode::NOT_FOUND, "no such file, or no longer\n").into_response();
    };
    if sketch.hangs {
        return std::future::pending().await;
    }
    let media_type = sketch.format.media_type();
    match draw_all(vec![sketch]).await {
        Ok(mut files) => ([(header::CONTENT_TYPE, media_type)], files.pop().unwrap_or_default()).into_response(),
        Err(error) => error.into_response(),
    }
}
