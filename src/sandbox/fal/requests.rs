//! Reads the inputs of a request to the sandbox's fal.ai, and what picture they describe.
//!
//! Stricter than the vendor, which ignores what it does not know and rounds sizes without a word: here both are errors,
//! because a caller would not get what it asked for. Which inputs an endpoint takes is in `models.rs`. Nothing here
//! knows the queue.

use axum::body::Bytes;
use serde_json::Value;

use crate::image::{Format, Size};
use crate::sandbox::fal::models::{AllowedSizes, GPT_1_SIZES, Model, PRESETS};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields, kind};
use crate::sandbox::input_images::{data_url, decode, fingerprint};

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct DrawParameters {
    pub prompt: String,
    pub size: Size,
    pub count: u32,
    pub format: Format,
    pub quality: Option<String>,
    pub transparent: bool,
    pub seed: Option<u64>,
    /// The pictures come inside the answer.
    pub inside: bool,
    /// The answer says which pictures were blacked out.
    pub checked: bool,
    /// Hash of the input pictures; 0 when there are none.
    pub fingerprint: u64,
}

impl Model {
    /// Checks a request. Decodes pictures, which takes its time.
    pub(in crate::sandbox) fn read(&self, mut fields: RequestFields) -> Result<DrawParameters, FieldError> {
        let prompt = fields.prompt("prompt", 32_000)?;
        let (inputs, own_size) = self.inputs(&mut fields)?;
        let size = self.size(&mut fields, own_size)?;
        let count = if self.most > 1 { fields.whole("num_images", 1..=self.most)?.unwrap_or(1) } else { 1 };
        let format = if self.formats.is_empty() { None } else { fields.choice("output_format", self.formats)? };
        let usual = self.formats.first().copied().unwrap_or("png");
        let seed = if self.seed { fields.whole("seed", 0..=i64::from(u32::MAX))? } else { None };
        if self.negative_prompt {
            fields.text("negative_prompt")?;
        }
        let quality = if self.effort { fields.choice("quality", &["auto", "low", "medium", "high"])? } else { None };
        let background =
            if self.background { fields.choice("background", &["auto", "transparent", "opaque"])? } else { None };
        if self.background && !inputs.is_empty() {
            fields.choice("input_fidelity", &["low", "high"])?;
        }
        let inside = fields.flag("sync_mode")?.unwrap_or(false);
        self.tuning(&mut fields)?;
        fields.end()?;
        Ok(DrawParameters {
            prompt,
            size,
            count: u32::try_from(count).unwrap_or(1),
            format: format.as_deref().unwrap_or(usual).parse().unwrap_or(Format::Png),
            quality: quality.filter(|word| word != "auto"),
            transparent: background.as_deref() == Some("transparent"),
            seed: seed.and_then(|seed| u64::try_from(seed).ok()),
            inside,
            checked: self.open,
            fingerprint: fingerprint(&inputs, None),
        })
    }

    /// Inputs that change how a picture is drawn, not which.
    fn tuning(&self, fields: &mut RequestFields) -> Result<(), FieldError> {
        if self.strength {
            fields.number("strength", 0.01..=1.0)?;
        }
        if self.open {
            fields.whole("num_inference_steps", 1..=50)?;
            fields.number("guidance_scale", 0.0..=20.0)?;
            fields.flag("enable_safety_checker")?;
            fields.choice("acceleration", &["none", "regular", "high"])?;
            fields.choice("safety_tolerance", &["1", "2", "3", "4", "5", "6"])?;
        }
        Ok(())
    }

    /// The input pictures, the mask last, and the first one's size.
    fn inputs(&self, fields: &mut RequestFields) -> Result<(Vec<Bytes>, Option<Size>), FieldError> {
        let (most, list) = self.pictures;
        if most == 0 {
            return Ok((Vec::new(), None));
        }
        let field = if list { "image_urls" } else { "image_url" };
        let links = match fields.any(field) {
            None => return Err(FieldError::new(field, FieldErrorKind::Missing)),
            Some(Value::Array(links)) if list => links,
            Some(link @ Value::String(_)) if !list => vec![link],
            Some(other) => {
                return Err(FieldError::new(
                    field,
                    FieldErrorKind::NotA(if list { "list" } else { "string" }, kind(&other)),
                ));
            }
        };
        if links.is_empty() || links.len() > most {
            return Err(FieldError::other(field, format!("must have 1 to {most} items, not {}", links.len())));
        }
        let mut inputs = Vec::with_capacity(links.len() + 1);
        let mut first = None;
        for link in &links {
            let (bytes, size, _) = picture(field, link)?;
            first.get_or_insert(size);
            inputs.push(bytes);
        }
        inputs.extend(self.mask(fields, first)?);
        Ok((inputs, first))
    }

