//! The models that OpenRouter passes on, and the sizes they draw (PROVIDERS.md section 7).
//!
//! What a model takes beyond OpenRouter's own schema is its maker's; the real service tells it per model. Here a
//! parameter that a model does not take is refused rather than ignored. Prices are settings, never built in.

use crate::image::Size;
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::settings::Vendor;

/// What one model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Model {
    name: &'static str,
    /// `size` in pixels, instead of `aspect_ratio` and `resolution`.
    pixels: bool,
    /// Values of `resolution`; none where the model does not take it.
    tiers: &'static [&'static str],
    /// Pictures a call.
    pub most: i64,
    /// `quality`, `background`.
    pub effort: bool,
    /// Values of `output_format`; none where the model does not take it.
    pub formats: &'static [&'static str],
    pub seed: bool,
    /// Input pictures at once.
    pub references: usize,
    /// Answers a chat with text too.
    pub talks: bool,
}

/// Drawn from a shape, one a call, and nothing else.
const PLAIN: Model = Model {
    name: "",
    pixels: false,
    tiers: &["1K", "2K", "4K"],
    most: 1,
    effort: false,
    formats: &[],
    seed: false,
    references: 0,
    talks: false,
};

const OPENAI: Model = Model {
    pixels: true,
    tiers: &[],
    most: 10,
    effort: true,
    formats: &["png", "jpeg", "webp"],
    references: 16,
    ..PLAIN
};

const GEMINI: Model = Model { seed: true, references: 14, talks: true, ..PLAIN };

const MODELS: [Model; 11] = [
    Model { name: "openai/gpt-image-2", ..OPENAI },
    Model { name: "openai/gpt-image-2.5-flare", ..OPENAI },
    Model { name: "openai/gpt-image-2.5-sunburst", ..OPENAI },
    Model { name: "openai/gpt-5-image", tiers: &[], references: 16, talks: true, ..PLAIN },
    Model { name: "google/gemini-nano-banana-2.1", ..GEMINI },
    Model { name: "x-ai/grok-imagine-image", tiers: &["1K", "2K"], effort: true, references: 5, ..PLAIN },
    Model { name: "google/gemini-2.5-flash-image", tiers: &[], references: 3, ..GEMINI },
    Model { name: "google/gemini-3.1-flash-image", tiers: &["512", "1K", "2K", "4K"], ..GEMINI },
    Model { name: "google/gemini-3-pro-image", ..GEMINI },
    Model {
        name: "black-forest-labs/flux.2-pro",
        tiers: &["1K", "2K"],
        formats: &["png", "jpeg"],
        seed: true,
        references: 8,
        ..PLAIN
    },
    Model { name: "bytedance-seed/seedream-4.5", tiers: &["2K", "4K"], seed: true, references: 10, ..PLAIN },
];

/// Shapes that the schema lists; half numbers and `auto` are left out.
const SHAPES: [&str; 19] = [
    "1:1", "1:2", "1:4", "1:8", "2:1", "2:3", "3:2", "3:4", "4:1", "4:3", "4:5", "5:4", "8:1", "9:16", "16:9", "9:20",
    "20:9", "9:21", "21:9",
];

impl Model {
    /// A model that only the settings know draws from a shape.
    pub(in crate::sandbox) fn of(name: &str, vendor: &Vendor) -> Option<Model> {
        let known = MODELS.iter().find(|model| model.name == name).copied();
        known.or_else(|| vendor.price.contains_key(name).then_some(PLAIN))
    }

    /// The size that the image API's fields ask for.
    pub(in crate::sandbox) fn size(&self, fields: &mut RequestFields) -> Result<Size, FieldError> {
        let Some(text) = fields.text("size")? else { return self.shaped(fields, "aspect_ratio", "resolution") };
        if fields.has("aspect_ratio") || fields.has("resolution") {
            return Err(FieldError::other("size", "explicit pixels conflict with aspect_ratio and resolution"));
        }
        if !self.pixels {
            return Err(FieldError::other("size", "is not supported by this model, use aspect_ratio and resolution"));
        }
        let size = text.parse::<Size>().ok().filter(|size| is_drawable(*size));
        size.ok_or_else(|| FieldError::other("size", format!("'{text}' is not a size this model draws")))
    }

    /// The size that a shape and a tier in these fields stand for.
    pub(in crate::sandbox) fn shaped(
        &self,
        fields: &mut RequestFields,
        shape: &str,
        tier: &str,
    ) -> Result<Size, FieldError> {
        let ratio = fields.choice(shape, &SHAPES)?;
        if self.tiers.is_empty() && fields.has(tier) {
            return Err(FieldError::other(tier, "is not supported by this model"));
        }
        let word = fields.choice(tier, self.tiers)?;
        let edge: u64 = match word.as_deref().or(self.tiers.iter().find(|word| **word != "512").copied()) {
            Some("512") => 512,
            Some("2K") => 2048,
            Some("4K") => 4096,
            _ => 1024,
        };
        let (across, down) = ratio.as_deref().unwrap_or("1:1").split_once(':').unwrap_or(("1", "1"));
        let (across, down) = (across.parse().unwrap_or(1), down.parse().unwrap_or(1));
        let side = |this: u64, other: u64| {
            let exact = (edge * edge * this / other).isqrt();
            u32::try_from((exact + 8) / 16 * 16).unwrap_or(1024)
        };
        Ok(Size::new(side(across, down), side(down, across)))
    }
}

/// The bounds of gpt-image-2 and later, which is all that takes pixels.
fn is_drawable(size: Size) -> bool {
    let (long, short) = (size.width.max(size.height), size.width.min(size.height));
    size.width.is_multiple_of(16)
        && size.height.is_multiple_of(16)
        && long <= 3840
        && long <= 3 * short
        && (655_360..=8_294_400).contains(&size.pixels())
}
