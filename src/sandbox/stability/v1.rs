//! Stability AI, version 1: text to image in JSON, engines, balance (PROVIDERS.md section 3.2).
//!
//! Strict where the documents are: SDXL 1.0 draws nine sizes, and because the documented default of 512 is not one of
//! them, a request without a size is refused. What starts from a picture is in `v1_edits.rs`. Not here: upscaling.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::image::Size;
use crate::money::Usd;
use crate::sandbox::draw::Sketch;
use crate::sandbox::draw::draw_all;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::json_response::{ExactJson, JsonResponse};
use crate::sandbox::read_http_request::{media_type, read_json, text};
use crate::sandbox::settings::Name;
use crate::sandbox::stability::auth::authorise_v1;
use crate::sandbox::stability::common::{is_blurred, seed_of, set_headers};
use crate::sandbox::stability::v1_errors::{bad_body, bad_field, error_body, fault_response};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

/// The one engine left.
pub(super) const SDXL: &str = "stable-diffusion-xl-1024-v1-0";

/// What SDXL 1.0 draws.
pub(super) const SDXL_SIZES: [(u32, u32); 9] = [
    (1024, 1024),
    (1152, 896),
    (896, 1152),
    (1216, 832),
    (832, 1216),
    (1344, 768),
    (768, 1344),
    (1536, 640),
    (640, 1536),
];

pub(super) const SAMPLERS: [&str; 10] = [
    "DDIM",
    "DDPM",
    "K_DPMPP_2M",
    "K_DPMPP_2S_ANCESTRAL",
    "K_DPM_2",
    "K_DPM_2_ANCESTRAL",
    "K_EULER",
    "K_EULER_ANCESTRAL",
    "K_HEUN",
    "K_LMS",
];

pub(super) const GUIDANCE: [&str; 7] = ["FAST_BLUE", "FAST_GREEN", "NONE", "SIMPLE", "SLOW", "SLOWER", "SLOWEST"];

/// Both versions' styles.
pub(super) const STYLES: [&str; 17] = [
    "enhance",
    "anime",
    "photographic",
    "digital-art",
    "comic-book",
    "fantasy-art",
    "line-art",
    "analog-film",
    "neon-punk",
    "isometric",
    "low-poly",
    "origami",
    "modeling-compound",
    "cinematic",
    "3d-model",
    "pixel-art",
    "tile-texture",
];

/// What the account held before anything was charged.
const DEPOSIT: Usd = Usd::from_nanos(1_000_000_000_000);

/// `POST /stability/v1/generation/{engine}/text-to-image`.
pub(super) async fn generate(
    State(shared): State<Arc<SandboxState>>,
    Path(engine): Path<String>,
    request: Request,
) -> Response {
    let call = VendorCall::admit(&shared, Name::Stability, request.headers());
    let answer = answer(&call, engine, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, engine: String, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    let bytes = admit(call, &engine, &parts.headers)?;
    let object = read_json(&parts.headers, body).await.map_err(bad_body)?;
    serve(call, ParsedRequest::read(RequestFields::json(object), engine, bytes)?).await
}

/// `GET /stability/v1/engines/list`.
pub(super) async fn engines(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let list = json!([{
        "id": SDXL,
        "name": "Stable Diffusion XL v1.0",
        "description": "Stability-AI Stable Diffusion XL v1.0",
        "type": "PICTURE",
    }]);
    let answer = authorise_v1(&shared.settings(Name::Stability), &headers).map(|()| JsonResponse(list).into_response());
    finish(&shared, Name::Stability, answer)
}

/// `GET /stability/v1/user/balance`: credits left, one for each cent, written exactly.
pub(super) async fn balance(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let spent = shared.vendor_state(Name::Stability).billing.bill().usd;
    let credits = DEPOSIT.checked_sub(spent).and_then(|left| left.checked_mul(100)).unwrap_or(Usd::ZERO);
    let answer = authorise_v1(&shared.settings(Name::Stability), &headers).and_then(|()| {
        let body = RawValue::from_string(format!("{{\"credits\":{credits}}}")).map_err(|_| ErrorResponse::broken())?;
        Ok(ExactJson(body).into_response())
    });
    finish(&shared, Name::Stability, answer)
}

/// Checks the key and the engine; whether the picture itself is asked for.
pub(super) fn admit(call: &VendorCall, engine: &str, headers: &HeaderMap) -> Result<bool, ErrorResponse> {
    authorise_v1(&call.vendor, headers)?;
    if engine != SDXL && !call.vendor.price.contains_key(engine) {
        let message = "The specified engine was not found";
        return Err(ErrorResponse::violation(StatusCode::NOT_FOUND, error_body("not_found", message)));
    }
    wants_bytes(headers)
}

/// Serves a request that has been read: injects its fault, then draws, charges and answers.
pub(super) async fn serve(call: &VendorCall, parsed: ParsedRequest) -> Result<Response, ErrorResponse> {
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        let message = "One or more prompts contains filtered words.";
        return Err(ErrorResponse::fault(StatusCode::BAD_REQUEST, error_body("invalid_prompts", message)));
    }
    call.work().await;
    parsed.respond(call).await
}

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParsedRequest {
    pub engine: String,
    /// The texts of positive weight.
    pub prompt: String,
    pub size: Size,
    pub samples: u32,
    pub seed: u32,
    /// The picture itself instead of JSON.
    pub bytes: bool,
    /// Hash of the input pictures; 0 when there are none.
    pub fingerprint: u64,
}

