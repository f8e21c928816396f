//! Stability AI, version 1: a picture out of a picture, whole or behind a mask (PROVIDERS.md section 3.2).
//!
//! A form with `init_image`, whose size is that of what is drawn and must be one that the engine draws. The texts are
//! written `text_prompts[0][text]`. How much the picture counts is said by a strength or by a schedule, never by both,
//! and not at all where a mask says which part changes. Not here: upscaling.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use crate::image::Size;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{decode_all, fingerprint};
use crate::sandbox::multipart::{BadForm, Form};
use crate::sandbox::settings::Name;
use crate::sandbox::stability::v1::{ParsedRequest, admit, prompts, samples, serve, size, tuning};
use crate::sandbox::stability::v1_errors::{bad_field, error_body};
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::VendorCall;

/// `POST .../image-to-image`.
pub(in crate::sandbox) async fn image_to_image(
    shared: State<Arc<SandboxState>>,
    Path(engine): Path<String>,
    request: Request,
) -> Response {
    draw(shared, engine, request, false).await
}

/// `POST .../image-to-image/masking`.
pub(in crate::sandbox) async fn masking(
    shared: State<Arc<SandboxState>>,
    Path(engine): Path<String>,
    request: Request,
) -> Response {
    draw(shared, engine, request, true).await
}

async fn draw(State(shared): State<Arc<SandboxState>>, engine: String, request: Request, masking: bool) -> Response {
    let call = VendorCall::admit(&shared, Name::Stability, request.headers());
    let answer = answer(&call, engine, request, masking).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, engine: String, request: Request, masking: bool) -> Result<Response, ErrorResponse> {
    let bytes = admit(call, &engine, request.headers())?;
    let mut form = Form::read(request).await.map_err(bad_form)?;
    let bad_request = |error: FieldError| bad_field("bad_request", &error);
    let (texts, rest) = split_prompts(std::mem::take(&mut form.texts));
    let prompt = prompts(Some(texts)).map_err(|error| bad_field("invalid_prompts", &error))?;
    let mut fields = RequestFields::form(rest);
    let image = form.take_one("init_image").map_err(bad_request)?;
    let image = image.ok_or_else(|| bad_request(FieldError::new("init_image", FieldErrorKind::Missing)))?;
    let mask = if masking { mask(&mut fields, &mut form) } else { weight(&mut fields).map(|()| None) };
    let mask = mask.map_err(bad_request)?;
    form.end().map_err(bad_request)?;
    let samples = samples(&mut fields, bytes)?;
    let seed = tuning(fields).map_err(bad_request)?;
    let fingerprint = fingerprint(std::slice::from_ref(&image), mask.as_ref());
    let size = decoded_size(&engine, image, mask).await?;
    serve(call, ParsedRequest { engine, prompt, size, samples, seed, bytes, fingerprint }).await
}

/// Splits the texts into the prompts, as the JSON endpoint has them, and the others.
fn split_prompts(texts: Vec<(String, String)>) -> (Value, Vec<(String, String)>) {
    let mut prompts: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
    let mut rest = Vec::new();
    for (name, text) in texts {
        let inside = name.strip_prefix("text_prompts[").and_then(|inside| inside.strip_suffix(']'));
        let place = inside.and_then(|inside| inside.split_once("]["));
        match place.and_then(|(index, field)| Some((index.parse().ok()?, field.to_owned()))) {
            Some((index, field)) => {
                let number =
                    text.parse::<f64>().ok().filter(|_| field == "weight").and_then(serde_json::Number::from_f64);
                prompts.entry(index).or_default().insert(field, number.map_or(Value::String(text), Value::Number));
            }
            None => rest.push((name, text)),
        }
    }
    (prompts.into_values().map(Value::Object).collect(), rest)
}

