//! Stability AI, version 2beta: Stable Image core, ultra and sd3 (PROVIDERS.md section 3.1).
//!
//! Forms only: a JSON body is refused, however right its fields. One picture a call, by aspect ratio, never by pixels.
//! The sizes drawn are SD3's own for about one million pixels; core's are the same ratios at the 1.5 million its page
//! promises, computed, for want of a published list. `ultra` and `sd3` also start from a picture, `inpaint` changes
//! part of one, white where its mask allows it; what starts from a picture is drawn in its size. Not here: the other
//! edits.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde_json::json;

use crate::image::{Format, Size};
use crate::sandbox::draw::Sketch;
use crate::sandbox::draw::draw_all;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{decode_all, fingerprint};
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::multipart::Form;
use crate::sandbox::read_http_request::{media_type, text};
use crate::sandbox::settings::Name;
use crate::sandbox::stability::auth::authorise_stable_image;
use crate::sandbox::stability::common::{is_blurred, seed_of, set_headers};
use crate::sandbox::stability::stable_image_errors::{bad_field, bad_form, error_body, fault_response, violation};
use crate::sandbox::stability::v1::STYLES;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::VendorCall;

/// Ratios and what SD3 draws for them.
const RATIOS: [(&str, Size); 9] = [
    ("21:9", Size::new(1536, 640)),
    ("16:9", Size::new(1344, 768)),
    ("3:2", Size::new(1216, 832)),
    ("5:4", Size::new(1088, 896)),
    ("1:1", Size::new(1024, 1024)),
    ("4:5", Size::new(896, 1088)),
    ("2:3", Size::new(832, 1216)),
    ("9:16", Size::new(768, 1344)),
    ("9:21", Size::new(640, 1536)),
];

/// The models of the `sd3` service. The last is in the price list but not in the schema's enum; it is taken here.
const SD3: [&str; 4] = ["sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash"];

/// Which endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Core,
    Ultra,
    Sd3,
    Inpaint,
}

/// `POST /stability/v2beta/stable-image/generate/{service}`.
pub(in crate::sandbox) async fn generate(
    State(shared): State<Arc<SandboxState>>,
    Path(service): Path<String>,
    request: Request,
) -> Response {
    let service = match service.as_str() {
        "core" => Some(Service::Core),
        "ultra" => Some(Service::Ultra),
        "sd3" => Some(Service::Sd3),
        _ => None,
    };
    serve(&shared, service, request).await
}

/// `POST /stability/v2beta/stable-image/edit/{service}`.
pub(in crate::sandbox) async fn edit(
    State(shared): State<Arc<SandboxState>>,
    Path(service): Path<String>,
    request: Request,
) -> Response {
    serve(&shared, (service == "inpaint").then_some(Service::Inpaint), request).await
}

