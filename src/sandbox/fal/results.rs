//! How a request at the sandbox's fal.ai ends: with pictures that are charged, or with the model's error, which is not.
//!
//! A result is kept as it will be answered, its headers' contents beside its body. `mod.rs` decides when it ends and
//! who may fetch it.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::image::Format;
use crate::sandbox::draw::Sketch;
use crate::sandbox::draw::draw_all;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fal::requests::DrawParameters;
use crate::sandbox::faults::Mode;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::VendorCall;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-fal-error-type");
const RETRYABLE: HeaderName = HeaderName::from_static("x-fal-retryable");
const TIMEOUT_TYPE: HeaderName = HeaderName::from_static("x-fal-request-timeout-type");
const UNITS: HeaderName = HeaderName::from_static("x-fal-billable-units");

/// How a request ends.
#[derive(Debug)]
pub(in crate::sandbox) enum RequestEnd {
    /// With the model's error, which costs nothing.
    Failed(Value),
    Drawn(Box<UnchargedPictures>),
}

/// Pictures that are charged when their time is over.
#[derive(Debug)]
pub(in crate::sandbox) struct UnchargedPictures {
    shared: Arc<SandboxState>,
    vendor: Arc<Vendor>,
    origin: String,
    model: String,
    asked: DrawParameters,
    seed: u64,
    /// Nothing is drawn, because the call's fault is `NoPictures`.
    empty: bool,
    sketches: Vec<Sketch>,
    /// The pictures themselves, where they come inside the answer.
    inside: Vec<String>,
}

impl UnchargedPictures {
    /// Sketches what was asked; draws it already where it comes inside the answer.
    pub(in crate::sandbox) async fn prepare(
        call: &VendorCall,
        model: &str,
        asked: DrawParameters,
    ) -> Result<UnchargedPictures, ErrorResponse> {
        let seed = asked.seed.unwrap_or(call.seed >> 32);
        let empty = call.fault == Mode::NoPictures;
        let count = if empty { 0 } else { asked.count };
        let sketch = |index| Sketch {
            format: asked.format,
            transparent: asked.transparent && asked.format != Format::Jpeg,
            blurred: blacked_out(&asked, index),
            ..call.sketch(&asked.prompt, seed ^ asked.fingerprint, index, asked.size)
        };
        let sketches: Vec<Sketch> = (0..count).map(sketch).collect();
        let drawn = if asked.inside { draw_all(sketches.clone()).await? } else { Vec::new() };
        let url = |file| format!("data:{};base64,{}", asked.format.media_type(), STANDARD.encode_to_string(file));
        let inside = drawn.into_iter().map(url).collect();
        Ok(UnchargedPictures {
            shared: Arc::clone(&call.shared),
            vendor: Arc::clone(&call.vendor),
            origin: call.origin.clone(),
            model: model.to_owned(),
            asked,
            seed,
            empty,
            sketches,
            inside,
        })
    }
}

/// The last picture of a prompt that asks for it, at models that look at what they drew.
fn blacked_out(asked: &DrawParameters, index: u32) -> bool {
    asked.checked && index + 1 == asked.count && asked.prompt.to_lowercase().contains("withheld")
}

impl RequestEnd {
    /// Charges, and says what the result is.
    pub(in crate::sandbox) fn finish(self) -> Value {
        let work = match self {
            RequestEnd::Failed(body) => {
                let kind = body["detail"][0]["type"].as_str().unwrap_or_default().to_owned();
                return stored_result(422, None, &kind, body);
            }
            RequestEnd::Drawn(work) => work,
        };
        let DrawParameters { size, count, quality, format, .. } = &work.asked;
        let count = if work.empty { 0 } else { *count };
        let withheld = (0..count).map(|index| blacked_out(&work.asked, index)).collect::<Vec<bool>>();
        let refused = withheld.iter().filter(|withheld| **withheld).count();
        let price = work.vendor.price_of(&work.model, *size, quality.as_deref());
        let billing = &work.shared.vendor_state(Name::Fal).billing;
        if billing.charge(&work.model, price, count, u32::try_from(refused).unwrap_or(count)).is_none() {
            return stored_result(500, None, "internal_server_error", json!({"detail": "the sandbox itself failed"}));
        }
        let links: Vec<String> = match work.asked.inside {
            true => work.inside,
            false => work
                .sketches
                .into_iter()
                .map(|sketch| format!("{}{}", work.origin, work.shared.picture_links.put(Name::Fal, sketch)))
                .collect(),
        };
        let image = |link: &String| {
            json!({"url": link, "width": size.width, "height": size.height,
            "content_type": format.media_type()})
        };
        let mut body = json!({"images": links.iter().map(image).collect::<Vec<_>>()});
        if work.asked.checked {
            body["timings"] = json!({"inference": 0.4});
            body["seed"] = json!(work.seed);
            body["has_nsfw_concepts"] = json!(withheld);
            body["prompt"] = json!(work.asked.prompt);
        }
        let megapixels = work.vendor.rates.units(&work.model, *size).map(|units| units * u64::from(count));
        let units = megapixels.map_or_else(|| count.to_string(), |units| format!("{}.{:02}", units / 100, units % 100));
        stored_result(200, work.vendor.tells_cost.then_some(units), "", body)
    }
}

/// A result as it is kept until it is asked for.
pub(in crate::sandbox) fn stored_result(status: u16, units: Option<String>, error_type: &str, body: Value) -> Value {
    json!({"status": status, "units": units, "error_type": error_type, "body": body})
}

/// What went wrong, on the status of a request that ended without pictures.
pub(in crate::sandbox) fn add_error(status: &mut Value, end: &Value) {
    if end["status"] == 200 {
        return;
    }
    let detail = &end["body"]["detail"];
    status["error"] = if detail.is_string() { detail.clone() } else { detail[0]["msg"].clone() };
    status["error_type"] = end["error_type"].clone();
}

/// A result that was kept, as an answer.
pub(in crate::sandbox) fn to_response(id: &str, end: &Value) -> Response {
    let status = end["status"].as_u64().and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    // What ended without a result was ended by the sandbox's closing.
    let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut answer = (status, JsonResponse(&end["body"])).into_response();
    let mut add = |name: &HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
    };
    add(&REQUEST_ID, id);
    if let Some(units) = end["units"].as_str() {
        add(&UNITS, units);
    }
    if let Some(kind) = end["error_type"].as_str().filter(|kind| !kind.is_empty()) {
        add(&ERROR_TYPE, kind);
        add(&RETRYABLE, if status.is_server_error() { "true" } else { "false" });
        if kind == "startup_timeout" {
            add(&TIMEOUT_TYPE, "user");
        }
    }
    answer
}
