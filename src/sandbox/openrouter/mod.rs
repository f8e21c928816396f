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

use super::call::{No, VendorCall, act_out, finish, read_json};
use super::fields::Fields;
use super::settings::Name;
use crate::sandbox::desk::Desk;
use crate::sandbox::openrouter::errors::{authorise, bad_body, bad_field, fault, violation};
use crate::sandbox::openrouter::order::{moderation, read};
use crate::sandbox::openrouter::requests::{check, model};

pub(in crate::sandbox) mod chat;
mod errors;
pub(in crate::sandbox) mod models;
mod order;
mod requests;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/api/v1/images", routing::post(generate))
        .route("/api/v1/chat/completions", routing::post(chat::complete))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn generate(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let call = VendorCall::admit(&desk, Name::OpenRouter, request.headers());
    let answer = answer(&call, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, request: Request) -> Result<Response, No> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let mut fields = Fields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (name, model) = model(&mut fields, &call.vendor)?;
    let (mut order, references) = read(name, &model, fields).map_err(bad_field)?;
    order.mark = check(references, model.references, "input_references").await.map_err(bad_field)?;
    act_out(call.fate, fault).await?;
    if call.refuses(&order.prompt) {
        return Err(moderation(&order));
    }
    call.work().await;
    order.fill(call).await
}

async fn lost(State(desk): State<Arc<Desk>>, method: Method, uri: Uri) -> Response {
    let message = format!("Not Found: {method} {}", uri.path());
    finish(&desk, Name::OpenRouter, Err(violation(StatusCode::NOT_FOUND, &message)))
}

#[cfg(test)]
mod tests;
