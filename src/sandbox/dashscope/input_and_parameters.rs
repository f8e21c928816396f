//! Reads what a request to the sandbox's DashScope asks to be drawn: messages or a prompt, parameters, and pictures.
//!
//! Strict: a parameter that the table in `models.rs` does not give a model is refused, although the vendor may overlook
//! it, and what the vendor would cut off silently is an error. The envelope around them is read in `requests.rs`.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use base64_simd::STANDARD;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::image::{Format, Size};
use crate::sandbox::dashscope::models::{AllowedSizes, FIVE, Model, Spelling};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields, kind};

/// The largest file that may be changed.
const LARGEST_INPUT: usize = 10 * 1024 * 1024;

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct DrawParameters {
    pub prompt: String,
    pub size: Size,
    pub count: u32,
    pub seed: Option<u64>,
    /// Hash of the pictures to change; 0 for none.
    pub inputs: u64,
    /// The prompt is rewritten first.
    pub extended: bool,
}

/// A picture to change.
struct EditInputSize {
    size: Size,
    hash: u64,
}

impl Model {
    /// Checks a request on the newer surface: one message of one user, its pictures and its one text.
    pub(in crate::sandbox) fn read_messages(
        &self,
        input: RequestFields,
        parameters: RequestFields,
    ) -> Result<DrawParameters, FieldError> {
        let (prompt, links) = content(input)?;
        checked_prompt(&prompt, "content.text", self.prompt_chars)?;
        let (fewest, most) = self.inputs;
        if !(fewest..=most).contains(&links.len()) {
            let sentence = format!("needs {fewest} to {most} images, not {}", links.len());
            return Err(FieldError::other("content.image", sentence));
        }
        let inputs = links.iter().map(|link| self.picture(link)).collect::<Result<Vec<_>, _>>()?;
        let negative_prompt = self.negative_prompt;
        self.read_parameters(parameters, negative_prompt, prompt, &inputs)
    }

    /// Checks a request on the older surface.
    pub(in crate::sandbox) fn read_prompts(
        &self,
        mut input: RequestFields,
        parameters: RequestFields,
    ) -> Result<DrawParameters, FieldError> {
        let prompt = input.prompt("prompt", self.prompt_chars)?;
        if self.negative_prompt {
            input.bounded("negative_prompt", 500)?;
        }
        input.end()?;
        self.read_parameters(parameters, false, prompt, &[])
    }

    fn read_parameters(
        &self,
        mut fields: RequestFields,
        negative_prompt: bool,
        prompt: String,
        inputs: &[EditInputSize],
    ) -> Result<DrawParameters, FieldError> {
        let usual = match inputs.last() {
            Some(input) => like(input.size, self.changed),
            None => self.usual,
        };
        let size = match (self.sizes, fields.text("size")) {
            (AllowedSizes::Untold, Ok(Some(_))) => return Err(FieldError::new("size", FieldErrorKind::Unknown)),
            (_, size) => size?.map(|text| self.size(&text)).transpose()?.unwrap_or(usual),
        };
        // Four where Wan may draw four: who forgets the number pays for it.
        let usual_n = if self.spelling == Spelling::Wan { self.most } else { 1 };
        let count = fields.whole("n", 1..=self.most)?.unwrap_or(usual_n);
        if negative_prompt {
            fields.bounded("negative_prompt", 500)?;
        }
        let seed = fields.whole("seed", 0..=i64::from(i32::MAX))?;
        let extended = fields.flag("prompt_extend")?.unwrap_or(true);
        fields.flag("watermark")?;
        fields.end()?;
        Ok(DrawParameters {
            prompt,
            size,
            count: u32::try_from(count).unwrap_or(1),
            seed: seed.and_then(|seed| u64::try_from(seed).ok()),
            inputs: inputs.iter().fold(0, |all, input| all ^ input.hash),
            extended,
        })
    }

    /// `1664*928`, if this model draws it.
    fn size(&self, text: &str) -> Result<Size, FieldError> {
        let sides = text.split_once('*').and_then(|(width, height)| Some((plain(width)?, plain(height)?)));
        let (width, height) = sides.ok_or_else(|| FieldError::other("size", "must be width*height"))?;
        let (size, area) = (Size::new(width, height), u64::from(width) * u64::from(height));
        let sentence = match self.sizes {
            AllowedSizes::Untold => return Err(FieldError::new("size", FieldErrorKind::Unknown)),
            AllowedSizes::Five if FIVE.contains(&(width, height)) => return Ok(size),
            AllowedSizes::Five => {
                let five = FIVE.map(|(width, height)| format!("{width}*{height}")).join(",");
                format!("does not match the allowed size {five}")
            }
            AllowedSizes::Sides(least, most) if [width, height].iter().all(|side| (least..=most).contains(side)) => {
                return Ok(size);
            }
            AllowedSizes::Sides(least, most) => format!("is out of range [{least}*{least}, {most}*{most}]"),
            AllowedSizes::Area(least, most) if !(least..=most).contains(&area) => {
                format!("has {area} pixels in total, which must be between {least} and {most}")
            }
            AllowedSizes::Area(..) if width.max(height) > width.min(height).saturating_mul(4) => {
                "must have a ratio between 1:4 and 4:1".to_owned()
            }
            AllowedSizes::Area(..) => return Ok(size),
        };
        Err(FieldError::other("size", sentence))
    }

