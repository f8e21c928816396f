//! An order at OpenRouter's image API: read, drawn and charged.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::image::{Format, Size};
use crate::money::Usd;
use crate::sandbox::draw::Sketch;
use crate::sandbox::draw::draw_all;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, Fields};
use crate::sandbox::json_response::Json;
use crate::sandbox::openrouter::errors::error;
use crate::sandbox::openrouter::models::Model;
use crate::sandbox::openrouter::requests::{not_a, provider, referred, seed, unstreamed};
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::VendorCall;

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParsedRequest {
    pub model: String,
    pub prompt: String,
    pub n: u32,
    pub size: Size,
    pub quality: Option<String>,
    pub format: Format,
    pub transparent: bool,
    pub seed: Option<i64>,
    /// Stands for the input pictures; 0 when there are none.
    pub mark: u64,
}

/// The order and its input pictures.
pub(super) fn read(name: String, model: &Model, mut fields: Fields) -> Result<(ParsedRequest, Vec<Bytes>), FieldError> {
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
    unstreamed(&mut fields)?;
    provider(&mut fields)?;
    let references = match fields.any("input_references") {
        None => Vec::new(),
        Some(Value::Array(list)) => {
            list.iter().map(|item| referred("input_references", item)).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(not_a("input_references", "array", &other)),
    };
    fields.end()?;
    let order = ParsedRequest {
        model: name,
        prompt,
        n: u32::try_from(n).unwrap_or(1),
        size,
        quality,
        format: format.and_then(|word| word.parse().ok()).unwrap_or(Format::Png),
        transparent: background.as_deref() == Some("transparent"),
        seed,
        mark: 0,
    };
    Ok((order, references))
}

impl ParsedRequest {
    /// Draws, charges and answers.
    pub(super) async fn fill(self, call: &VendorCall) -> Result<Response, ErrorResponse> {
        if call.fate == Mode::NoPictures {
            return Ok(Json(json!({"created": unix_time(), "data": []})).into_response());
        }
        let files = self.draw(call).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let usage = self.charge(call)?;
        let media_type = self.format.media_type();
        let item = |file| json!({"b64_json": STANDARD.encode_to_string(file), "media_type": media_type});
        let data = files.iter().map(item).collect();
        Ok(Json(ImagesAnswer { created: unix_time(), data, usage }).into_response())
    }

    pub(super) async fn draw(&self, call: &VendorCall) -> Result<Vec<Bytes>, ErrorResponse> {
        let seed = self.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.luck) ^ self.mark;
        let sketch = |index| Sketch {
            format: self.format,
            transparent: self.transparent,
            ..call.sketch(&self.prompt, seed, index, self.size)
        };
        draw_all((0..self.n).map(sketch).collect()).await
    }

    /// Charges the pictures and says so.
    pub(super) fn charge(&self, call: &VendorCall) -> Result<CallUsage, ErrorResponse> {
        let charged = call.charge(&self.model, self.size, self.quality.as_deref(), self.n, 0)?;
        CallUsage::of(charged)
    }
}

/// The image API's answer.
#[derive(Serialize)]
pub(super) struct ImagesAnswer {
    pub(super) created: u64,
    pub(super) data: Vec<Value>,
    pub(super) usage: CallUsage,
}

/// What a call took and costs.
#[derive(Serialize)]
pub(super) struct CallUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    /// The digits themselves.
    pub(super) cost: Box<RawValue>,
    is_byok: bool,
}

impl CallUsage {
    pub(super) fn of(cost: Usd) -> Result<CallUsage, ErrorResponse> {
        let cost = RawValue::from_string(digits(cost)).map_err(|_| ErrorResponse::broken())?;
        Ok(CallUsage { prompt_tokens: 8, completion_tokens: 1290, total_tokens: 1298, cost, is_byok: false })
    }
}

/// An amount as JavaScript prints it: below a millionth in scientific notation.
pub(super) fn digits(usd: Usd) -> String {
    match usd.nanos() {
        nanos @ 1..1000 => format!("{nanos}e-9"),
        _ => usd.to_string(),
    }
}

/// The image API's refusal, before anything is drawn.
pub(super) fn moderation(order: &ParsedRequest) -> ErrorResponse {
    let message = "Your chosen model requires moderation and your input was flagged for \"violence\". No credits were \
                   charged.";
    let mut body = error(StatusCode::FORBIDDEN, message);
    body["error"]["metadata"] = json!({
        "reasons": ["violence"],
        "flagged_input": order.prompt.chars().take(100).collect::<String>(),
        "provider_name": "Sandbox",
        "model_slug": order.model,
    });
    ErrorResponse::fault(StatusCode::FORBIDDEN, body)
}
