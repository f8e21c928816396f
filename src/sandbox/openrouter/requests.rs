//! What OpenRouter's image API and its chat read alike in a request: the model, shared fields and input pictures.
//!
//! Each API reads its other fields itself, in `image_api.rs` and `chat.rs`; both end in one [`ParsedRequest`].

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::image::{Format, Size};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{data_url, decode_all, fingerprint};
use crate::sandbox::openrouter::errors::{bad_field, violation};
use crate::sandbox::openrouter::models::Model;
use crate::sandbox::settings::Vendor;

/// What a request asks to be drawn.
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
    /// Hash of the input pictures; 0 when there are none.
    pub fingerprint: u64,
}

/// The model and its name.
pub(super) fn model(fields: &mut RequestFields, vendor: &Vendor) -> Result<(String, Model), ErrorResponse> {
    let name = fields.prompt("model", 200).map_err(bad_field)?;
    match Model::of(&name, vendor) {
        Some(model) => Ok((name, model)),
        None if name.contains('/') => Err(violation(StatusCode::NOT_FOUND, &format!("No endpoints found for {name}."))),
        None => Err(violation(StatusCode::BAD_REQUEST, &format!("{name} is not a valid model ID"))),
    }
}

pub(super) fn seed(model: &Model, fields: &mut RequestFields) -> Result<Option<i64>, FieldError> {
    match fields.whole("seed", 0..=i64::MAX)? {
        Some(_) if !model.seed => Err(FieldError::other("seed", "is not supported by this model")),
        seed => Ok(seed),
    }
}

pub(super) fn refuse_streaming(fields: &mut RequestFields) -> Result<(), FieldError> {
    match fields.flag("stream")? {
        Some(true) => Err(FieldError::other("stream", "is not what this sandbox does")),
        _ => Ok(()),
    }
}

pub(super) fn provider(fields: &mut RequestFields) -> Result<(), FieldError> {
    match fields.any("provider") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(other) => Err(not_a("provider", "object", &other)),
    }
}

pub(super) fn not_a(field: &str, wanted: &'static str, got: &Value) -> FieldError {
    FieldError::new(field, FieldErrorKind::NotA(wanted, fields::kind(got)))
}

/// The bytes of `{"type": "image_url", "image_url": {"url": "data:…"}}`, exactly so.
pub(super) fn referred(field: &str, item: &Value) -> Result<Bytes, FieldError> {
    let url = item.pointer("/image_url/url").and_then(Value::as_str).unwrap_or_default();
    if *item != json!({"type": "image_url", "image_url": {"url": url}}) {
        return Err(FieldError::other(field, "each must be {type: image_url, image_url: {url}}"));
    }
    data_url(url).ok_or_else(|| FieldError::other(field, "this sandbox takes data: URLs of pictures only"))
}

/// Checks that these are real pictures and not too many, and gives their hash.
pub(super) async fn check(references: Vec<Bytes>, most: usize, field: &str) -> Result<u64, FieldError> {
    if references.len() > most {
        return Err(FieldError::other(field, format!("this model takes at most {most}")));
    }
    let fingerprint = fingerprint(&references, None);
    if !references.is_empty() {
        decode_all(field, references, None).await?;
    }
    Ok(fingerprint)
}
