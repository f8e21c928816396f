//! Reads a request to the sandbox's Black Forest Labs: its inputs, and what picture they describe.
//!
//! Strict: an input that the table in `models.rs` does not give the model is refused, and so is a picture that does not
//! decode. Pictures come in base64; addresses are not fetched.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use base64_simd::STANDARD;

use crate::image::{Format, Size};
use crate::sandbox::bfl::models::{Draws, From, InputKind, Model};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{InspectedPicture, decode_all, fingerprint};

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ParsedRequest {
    pub prompt: String,
    pub size: Size,
    pub format: Format,
    pub seed: Option<i64>,
    /// Hash of the input pictures; 0 when there are none.
    pub fingerprint: u64,
    /// The sizes of the pictures that came along.
    pub inputs: Vec<Size>,
    pub webhook: Option<String>,
}

/// The pictures of a request, not decoded yet.
#[derive(Debug, Default)]
struct Inputs {
    images: Vec<(String, Bytes)>,
    mask: Option<Bytes>,
}

/// The size that a request asks for.
#[derive(Clone, Copy, Debug)]
enum RequestedSize {
    Pixels(Option<u32>, Option<u32>),
    Shape(Option<(u64, u64)>),
    None,
}

impl Model {
    /// Checks a request against the table, and its pictures against what they claim to be.
    pub(in crate::sandbox) async fn read(self, mut fields: RequestFields) -> Result<ParsedRequest, FieldError> {
        let prompt = match self.starts_from {
            From::Masked => fields.text("prompt")?.unwrap_or_default(),
            From::Nothing | From::Images(_) => {
                fields.text("prompt")?.ok_or_else(|| FieldError::new("prompt", FieldErrorKind::Missing))?
            }
        };
        let requested = self.requested_size(&mut fields)?;
        let seed = fields.whole("seed", i64::MIN..=i64::MAX)?;
        let format = fields.choice("output_format", self.formats)?;
        fields.whole("safety_tolerance", 0..=self.tolerance)?;
        let webhook = webhook(&mut fields)?;
        let mut inputs = self.pictures(&mut fields)?;
        for (name, kind) in self.inputs {
            kind.take(&mut fields, name, &mut inputs)?;
        }
        fields.end()?;
        let bytes: Vec<Bytes> = inputs.images.iter().map(|(_, bytes)| bytes.clone()).collect();
        let fingerprint = fingerprint(&bytes, inputs.mask.as_ref());
        let seen = inputs.decode().await?;
        if matches!(self.starts_from, From::Masked) {
            masked(seen.first(), inputs.mask).await?;
        }
        Ok(ParsedRequest {
            prompt,
            size: self.size(requested, seen.first())?,
            format: format.and_then(|word| word.parse().ok()).unwrap_or(self.format),
            seed,
            fingerprint,
            inputs: seen.iter().map(|seen| seen.size).collect(),
            webhook,
        })
    }

    fn requested_size(&self, fields: &mut RequestFields) -> Result<RequestedSize, FieldError> {
        Ok(match self.draws {
            Draws::Free => {
                RequestedSize::Pixels(side(fields, "width", 16, 64..=65_536)?, side(fields, "height", 16, 64..=65_536)?)
            }
            Draws::Small => {
                RequestedSize::Pixels(side(fields, "width", 32, 256..=1440)?, side(fields, "height", 32, 256..=1440)?)
            }
            Draws::Shape { widest, .. } => RequestedSize::Shape(shape(fields, widest)?),
            Draws::LikeInput => RequestedSize::None,
        })
    }

    fn pictures(&self, fields: &mut RequestFields) -> Result<Inputs, FieldError> {
        let mut inputs = Inputs::default();
        match self.starts_from {
            From::Nothing => {}
            From::Images(most) => {
                for number in 1..=most {
                    let name = if number == 1 { "input_image".to_owned() } else { format!("input_image_{number}") };
                    let picture = picture(fields, &name)?;
                    inputs.images.extend(picture.map(|bytes| (name, bytes)));
                }
            }
            From::Masked => {
                let image =
                    picture(fields, "image")?.ok_or_else(|| FieldError::new("image", FieldErrorKind::Missing))?;
                inputs = Inputs { images: vec![("image".to_owned(), image)], mask: picture(fields, "mask")? };
            }
        }
        Ok(inputs)
    }

    /// The size of the picture; what is not said follows the first picture, where there is one.
    fn size(&self, requested: RequestedSize, first: Option<&InspectedPicture>) -> Result<Size, FieldError> {
        let first = first.map(|seen| seen.size);
        match (self.draws, requested) {
            (Draws::Free, RequestedSize::Pixels(None, None)) => Ok(first.map_or(Size::new(1024, 1024), whole_steps)),
            (Draws::Free, RequestedSize::Pixels(width, height)) => {
                let size = Size::new(width.unwrap_or(1024), height.unwrap_or(1024));
                let fits = size.pixels() <= 2048 * 2048;
                fits.then_some(size)
                    .ok_or_else(|| FieldError::other("width", "width * height must be at most 4 megapixels"))
            }
            (Draws::Small, RequestedSize::Pixels(width, height)) => {
                Ok(Size::new(width.unwrap_or(1024), height.unwrap_or(768)))
            }
            (Draws::Shape { pixels, usual, .. }, RequestedSize::Shape(shape)) => {
                let shape = shape.or(first.map(|size| (u64::from(size.width), u64::from(size.height))));
                Ok(of_shape(shape.unwrap_or(usual), pixels))
            }
            _ => first.ok_or_else(|| FieldError::new("image", FieldErrorKind::Missing)),
        }
    }
}