/// How much the picture counts.
fn weight(fields: &mut RequestFields) -> Result<(), FieldError> {
    if fields.choice("init_image_mode", &["IMAGE_STRENGTH", "STEP_SCHEDULE"])?.as_deref() == Some("STEP_SCHEDULE") {
        fields.number("step_schedule_start", 0.0..=1.0)?;
        fields.number("step_schedule_end", 0.0..=1.0)?;
    } else {
        fields.number("image_strength", 0.0..=1.0)?;
    }
    Ok(())
}

/// The mask, where it is a picture of its own.
fn mask(fields: &mut RequestFields, form: &mut Form) -> Result<Option<Bytes>, FieldError> {
    let source = fields.choice("mask_source", &["MASK_IMAGE_WHITE", "MASK_IMAGE_BLACK", "INIT_IMAGE_ALPHA"])?;
    let source = source.ok_or_else(|| FieldError::new("mask_source", FieldErrorKind::Missing))?;
    match (source.as_str(), form.take_one("mask_image")?) {
        ("INIT_IMAGE_ALPHA", None) => Ok(None),
        ("INIT_IMAGE_ALPHA", Some(_)) => Err(FieldError::new("mask_image", FieldErrorKind::Unknown)),
        (_, None) => Err(FieldError::new("mask_image", FieldErrorKind::Missing)),
        (_, mask) => Ok(mask),
    }
}

/// Decodes the picture and its mask, and gives their size.
async fn decoded_size(engine: &str, image: Bytes, mask: Option<Bytes>) -> Result<Size, ErrorResponse> {
    let unreadable = |name: &'static str| move |error: FieldError| bad_field(name, &error);
    let image = decode_all("init_image", vec![image], None).await.map_err(unreadable("invalid_mime_type"))?.remove(0);
    let (width, height) = (i64::from(image.size.width), i64::from(image.size.height));
    let size = size(engine, width, height).map_err(|error| {
        bad_field("invalid_image_dimensions", &FieldError { field: "init_image".to_owned(), ..error })
    })?;
    if let Some(mask) = mask {
        let mask =
            decode_all("mask_image", vec![mask], None).await.map_err(unreadable("invalid_mask_image"))?.remove(0);
        if mask.size != size {
            let error = FieldError::other("mask_image", "must be of the same size as init_image");
            return Err(bad_field("invalid_mask_image", &error));
        }
    }
    Ok(size)
}

