//! Reads and checks a request to Replicate: its body, and how long it waits and may run by its headers.
//!
//! Strict: an input that the table in `models.rs` does not give the model is refused.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::image::{Format, Size};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{InspectedPicture, data_url, decode};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::replicate::errors::{bad_body, bad_field, bad_header, no_such_version, not_found_error};
use crate::sandbox::replicate::models::{InputType, RequestedModel};
use crate::sandbox::vendor_call::VendorCall;

/// The longest `Prefer: wait`.
const LONGEST_WAIT: u64 = 60;

/// The picture to draw, and the request's own input.
#[derive(Debug)]
pub(in crate::sandbox) struct ParsedRequest {
    /// `owner/name`, as invoices have it.
    pub model: String,
    /// As the request gave it.
    pub version: String,
    /// As the request gave it.
    pub input: Map<String, Value>,
    pub picture: PictureInput,
}

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct PictureInput {
    pub prompt: String,
    pub size: Size,
    pub count: u32,
    pub format: Format,
    pub seed: Option<u64>,
    /// The output is one link, not a list.
    pub single: bool,
}

/// Checks the request and finds out what is to be drawn.
pub(super) async fn read_request(
    call: &VendorCall,
    model: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<ParsedRequest, ErrorResponse> {
    let mut fields = RequestFields::json(read_json(headers, body).await.map_err(bad_body)?);
    let version = match &model {
        None => Some(fields.prompt("version", 300).map_err(|error| bad_field("", &error))?),
        Some(_) => None,
    };
    let input = fields.any("input");
    outer(fields).map_err(|error| bad_field("", &error))?;
    let asked = match (&model, &version) {
        (Some(name), _) => RequestedModel::by_name(name, &call.vendor),
        (None, Some(version)) => RequestedModel::by_version(version, &call.vendor),
        (None, None) => None,
    };
    let asked = asked.ok_or_else(|| if model.is_some() { not_found_error() } else { no_such_version() })?;
    let input = match input {
        Some(Value::Object(input)) => input,
        Some(_) => return Err(bad_field("", &FieldError::other("input", "must be an object"))),
        None => return Err(bad_field("", &FieldError::new("input", FieldErrorKind::Missing))),
    };
    let picture = asked.read(input.clone()).map_err(|error| bad_field("input.", &error))?;
    Ok(ParsedRequest { model: asked.name, version: version.unwrap_or_else(|| "hidden".to_owned()), input, picture })
}

/// What may stand beside `input`; `additionalProperties` is false.
fn outer(mut fields: RequestFields) -> Result<(), FieldError> {
    let webhook = fields.text("webhook")?;
    if webhook.is_some_and(|url| !url.starts_with("https://")) {
        return Err(FieldError::other("webhook", "must be an HTTPS URL"));
    }
    if let Some(filter) = fields.any("webhook_events_filter") {
        let known = |event: &Value| ["start", "output", "logs", "completed"].iter().any(|word| event == word);
        if !filter.as_array().is_some_and(|events| events.iter().all(known)) {
            return Err(FieldError::other("webhook_events_filter", "must be a list of start, output, logs, completed"));
        }
    }
    fields.flag("stream")?;
    fields.end()
}

impl RequestedModel {
    /// Checks `input` against the model's table.
    pub(in crate::sandbox) fn read(&self, input: Map<String, Value>) -> Result<PictureInput, FieldError> {
        let mut fields = RequestFields::json(input);
        let prompt = fields.text("prompt")?.ok_or_else(|| FieldError::new("prompt", FieldErrorKind::Missing))?;
        let mut read = Read::default();
        for (name, kind) in self.model.inputs.iter().copied().flatten() {
            if fields.has(name) {
                read.take(&mut fields, name, *kind)?;
            }
        }
        fields.end()?;
        Ok(PictureInput {
            prompt,
            size: read.size()?,
            count: read.count.unwrap_or(1),
            format: read.format.unwrap_or(self.model.format),
            seed: read.seed,
            single: self.model.single,
        })
    }
}

/// The inputs that change the picture.
#[derive(Clone, Debug, Default)]
struct Read {
    seed: Option<u64>,
    count: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    ratio: Option<String>,
    quarter: bool,
    format: Option<Format>,
    /// Input pictures by their input's name.
    pictures: Vec<(String, InspectedPicture)>,
}

impl Read {
    fn take(&mut self, fields: &mut RequestFields, name: &str, kind: InputType) -> Result<(), FieldError> {
        match kind {
            InputType::Text => drop(fields.text(name)?),
            InputType::Flag => drop(fields.flag(name)?),
            InputType::Number(least, most) => drop(fields.number(name, least..=most)?),
            InputType::Whole(least, most) => {
                let number = fields.whole(name, least..=most)?.and_then(|number| u32::try_from(number).ok());
                match name {
                    "seed" => self.seed = number.map(u64::from),
                    "num_outputs" => self.count = number,
                    "width" => self.width = number,
                    "height" => self.height = number,
                    _ => {}
                }
            }
            InputType::Picture => self.see(name, &fields.text(name)?.unwrap_or_default())?,
            InputType::Pictures(most) => {
                let Some(Value::Array(items)) = fields.any(name) else {
                    return Err(FieldError::other(name, "must be a list of pictures"));
                };
                if items.len() > most {
                    return Err(FieldError::new(name, FieldErrorKind::Above(most.to_string())));
                }
                for item in items {
                    self.see(name, item.as_str().unwrap_or_default())?;
                }
            }
            InputType::OneOf(words) => {
                let word = fields.choice(name, words)?;
                match name {
                    "aspect_ratio" => self.ratio = word,
                    "megapixels" => self.quarter = word.as_deref() == Some("0.25"),
                    "output_format" => self.format = word.and_then(|word| word.parse().ok()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Looks at an input picture.
    fn see(&mut self, name: &str, url: &str) -> Result<(), FieldError> {
        let seen = data_url(url).and_then(|bytes| decode(&bytes));
        let seen = seen.ok_or_else(|| FieldError::other(name, "must be a data: URL of a PNG, JPEG or WebP picture"))?;
        self.pictures.push((name.to_owned(), seen));
        Ok(())
    }

    /// The size of the picture to start from, where the model keeps it. A mask must have that size too.
    fn own_size(&self) -> Result<Option<Size>, FieldError> {
        let size = |wanted: &str| self.pictures.iter().find(|(name, _)| name == wanted).map(|(_, seen)| seen.size);
        match (size("image"), size("mask")) {
            (Some(image), Some(mask)) if image != mask => Err(FieldError::other("mask", "must have the image's size")),
            (None, Some(_)) => Err(FieldError::new("image", FieldErrorKind::Missing)),
            (image, _) => Ok(image),
        }
    }

    fn size(&self) -> Result<Size, FieldError> {
        if let Some(own) = self.own_size()? {
            return Ok(own);
        }
        let by_sides = self.ratio.as_deref().is_none_or(|ratio| ratio == "custom");
        if by_sides && (self.width.is_some() || self.height.is_some()) {
            let side = |name, side: Option<u32>| {
                let side = side.unwrap_or(1024);
                if side.is_multiple_of(8) { Ok(side) } else { Err(FieldError::other(name, "must be a multiple of 8")) }
            };
            return Ok(Size::new(side("width", self.width)?, side("height", self.height)?));
        }
        let (width, height) = match self.ratio.as_deref() {
            Some("16:9") => (1344, 768),
            Some("21:9") => (1536, 640),
            Some("3:2") => (1216, 832),
            Some("2:3") => (832, 1216),
            Some("4:5") => (896, 1088),
            Some("5:4") => (1088, 896),
            Some("3:4") => (896, 1152),
            Some("4:3") => (1152, 896),
            Some("9:16") => (768, 1344),
            Some("9:21") => (640, 1536),
            _ => (1024, 1024),
        };
        let share = if self.quarter { 2 } else { 1 };
        Ok(Size::new(width / share, height / share))
    }
}

/// `Prefer: wait` or `wait=n`, n from 1 to 60.
pub(super) fn prefer_wait(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
    let Some(value) = headers.get("prefer") else { return Ok(None) };
    let seconds = match value.to_str() {
        Ok("wait") => Some(LONGEST_WAIT),
        Ok(text) => text.strip_prefix("wait=").and_then(|n| n.parse().ok()),
        Err(_) => None,
    };
    let seconds = seconds.filter(|seconds| (1..=LONGEST_WAIT).contains(seconds));
    let bad = || bad_header("Prefer", "must be wait or wait=n with n from 1 to 60");
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(bad)
}

/// `Cancel-After: 90s`, in s, m or h, at least five seconds; a bare number is seconds.
pub(super) fn cancel_after(headers: &HeaderMap) -> Result<Option<Duration>, ErrorResponse> {
    let Some(value) = headers.get("cancel-after") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let text = if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let known_units = text.bytes().all(|byte| byte.is_ascii_digit() || b"smh".contains(&byte));
    let time = humantime::parse_duration(&text).ok().filter(|time| known_units && *time >= Duration::from_secs(5));
    time.map(Some).ok_or_else(|| bad_header("Cancel-After", "must be a time like 90s, 5m or 1h, at least 5s"))
}