    /// A picture to change: a whole file of the kind it says it is, neither too small nor too large.
    fn picture(&self, link: &str) -> Result<EditInputSize, FieldError> {
        let bad = |sentence: String| FieldError::other("content.image", sentence);
        let (media_type, base64) = link
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(";base64,"))
            .ok_or_else(|| bad("must be a data URL in base64; this sandbox downloads nothing".to_owned()))?;
        let format = Format::ALL.into_iter().find(|format| format.media_type() == media_type);
        let format = format.ok_or_else(|| bad(format!("{media_type} is not supported")))?;
        let bytes = STANDARD.decode_to_vec(base64).map_err(|why| bad(format!("is not base64: {why}")))?;
        if bytes.len() > LARGEST_INPUT {
            return Err(bad("exceeds the limit of 10 MB".to_owned()));
        }
        let decoded = image::load_from_memory_with_format(&bytes, codec(format))
            .map_err(|why| bad(format!("is no whole {media_type}: {why}")))?;
        let size = Size::new(decoded.width(), decoded.height());
        let sides: RangeInclusive<u32> = self.input_sides.0..=self.input_sides.1;
        if ![size.width, size.height].iter().all(|side| sides.contains(side)) {
            return Err(bad(format!("must have sides of {} to {}", sides.start(), sides.end())));
        }
        Ok(EditInputSize { size, hash: xxh3_64(&Bytes::from(bytes)) })
    }
}

/// The text and the pictures of the only message.
fn content(mut input: RequestFields) -> Result<(String, Vec<String>), FieldError> {
    let mut message = one_object(input.any("messages"), "messages")?;
    input.end()?;
    message.choice("role", &["user"])?.ok_or_else(|| FieldError::new("role", FieldErrorKind::Missing))?;
    let parts = match message.any("content") {
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(FieldError::new("content", FieldErrorKind::NotA("array", kind(&other)))),
        None => return Err(FieldError::new("content", FieldErrorKind::Missing)),
    };
    message.end()?;
    let (mut texts, mut links) = (Vec::new(), Vec::new());
    for part in parts {
        let mut part = RequestFields::of_value("content", part)?;
        texts.extend(part.text("text")?);
        links.extend(part.text("image")?);
        part.end()?;
    }
    match <[String; 1]>::try_from(texts) {
        Ok([prompt]) => Ok((prompt, links)),
        Err(texts) => {
            Err(FieldError::other("content.text", format!("must be there exactly once, not {} times", texts.len())))
        }
    }
}

fn one_object(list: Option<Value>, name: &str) -> Result<RequestFields, FieldError> {
    match list {
        None => Err(FieldError::new(name, FieldErrorKind::Missing)),
        Some(Value::Array(mut items)) if items.len() == 1 => RequestFields::of_value(name, items.remove(0)),
        Some(Value::Array(items)) => Err(FieldError::other(name, format!("must be one message, not {}", items.len()))),
        Some(other) => Err(FieldError::new(name, FieldErrorKind::NotA("array", kind(&other)))),
    }
}

fn checked_prompt(prompt: &str, name: &str, most: usize) -> Result<(), FieldError> {
    let length = prompt.chars().count();
    match length {
        0 => Err(FieldError::new(name, FieldErrorKind::Empty)),
        _ if length > most => Err(FieldError::new(name, FieldErrorKind::TooLong(most, length))),
        _ => Ok(()),
    }
}

/// A number in plain digits.
fn plain(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|side| *side > 0)
}

/// About so many pixels in this shape, in steps of 16.
fn like(shape: Size, pixels: u64) -> Size {
    let side = |this: u32, other: u32| {
        let exact = (pixels * u64::from(this) / u64::from(other.max(1))).isqrt();
        u32::try_from((exact + 8) / 16 * 16).unwrap_or(this).max(16)
    };
    Size::new(side(shape.width, shape.height), side(shape.height, shape.width))
}

fn codec(format: Format) -> image::ImageFormat {
    match format {
        Format::Png => image::ImageFormat::Png,
        Format::Jpeg => image::ImageFormat::Jpeg,
        Format::Webp => image::ImageFormat::WebP,
    }
}

#[cfg(test)]
mod tests;
