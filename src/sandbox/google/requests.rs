//! Reads and checks a request to Google in either of its two shapes: Gemini's message or Imagen's instance.

use axum::body::Bytes;
use base64_simd::STANDARD;
use serde_json::{Map, Value, json};

use crate::image::{Format, Size};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::google::edit_requests;
use crate::sandbox::google::edit_requests::PictureEdit;
use crate::sandbox::google::models::Model;

pub(super) const THRESHOLDS: [&str; 5] =
    ["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"];

/// What a request asks to be drawn.
#[derive(Clone, Debug)]
pub(super) struct ParsedRequest {
    pub(super) model: String,
    pub(super) prompt: String,
    pub(super) n: u32,
    /// The pixels to draw, and those that are charged: a tier costs the same in every shape.
    pub(super) size: (Size, Size),
    pub(super) format: Format,
    pub(super) seed: Option<i64>,
    /// Hash of the input pictures; 0 when there are none.
    pub(super) fingerprint: u64,
    /// How many those are.
    pub(super) inputs: u64,
}

/// Gemini's body: one message, and how to answer it.
pub(super) fn read_content(
    mut fields: RequestFields,
    name: &str,
    model: &Model,
    vertex: bool,
) -> Result<(ParsedRequest, Vec<Bytes>), FieldError> {
    let (prompt, inputs) = message(fields.any("contents"), model)?;
    let mut config = fields
        .object("generationConfig")?
        .ok_or_else(|| FieldError::new("generationConfig", FieldErrorKind::Missing))?;
    if config
        .any("responseModalities")
        .is_none_or(|words| words != json!(["IMAGE"]) && words != json!(["TEXT", "IMAGE"]))
    {
        return Err(FieldError::other("generationConfig.responseModalities", "must name IMAGE"));
    }
    let seed = config.whole("seed", 0..=i64::from(i32::MAX))?;
    config.number("temperature", 0.0..=2.0)?;
    let mut image = config.object("imageConfig")?.unwrap_or_else(|| RequestFields::json(Map::new()));
    let size = size(&mut image, model, "imageSize")?;
    let format = match image.object("imageOutputOptions")? {
        Some(_) if !vertex => return Err(FieldError::new("imageOutputOptions", FieldErrorKind::Unknown)),
        Some(output) => output_of(output)?,
        None => Format::Png,
    };
    image.end()?;
    config.end()?;
    for setting in fields.list("safetySettings")? {
        let mut setting = RequestFields::of_value("safetySettings", setting)?;
        let category = setting.prompt("category", 100)?;
        if !category.starts_with("HARM_CATEGORY_") {
            return Err(FieldError::other("safetySettings.category", "is not a category"));
        }
        setting.choice("threshold", &THRESHOLDS)?;
        setting.end()?;
    }
    labels(&mut fields, vertex)?;
    fields.end()?;
    Ok((ParsedRequest { model: name.to_owned(), prompt, n: 1, size, format, seed, fingerprint: 0, inputs: 0 }, inputs))
}

/// The text and the pictures of the only message.
pub(super) fn message(contents: Option<Value>, model: &Model) -> Result<(String, Vec<Bytes>), FieldError> {
    let Some(Value::Array(mut contents)) = contents else {
        return Err(FieldError::new("contents", FieldErrorKind::Missing));
    };
    let (Some(content), true) = (contents.pop(), contents.is_empty()) else {
        return Err(FieldError::other("contents", "this sandbox takes one message"));
    };
    let mut content = RequestFields::of_value("contents", content)?;
    content.choice("role", &["user"])?;
    let parts = content.list("parts")?;
    content.end()?;
    let (mut prompt, mut inputs) = (String::new(), Vec::new());
    for part in parts {
        let mut part = RequestFields::of_value("contents.parts", part)?;
        match part.object("inlineData")? {
            Some(mut data) => {
                data.choice("mimeType", &["image/png", "image/jpeg", "image/webp"])?
                    .ok_or_else(|| FieldError::new("mimeType", FieldErrorKind::Missing))?;
                let base64 = data.prompt("data", usize::MAX)?;
                data.end()?;
                let bytes =
                    STANDARD.decode_to_vec(base64).map_err(|_| FieldError::other("data", "Base64 decoding failed"))?;
                inputs.push(Bytes::from(bytes));
            }
            None => prompt += &part.prompt("text", usize::MAX)?,
        }
        part.end()?;
    }
    if inputs.len() > model.inputs {
        return Err(FieldError::other("contents", format!("this model takes at most {} pictures", model.inputs)));
    }
    if prompt.is_empty() { Err(FieldError::new("contents", FieldErrorKind::Empty)) } else { Ok((prompt, inputs)) }
}