    /// The mask: a picture without transparency, as large as what it masks. White is to change.
    fn mask(&self, fields: &mut RequestFields, of: Option<Size>) -> Result<Option<Bytes>, FieldError> {
        let Some((field, must)) = self.mask else { return Ok(None) };
        let Some(link) = fields.any(field) else {
            return if must { Err(FieldError::new(field, FieldErrorKind::Missing)) } else { Ok(None) };
        };
        let (bytes, size, alpha) = picture(field, &link)?;
        match of {
            Some(of) if of != size => Err(FieldError::other(field, format!("is {size}, but the image is {of}"))),
            // White under a transparent hole is OpenAI's opposite.
            _ if alpha => Err(FieldError::other(field, "must be black and white, without an alpha channel")),
            _ => Ok(Some(bytes)),
        }
    }

    fn size(&self, fields: &mut RequestFields, of_input: Option<Size>) -> Result<Size, FieldError> {
        let usual = Size::new(1024, 768);
        match self.sizes {
            AllowedSizes::Input => Ok(of_input.unwrap_or(usual)),
            AllowedSizes::Gpt1 => {
                let word = fields.choice("image_size", &GPT_1_SIZES)?;
                Ok(word.and_then(|word| word.parse().ok()).unwrap_or(Size::new(1024, 1024)))
            }
            AllowedSizes::Ratio(shapes, side) => {
                let words: Vec<String> = shapes.iter().map(|(across, down)| format!("{across}:{down}")).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let word = fields.choice("aspect_ratio", &words)?;
                let at = word.and_then(|word| words.iter().position(|known| *known == word));
                Ok(shaped(at.and_then(|at| shapes.get(at)).copied().unwrap_or((1, 1)), side))
            }
            AllowedSizes::Sides(step, least, most) => {
                let (size, in_pixels) = pixels(fields, of_input.filter(|_| self.mask.is_some()).unwrap_or(usual))?;
                let fits = |side: u32| side.is_multiple_of(step) && (least..=most).contains(&side);
                // A preset, or an input's own size, is the vendor's business to round.
                if !in_pixels || (fits(size.width) && fits(size.height)) {
                    return Ok(size);
                }
                let words = format!("must have sides from {least} to {most} in steps of {step}, not {size}");
                Err(FieldError::other("image_size", words))
            }
            AllowedSizes::Gpt2 => {
                let (size, in_pixels) = pixels(fields, Size::new(1024, 1024))?;
                let (long, short) = (size.width.max(size.height), size.width.min(size.height));
                let fits = size.width.is_multiple_of(16)
                    && size.height.is_multiple_of(16)
                    && long <= 3840
                    && long <= 3 * short
                    && (655_360..=8_294_400).contains(&size.pixels());
                if fits || !in_pixels {
                    Ok(size)
                } else {
                    Err(FieldError::other("image_size", format!("{size} is not drawn")))
                }
            }
        }
    }
}

/// The picture in a `data:` URL, its size, and whether it has an alpha channel. Nothing is downloaded here.
fn picture(field: &str, link: &Value) -> Result<(Bytes, Size, bool), FieldError> {
    let text = link.as_str().ok_or_else(|| FieldError::new(field, FieldErrorKind::NotA("string", kind(link))))?;
    let bytes = data_url(text).ok_or_else(|| FieldError::other(field, "is no data URL of a picture"))?;
    let seen = decode(&bytes).ok_or_else(|| FieldError::other(field, "could not be read as a picture"))?;
    Ok((bytes, seen.size, seen.alpha))
}

/// `image_size`, and whether it was given in pixels.
fn pixels(fields: &mut RequestFields, usual: Size) -> Result<(Size, bool), FieldError> {
    match fields.any("image_size") {
        None => Ok((usual, false)),
        Some(Value::String(word)) => match PRESETS.iter().find(|(name, _)| *name == word) {
            Some((_, size)) => Ok((*size, false)),
            None => {
                let words = PRESETS.iter().map(|(name, _)| (*name).to_owned()).collect();
                Err(FieldError::new("image_size", FieldErrorKind::NotOneOf(words)))
            }
        },
        Some(Value::Object(sides)) => {
            let mut sides = RequestFields::json(sides);
            let mut side = |name| match sides.whole(name, 1..=14_142) {
                Ok(Some(side)) => Ok(u32::try_from(side).unwrap_or(1)),
                Ok(None) => Err(FieldError::new("image_size", FieldErrorKind::Missing)),
                Err(error) => Err(FieldError::new("image_size", error.why)),
            };
            let size = Size::new(side("width")?, side("height")?);
            sides.end().map_err(|error| FieldError::new("image_size", error.why))?;
            Ok((size, true))
        }
        Some(other) => Err(FieldError::new("image_size", FieldErrorKind::NotA("object", kind(&other)))),
    }
}

/// A picture of this shape with about the pixels of a square of this side, in steps of 16.
fn shaped((across, down): (u32, u32), side: u32) -> Size {
    let area = u64::from(side) * u64::from(side);
    let length = |one: u32, other: u32| {
        let length = (area * u64::from(one) / u64::from(other)).isqrt();
        u32::try_from(length / 16 * 16).unwrap_or(side)
    };
    Size::new(length(across, down), length(down, across))
}