async fn serve(shared: &Arc<SandboxState>, service: Option<Service>, request: Request) -> Response {
    let call = VendorCall::admit(shared, Name::Stability, request.headers());
    let answer = answer(&call, service, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, service: Option<Service>, request: Request) -> Result<Response, ErrorResponse> {
    authorise_stable_image(&call.vendor, request.headers())?;
    let missing = || violation(StatusCode::NOT_FOUND, "not_found", "no such service: use core, ultra, sd3 or inpaint");
    let service = service.ok_or_else(missing)?;
    let json = wants_json(request.headers())?;
    let given = text(request.headers(), &header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let form = Form::read(request).await.map_err(|bad| bad_form(bad, &given))?;
    let parsed = read(service, form).await.map_err(|error| bad_field(&error))?;
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        let words = "Your request was flagged by our content moderation system, as a result your request was denied \
                     and you were not charged.";
        return Err(ErrorResponse::fault(StatusCode::FORBIDDEN, error_body("content_moderation", words)));
    }
    call.work().await;
    parsed.respond(call, json).await
}

/// Reads the form and decodes its pictures.
async fn read(service: Service, mut form: Form) -> Result<ParsedRequest, FieldError> {
    // The vendor's own sample sends an empty file called `none` only to make its client write a form.
    form.take("none");
    let texts = form.texts.iter().filter(|(name, text)| name != "none" || !text.is_empty()).cloned().collect();
    let (image, mask) = (form.take_one("image")?, form.take_one("mask")?);
    form.end()?;
    let parsed = ParsedRequest::read(service, RequestFields::form(texts), image.is_some())?;
    if mask.is_some() && service != Service::Inpaint {
        return Err(FieldError::new("mask", FieldErrorKind::Unknown));
    }
    let Some(image) = image else { return Ok(parsed) };
    let fingerprint = fingerprint(std::slice::from_ref(&image), mask.as_ref());
    let seen = decode_all("image", vec![image], None).await?.remove(0);
    if let Some(mask) = mask {
        let masked = decode_all("mask", vec![mask], None).await?.remove(0);
        if masked.size != seen.size {
            return Err(FieldError::other("mask", "must be of the same size as the image"));
        }
    }
    let size = if service == Service::Ultra { parsed.size } else { seen.size };
    Ok(ParsedRequest { size, fingerprint, ..parsed })
}

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ParsedRequest {
    model: String,
    prompt: String,
    size: Size,
    format: Format,
    seed: u32,
    /// Hash of the input pictures; 0 when there are none.
    fingerprint: u64,
}

impl ParsedRequest {
    /// `pictured`: the form brings a picture along.
    fn read(service: Service, mut fields: RequestFields, pictured: bool) -> Result<ParsedRequest, FieldError> {
        let prompt = fields.prompt("prompt", 10_000)?;
        fields.bounded("negative_prompt", 10_000)?;
        let shaped = service == Service::Ultra || !(pictured || service == Service::Inpaint);
        let ratio = if shaped { fields.choice("aspect_ratio", &RATIOS.map(|(name, _)| name))? } else { None };
        let seed = fields.whole("seed", 0..=4_294_967_294)?;
        let format = fields.choice("output_format", &["jpeg", "png", "webp"])?;
        fields.choice("style_preset", &STYLES)?;
        let model = match service {
            Service::Core => "core".to_owned(),
            Service::Ultra => "ultra".to_owned(),
            Service::Sd3 => read_sd3(&mut fields, pictured)?,
            Service::Inpaint if !pictured => return Err(FieldError::new("image", FieldErrorKind::Missing)),
            Service::Inpaint => "inpaint".to_owned(),
        };
        if pictured && matches!(service, Service::Ultra | Service::Sd3) {
            fields
                .number("strength", 0.0..=1.0)?
                .ok_or_else(|| FieldError::new("strength", FieldErrorKind::Missing))?;
        }
        if pictured && service == Service::Core {
            return Err(FieldError::new("image", FieldErrorKind::Unknown));
        }
        fields.end()?;
        Ok(ParsedRequest {
            model,
            prompt,
            size: size(service, ratio.as_deref().unwrap_or("1:1")),
            format: format.and_then(|word| word.parse().ok()).unwrap_or(Format::Png),
            seed: seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(0),
            fingerprint: 0,
        })
    }

    /// Draws, charges and answers.
    async fn respond(self, call: &VendorCall, json: bool) -> Result<Response, ErrorResponse> {
        let seed = seed_of(self.seed, call);
        if call.fault == Mode::NoPictures {
            let body = json!({"seed": seed, "finish_reason": "SUCCESS"});
            return Ok(if json { JsonResponse(body).into_response() } else { ().into_response() });
        }
        let blurred = is_blurred(&self.prompt);
        let reason = if blurred { "CONTENT_FILTERED" } else { "SUCCESS" };
        let sketch = call.sketch(&self.prompt, u64::from(seed) ^ self.fingerprint, 0, self.size);
        let mut files =
            draw_all(vec![Sketch { blurred: blurred || sketch.blurred, format: self.format, ..sketch }]).await?;
        let file = files.pop().unwrap_or_default();
        // Nothing is awaited from here on: what is charged is answered.
        call.charge(&self.model, self.size, None, 1, u32::from(blurred))?;
        let media_type = self.format.media_type();
        if json {
            let body = json!({"image": STANDARD.encode_to_string(&file), "seed": seed, "finish_reason": reason});
            let content_type = format!("application/json; type={media_type}");
            return Ok(([(header::CONTENT_TYPE, content_type)], body.to_string()).into_response());
        }
        let mut answer = ([(header::CONTENT_TYPE, media_type)], file).into_response();
        set_headers(&mut answer, reason, seed);
        Ok(answer)
    }
}

/// The fields of `sd3` alone, and its model.
fn read_sd3(fields: &mut RequestFields, pictured: bool) -> Result<String, FieldError> {
    let mode = fields.choice("mode", &["text-to-image", "image-to-image"])?;
    if (mode.as_deref() == Some("image-to-image")) != pictured {
        return Err(FieldError::other("mode", "must be image-to-image with an image, and only then"));
    }
    fields.number("cfg_scale", 1.0..=10.0)?;
    Ok(fields.choice("model", &SD3)?.unwrap_or_else(|| "sd3.5-large".to_owned()))
}

fn size(service: Service, ratio: &str) -> Size {
    let (_, size) = RATIOS.iter().find(|(name, _)| *name == ratio).copied().unwrap_or(RATIOS[4]);
    match service {
        Service::Ultra | Service::Sd3 | Service::Inpaint => size,
        Service::Core => {
            let side = |this: u32, other: u32| {
                let exact = (1_500_000 * u64::from(this) / u64::from(other)).isqrt();
                u32::try_from((exact + 8) / 16 * 16).unwrap_or(this)
            };
            Size::new(side(size.width, size.height), side(size.height, size.width))
        }
    }
}

fn wants_json(headers: &HeaderMap) -> Result<bool, ErrorResponse> {
    match media_type(text(headers, &header::ACCEPT).unwrap_or_default()).as_str() {
        "" | "*/*" | "image/*" => Ok(false),
        "application/json" => Ok(true),
        _ => Err(bad_field(&FieldError::other("accept", "must be image/* or application/json"))),
    }
}

#[cfg(test)]
mod tests;