impl ParsedRequest {
    pub(super) fn read(mut fields: RequestFields, engine: String, bytes: bool) -> Result<ParsedRequest, ErrorResponse> {
        let prompt = prompts(fields.any("text_prompts")).map_err(|error| bad_field("invalid_prompts", &error))?;
        let bad_size = |error| bad_field("invalid_height_or_width", &error);
        let mut side = |name| fields.whole(name, 128..=2048).map(|side| side.unwrap_or(512)).map_err(bad_size);
        let (width, height) = (side("width")?, side("height")?);
        let size = size(&engine, width, height).map_err(bad_size)?;
        let samples = samples(&mut fields, bytes)?;
        let seed = tuning(fields).map_err(|error| bad_field("bad_request", &error))?;
        Ok(ParsedRequest { engine, prompt, size, samples, seed, bytes, fingerprint: 0 })
    }

    /// Draws, charges and answers.
    pub(super) async fn respond(self, call: &VendorCall) -> Result<Response, ErrorResponse> {
        if call.fault == Mode::NoPictures {
            return Ok(if self.bytes {
                ().into_response()
            } else {
                JsonResponse(json!({"artifacts": []})).into_response()
            });
        }
        let blurred = is_blurred(&self.prompt);
        let reason = if blurred { "CONTENT_FILTERED" } else { "SUCCESS" };
        let seeds: Vec<u32> = (0..self.samples).map(|index| seed_of(self.seed, call).wrapping_add(index)).collect();
        let sketch = |seed: &u32| {
            let sketch = call.sketch(&self.prompt, u64::from(*seed) ^ self.fingerprint, 0, self.size);
            Sketch { blurred: blurred || sketch.blurred, ..sketch }
        };
        let mut files = draw_all(seeds.iter().map(sketch).collect()).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let refused = if blurred { self.samples } else { 0 };
        call.charge(&self.engine, self.size, None, self.samples, refused)?;
        if self.bytes {
            let file = files.pop().unwrap_or_default();
            let mut answer = ([(header::CONTENT_TYPE, "image/png")], file).into_response();
            set_headers(&mut answer, reason, seeds[0]);
            return Ok(answer);
        }
        let artifact =
            |(file, seed)| json!({"base64": STANDARD.encode_to_string(file), "seed": seed, "finishReason": reason});
        let artifacts: Vec<Value> = files.iter().zip(seeds).map(artifact).collect();
        Ok(JsonResponse(json!({"artifacts": artifacts})).into_response())
    }
}

/// How many pictures.
pub(super) fn samples(fields: &mut RequestFields, bytes: bool) -> Result<u32, ErrorResponse> {
    let samples = fields.whole("samples", 1..=10).map_err(|error| bad_field("invalid_samples", &error))?.unwrap_or(1);
    if samples > 1 && bytes {
        let error = FieldError::other("samples", "must be 1 unless the accept header is application/json");
        return Err(bad_field("invalid_samples", &error));
    }
    Ok(u32::try_from(samples).unwrap_or(1))
}

/// The positive texts, joined. A negative prompt is a text of negative weight.
pub(super) fn prompts(value: Option<Value>) -> Result<String, FieldError> {
    let missing = || FieldError::other("text_prompts", "must be a list of at least one prompt");
    let Some(Value::Array(list)) = value else { return Err(missing()) };
    let mut positive = Vec::new();
    for item in list {
        let Value::Object(item) = item else { return Err(missing()) };
        let mut item = RequestFields::json(item);
        let text = item.prompt("text", 2000).map_err(inside)?;
        let weight = item.number("weight", -100.0..=100.0).map_err(inside)?;
        item.end().map_err(inside)?;
        if weight.is_none_or(|weight| weight >= 0.0) {
            positive.push(text);
        }
    }
    if positive.is_empty() { Err(missing()) } else { Ok(positive.join(", ")) }
}

pub(super) fn inside(error: FieldError) -> FieldError {
    FieldError { field: format!("text_prompts.{}", error.field), ..error }
}

/// A size that the engine draws.
pub(super) fn size(engine: &str, width: i64, height: i64) -> Result<Size, FieldError> {
    let side = |name, side: i64| {
        u32::try_from(side)
            .ok()
            .filter(|side| side.is_multiple_of(64))
            .ok_or_else(|| FieldError::other(name, "must be a multiple of 64"))
    };
    let size = Size::new(side("width", width)?, side("height", height)?);
    if engine == SDXL && !SDXL_SIZES.contains(&(size.width, size.height)) {
        let sizes = SDXL_SIZES.map(|(width, height)| format!("{width}x{height}")).join(", ");
        return Err(FieldError::other("width", format!("and height must be one of {sizes} for {SDXL}")));
    }
    if !(262_144..=1_048_576).contains(&size.pixels()) {
        return Err(FieldError::other("width", "times height must be from 262144 to 1048576"));
    }
    Ok(size)
}

/// Checks the fields that change nothing here, and reads the seed.
pub(super) fn tuning(mut fields: RequestFields) -> Result<u32, FieldError> {
    fields.number("cfg_scale", 0.0..=35.0)?;
    fields.choice("clip_guidance_preset", &GUIDANCE)?;
    fields.choice("sampler", &SAMPLERS)?;
    fields.whole("steps", 10..=150)?;
    fields.choice("style_preset", &STYLES)?;
    let seed = fields.whole("seed", 0..=4_294_967_295)?;
    fields.end()?;
    Ok(seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(0))
}

/// Whether the picture itself is asked for.
pub(super) fn wants_bytes(headers: &HeaderMap) -> Result<bool, ErrorResponse> {
    match media_type(text(headers, &header::ACCEPT).unwrap_or_default()).as_str() {
        "" | "*/*" | "application/json" => Ok(false),
        "image/png" => Ok(true),
        _ => {
            let error = FieldError::other("accept", "must be application/json or image/png");
            Err(bad_field("bad_request", &error))
        }
    }
}

#[cfg(test)]
mod tests;
