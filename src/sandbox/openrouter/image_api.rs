//! OpenRouter's image API (PROVIDERS.md section 7.1): its handler, the fields it reads, and its answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::image::Format;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::json_response::{ExactJson, JsonResponse};
use crate::sandbox::openrouter::auth::authorise;
use crate::sandbox::openrouter::draw_and_charge::CallUsage;
use crate::sandbox::openrouter::errors::{bad_body, bad_field, error_body, fault_response};
use crate::sandbox::openrouter::models::Model;
use crate::sandbox::openrouter::requests::{
    ParsedRequest, check, model, not_a, provider, referred, refuse_streaming, seed,
};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::settings::Name;
use crate::sandbox::state::SandboxState;
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::VendorCall;

/// `POST /openrouter/api/v1/images`.
pub(in crate::sandbox) async fn generate(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::OpenRouter, request.headers());
    let answer = answer(&call, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let mut fields = RequestFields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (name, model) = model(&mut fields, &call.vendor)?;
    let (mut parsed, references) = read(name, &model, fields).map_err(bad_field)?;
    parsed.fingerprint = check(references, model.references, "input_references").await.map_err(bad_field)?;
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        return Err(moderation(&parsed));
    }
    call.work().await;
    parsed.respond(call).await
}

/// Reads the request and its input pictures.
fn read(name: String, model: &Model, mut fields: RequestFields) -> Result<(ParsedRequest, Vec<Bytes>), FieldError> {
    let prompt = fields.prompt("prompt", usize::MAX)?;
    let n = fields.whole("n", 1..=10)?.unwrap_or(1);
    if n > model.most {
        return Err(FieldError::other("n", "is not supported by this model, which draws one picture a call"));
    }
    let size = model.size(&mut fields)?;
    if !model.effort
        && let Some(field) = ["quality", "background"].into_iter().find(|field| fields.has(field))
    {
        return Err(FieldError::other(field, "is not supported by this model"));
    }
    let quality = fields.choice("quality", &["auto", "low", "medium", "high"])?.filter(|word| word != "auto");
    let background = fields.choice("background", &["auto", "transparent", "opaque"])?;
    if model.formats.is_empty() && fields.has("output_format") {
        return Err(FieldError::other("output_format", "is not supported by this model"));
    }
    let format = fields.choice("output_format", model.formats)?;
    fields.whole("output_compression", 0..=100)?;
    let seed = seed(model, &mut fields)?;
    refuse_streaming(&mut fields)?;
    provider(&mut fields)?;
    let references = match fields.any("input_references") {
        None => Vec::new(),
        Some(Value::Array(list)) => {
            list.iter().map(|item| referred("input_references", item)).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(not_a("input_references", "array", &other)),
    };
    fields.end()?;
    let parsed = ParsedRequest {
        model: name,
        prompt,
        n: u32::try_from(n).unwrap_or(1),
        size,
        quality,
        format: format.and_then(|word| word.parse().ok()).unwrap_or(Format::Png),
        transparent: background.as_deref() == Some("transparent"),
        seed,
        fingerprint: 0,
    };
    Ok((parsed, references))
}

impl ParsedRequest {
    /// Draws, charges and answers.
    async fn respond(self, call: &VendorCall) -> Result<Response, ErrorResponse> {
        if call.fault == Mode::NoPictures {
            return Ok(JsonResponse(json!({"created": unix_time(), "data": []})).into_response());
        }
        let files = self.draw(call).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let usage = self.charge(call)?;
        let media_type = self.format.media_type();
        let item = |file| json!({"b64_json": STANDARD.encode_to_string(file), "media_type": media_type});
        let data = files.iter().map(item).collect();
        Ok(ExactJson(ImagesAnswer { created: unix_time(), data, usage }).into_response())
    }
}

/// The image API's answer.
#[derive(Serialize)]
struct ImagesAnswer {
    created: u64,
    data: Vec<Value>,
    usage: CallUsage,
}

/// The image API's refusal, before anything is drawn.
fn moderation(parsed: &ParsedRequest) -> ErrorResponse {
    let message = "Your chosen model requires moderation and your input was flagged for \"violence\". No credits were \
                   charged.";
    let mut body = error_body(StatusCode::FORBIDDEN, message);
    body["error"]["metadata"] = json!({
        "reasons": ["violence"],
        "flagged_input": parsed.prompt.chars().take(100).collect::<String>(),
        "provider_name": "Sandbox",
        "model_slug": parsed.model,
    });
    ErrorResponse::fault(StatusCode::FORBIDDEN, body)
}

#[cfg(test)]
mod tests;