impl InputKind {
    fn take(self, fields: &mut RequestFields, name: &str, inputs: &mut Inputs) -> Result<(), FieldError> {
        match self {
            InputKind::Flag => fields.flag(name).map(drop),
            InputKind::Whole(least, most) => fields.whole(name, least..=most).map(drop),
            InputKind::Number(least, most) => fields.number(name, least..=most).map(drop),
            InputKind::Picture => {
                let picture = picture(fields, name)?;
                inputs.images.extend(picture.map(|bytes| (name.to_owned(), bytes)));
                Ok(())
            }
        }
    }
}

impl Inputs {
    async fn decode(&self) -> Result<Vec<InspectedPicture>, FieldError> {
        let mut all = Vec::with_capacity(self.images.len());
        for (name, bytes) in &self.images {
            all.extend(decode_all(name, vec![bytes.clone()], None).await?);
        }
        Ok(all)
    }
}

/// A mask is black and white and as large as the picture; without one the picture says itself what is to change.
async fn masked(picture: Option<&InspectedPicture>, mask: Option<Bytes>) -> Result<(), FieldError> {
    let picture = picture.ok_or_else(|| FieldError::new("image", FieldErrorKind::Missing))?;
    let Some(mask) = mask else {
        let clear = picture.alpha;
        return clear
            .then_some(())
            .ok_or_else(|| FieldError::other("mask", "is required for an image without transparency"));
    };
    match decode_all("mask", vec![mask], None).await?.first() {
        Some(mask) if mask.alpha => Err(FieldError::other("mask", "must be black and white, without transparency")),
        Some(mask) if mask.size != picture.size => Err(FieldError::other("mask", "must be as large as the image")),
        _ => Ok(()),
    }
}

/// The bytes of a picture in base64.
fn picture(fields: &mut RequestFields, name: &str) -> Result<Option<Bytes>, FieldError> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let bytes = STANDARD.decode_to_vec(text).map_err(|_| FieldError::other(name, "must be a picture in base64"))?;
    Ok(Some(Bytes::from(bytes)))
}

/// One side; 0 counts as not said where the model may choose.
fn side(
    fields: &mut RequestFields,
    name: &str,
    step: i64,
    range: RangeInclusive<i64>,
) -> Result<Option<u32>, FieldError> {
    let may_choose = step == 16;
    let least = if may_choose { 0 } else { *range.start() };
    match fields.whole(name, least..=*range.end())? {
        Some(0) if may_choose => Ok(None),
        Some(side) if side < *range.start() => {
            Err(FieldError::new(name, FieldErrorKind::Below(range.start().to_string())))
        }
        Some(side) if side % step != 0 => Err(FieldError::other(name, format!("Input should be a multiple of {step}"))),
        side => Ok(side.and_then(|side| u32::try_from(side).ok())),
    }
}

/// `aspect_ratio` as `across:down`, no wider and no taller than allowed.
fn shape(fields: &mut RequestFields, widest: (u64, u64)) -> Result<Option<(u64, u64)>, FieldError> {
    let Some(text) = fields.bounded("aspect_ratio", 16)? else { return Ok(None) };
    let parts = text.split_once(':').and_then(|(across, down)| Some((across.parse().ok()?, down.parse().ok()?)));
    let bad = |words: &str| FieldError::other("aspect_ratio", words);
    let (across, down): (u32, u32) = parts.ok_or_else(|| bad("must be written as width:height"))?;
    let (across, down) = (u64::from(across), u64::from(down));
    let (long, short) = (across.max(down), across.min(down));
    if short == 0 || long * widest.1 > short * widest.0 {
        return Err(bad("is outside of the range of shapes"));
    }
    Ok(Some((across, down)))
}

fn of_shape((across, down): (u64, u64), pixels: u64) -> Size {
    let side = |a: u64, b: u64| u32::try_from(((pixels * a / b).isqrt() / 16 * 16).max(16)).unwrap_or(16);
    Size::new(side(across, down), side(down, across))
}

/// A size in whole steps, if it is one that can be drawn.
fn whole_steps(size: Size) -> Size {
    let side = |side: u32| (side / 16 * 16).max(64);
    let stepped = Size::new(side(size.width), side(size.height));
    if stepped.pixels() <= 2048 * 2048 { stepped } else { Size::new(1024, 1024) }
}

fn webhook(fields: &mut RequestFields) -> Result<Option<String>, FieldError> {
    let url = fields.bounded("webhook_url", 2083)?;
    fields.text("webhook_secret")?;
    match url {
        Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
            Err(FieldError::other("webhook_url", "Input should be a valid URL"))
        }
        url => Ok(url),
    }
}

#[cfg(test)]
mod tests;