fn bad_form(bad: BadForm) -> ErrorResponse {
    match bad {
        BadForm::TooLarge => {
            ErrorResponse::violation(StatusCode::PAYLOAD_TOO_LARGE, error_body("payload_too_large", "body over 10MiB"))
        }
        BadForm::ContentType(given) => {
            let error = FieldError::other("content-type", format!("must be multipart/form-data, not '{given}'"));
            bad_field("bad_request", &error)
        }
        BadForm::Broken(words) => bad_field("bad_request", &FieldError::other("body", words)),
        BadForm::Twice(name) => bad_field("bad_request", &FieldError::other(&name, "must be given once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Format, Picture};
    use crate::money::Usd;
    use crate::sandbox::Sandbox;
    use crate::sandbox::test_client::{Reply, sandbox, send};
    use crate::sandbox::test_inputs::{FORM, form, picture};

    const ENGINE: &str = "stable-diffusion-xl-1024-v1-0";
    const TEXTS: [(&str, &str); 2] = [("text_prompts[0][text]", "a blue hat"), ("text_prompts[0][weight]", "1")];

    type Texts<'a> = &'a [(&'a str, &'a str)];
    type Files<'a> = &'a [(&'a str, &'a Bytes)];

    async fn ask(sandbox: &Sandbox, end: &str, texts: Texts<'_>, files: Files<'_>) -> Reply {
        let headers = [("authorization", "Bearer any"), ("content-type", FORM)];
        let path = format!("/stability/v1/generation/{ENGINE}/image-to-image{end}");
        send(sandbox.addr(), "POST", &path, &headers, &form(&[&TEXTS, texts].concat(), files)).await
    }

    #[tokio::test]
    async fn a_picture_or_the_white_part_of_one_is_drawn_anew_in_its_own_size() {
        let sandbox = sandbox("{vendors: {stability: {price: {stable-diffusion-xl-1024-v1-0: 0.009}}}}").await;
        let (image, mask) = (picture(1024, Format::Jpeg, false), picture(1024, Format::Png, false));
        let strength =
            [("init_image_mode", "IMAGE_STRENGTH"), ("image_strength", "0.35"), ("samples", "2"), ("seed", "5")];
        let whole = ask(&sandbox, "", &strength, &[("init_image", &image)]).await.json();
        assert_eq!(whole["artifacts"].as_array().map(Vec::len), Some(2), "{whole}");
        let base64 = whole["artifacts"][0]["base64"].as_str().unwrap().to_owned();
        assert_eq!(Picture::inspect(Encoded::Base64(base64.clone().into())).unwrap().size, Size::new(1024, 1024));
        let white = [("mask_source", "MASK_IMAGE_WHITE"), ("seed", "5")];
        let masked = ask(&sandbox, "/masking", &white, &[("init_image", &image), ("mask_image", &mask)]).await.json();
        assert!(masked["artifacts"][0]["base64"].as_str().is_some_and(|other| other != base64), "the mask counts");
        let schedule = [("init_image_mode", "STEP_SCHEDULE"), ("step_schedule_start", "0.4")];
        assert_eq!(ask(&sandbox, "", &schedule, &[("init_image", &image)]).await.status, 200);
        let invoice = sandbox.invoice();
        let bill = invoice.vendor(Name::Stability);
        assert_eq!((bill.pictures, bill.usd, bill.violations_total), (4, Usd::from_nanos(36_000_000), 0));
    }

    #[tokio::test]
    async fn every_part_of_such_a_form_that_is_out_of_line_is_named_and_noted() {
        let sandbox = sandbox("{}").await;
        let (good, small) = (picture(1024, Format::Png, false), picture(512, Format::Png, false));
        let (image, masks) = (("init_image", &good), ("mask_image", &good));
        let white = ("mask_source", "MASK_IMAGE_WHITE");
        let half = good.slice(..good.len() / 2);
        let cases: [(&str, Texts<'_>, Files<'_>, &str, &str); 12] = [
            ("", &[], &[], "bad_request", "init_image: is required"),
            ("", &[], &[("init_image", &small)], "invalid_image_dimensions", "init_image: and height must be one of"),
            ("", &[], &[("init_image", &half)], "invalid_mime_type", "init_image: Invalid image file"),
            ("", &[("image_strength", "2")], &[image], "bad_request", "image_strength: must be less"),
            ("", &[("width", "1024")], &[image], "bad_request", "width: is not a known"),
            ("", &[], &[image, masks], "bad_request", "mask_image: is not a known"),
            ("", &[("init_image_mode", "STEP_SCHEDULE"), ("image_strength", "1")], &[image], "bad_request", "image_st"),
            ("", &[("text_prompts[1][wait]", "1")], &[image], "invalid_prompts", "text_prompts."),
            ("/masking", &[], &[image, masks], "bad_request", "mask_source: is required"),
            ("/masking", &[white], &[image], "bad_request", "mask_image: is required"),
            ("/masking", &[white], &[image, ("mask_image", &small)], "invalid_mask_image", "mask_image: must be of"),
            ("/masking", &[white, ("image_strength", "0.3")], &[image, masks], "bad_request", "image_strength: is not"),
        ];
        for (end, texts, files, name, words) in &cases {
            let reply = ask(&sandbox, end, texts, files).await;
            let json = reply.json();
            assert_eq!((reply.status, json["name"].as_str()), (400, Some(*name)), "{texts:?} {json}");
            assert!(json["message"].as_str().is_some_and(|message| message.starts_with(words)), "{words}: {json}");
        }
        assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, cases.len() as u64);
    }
}