/// Imagen's body: one instance and its parameters.
pub(super) fn read_predict(
    mut fields: RequestFields,
    name: &str,
    model: &Model,
    vertex: bool,
) -> Result<(ParsedRequest, Option<PictureEdit>), FieldError> {
    let mut instances = fields.list("instances")?;
    let (Some(instance), true) = (instances.pop(), instances.is_empty()) else {
        return Err(FieldError::other("instances", "must be one"));
    };
    let mut instance = RequestFields::of_value("instances", instance)?;
    let prompt = instance.prompt("prompt", usize::MAX)?;
    let change = if model.masked { Some(PictureEdit::read(&mut instance)?) } else { None };
    instance.end()?;
    let mut with = fields.object("parameters")?.unwrap_or_else(|| RequestFields::json(Map::new()));
    if !vertex
        && let Some(field) =
            ["negativePrompt", "seed", "addWatermark", "enhancePrompt"].into_iter().find(|field| with.has(field))
    {
        return Err(FieldError::other(field, "is not supported by the Gemini API"));
    }
    let n = with.whole("sampleCount", 1..=4)?.unwrap_or(4);
    let size = match model.masked {
        // Known when the picture has been decoded.
        true => edit_requests::mode(&mut with).map(|()| (Size::new(0, 0), Size::new(0, 0)))?,
        false => size(&mut with, model, "sampleImageSize")?,
    };
    if with.text("negativePrompt")?.is_some() && !model.negative {
        return Err(FieldError::other("negativePrompt", "is not supported by this model"));
    }
    let seed = with.whole("seed", 1..=i64::from(i32::MAX))?;
    if with.flag("addWatermark")?.unwrap_or(true) && seed.is_some() {
        return Err(FieldError::other("seed", "is not supported when watermark is enabled"));
    }
    with.number("guidanceScale", 0.0..=100.0)?;
    with.flag("enhancePrompt")?;
    with.flag("includeRaiReason")?;
    with.choice("safetySetting", &THRESHOLDS)?;
    with.choice("personGeneration", &["DONT_ALLOW", "ALLOW_ADULT", "ALLOW_ALL"])?;
    let format = with.object("outputOptions")?.map_or(Ok(Format::Png), output_of)?;
    with.end()?;
    labels(&mut fields, vertex)?;
    fields.end()?;
    let n = u32::try_from(n).unwrap_or(1);
    Ok((ParsedRequest { model: name.to_owned(), prompt, n, size, format, seed, fingerprint: 0, inputs: 0 }, change))
}

/// The pixels that a shape and a tier stand for, and those that are charged.
pub(super) fn size(fields: &mut RequestFields, model: &Model, tier: &str) -> Result<(Size, Size), FieldError> {
    let shape = fields.choice("aspectRatio", model.shapes)?;
    if model.tiers.is_empty() && fields.has(tier) {
        return Err(FieldError::other(tier, "is not supported by this model"));
    }
    let edge: u32 = match fields.choice(tier, model.tiers)?.as_deref() {
        Some("512") => 512,
        Some("2K") => 2048,
        Some("4K") => 4096,
        _ => 1024,
    };
    let (across, down) = shape.as_deref().unwrap_or("1:1").split_once(':').unwrap_or(("1", "1"));
    let (across, down) = (across.parse().unwrap_or(1), down.parse().unwrap_or(1));
    let area = u64::from(edge) * u64::from(edge);
    let side = |this: u64, other: u64| u32::try_from(((area * this / other).isqrt() + 8) / 16 * 16).unwrap_or(1024);
    let drawn = Size::new(side(across, down), side(down, across));
    Ok((drawn, if model.tiers.is_empty() { drawn } else { Size::new(edge, edge) }))
}

pub(super) fn output_of(mut output: RequestFields) -> Result<Format, FieldError> {
    let word = output.choice("mimeType", &["image/png", "image/jpeg"])?;
    let jpeg = word.as_deref() == Some("image/jpeg");
    if output.whole("compressionQuality", 0..=100)?.is_some() && !jpeg {
        return Err(FieldError::other("compressionQuality", "is for image/jpeg only"));
    }
    output.end()?;
    Ok(if jpeg { Format::Jpeg } else { Format::Png })
}

/// Vertex AI's labels, in the letters it allows.
pub(super) fn labels(fields: &mut RequestFields, vertex: bool) -> Result<(), FieldError> {
    match fields.any("labels") {
        None => Ok(()),
        Some(Value::Object(labels)) if vertex => {
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
            let bad = |text: &str| text.is_empty() || text.len() > 63 || !text.chars().all(good);
            let any_bad = labels.iter().any(|(name, value)| bad(name) || value.as_str().is_none_or(bad));
            if any_bad { Err(FieldError::other("labels", "has a name or a value that is no label")) } else { Ok(()) }
        }
        Some(_) => Err(FieldError::new("labels", FieldErrorKind::Unknown)),
    }
}
