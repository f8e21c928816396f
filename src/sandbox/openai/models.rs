//! OpenAI's image models: which fields' values each takes (PROVIDERS.md section 1.1), and its tokens (1.7).
//!
//! The DALL-E models are gone at OpenAI but not in the programs that speak their shape, so they live on here. Prices
//! are settings, never built in.

use crate::image::Size;
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::settings::Vendor;

/// Models with the same fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Family {
    Dalle2,
    Dalle3,
    /// Three sizes.
    Gpt1,
    /// Any size within bounds.
    Gpt2,
    /// And the qualities `xhigh` and `max`.
    Gpt25,
    /// And `complexity`.
    Gpt26,
}

pub(in crate::sandbox) const MODELS: [(&str, Family); 15] = [
    ("gpt-image-2.6-flare", Family::Gpt26),
    ("gpt-image-2.6-sunburst", Family::Gpt26),
    ("gpt-image-2.5-flare", Family::Gpt25),
    ("gpt-image-2.5-flare-2026-09-08", Family::Gpt25),
    ("gpt-image-2.5-sunburst", Family::Gpt25),
    ("gpt-image-2.5-sunburst-2026-09-08", Family::Gpt25),
    ("gpt-image-2", Family::Gpt2),
    ("gpt-image-2-2026-04-21", Family::Gpt2),
    ("gpt-image-1.5", Family::Gpt1),
    ("gpt-image-1.5-2025-12-16", Family::Gpt1),
    ("gpt-image-1-mini", Family::Gpt1),
    ("gpt-image-1", Family::Gpt1),
    ("chatgpt-image-latest", Family::Gpt1),
    ("dall-e-3", Family::Dalle3),
    ("dall-e-2", Family::Dalle2),
];

impl Family {
    /// A model that only the settings know is taken for a `gpt-image-2`.
    pub(in crate::sandbox) fn of(model: &str, vendor: &Vendor) -> Option<Family> {
        let known = MODELS.iter().find(|(name, _)| *name == model).map(|(_, family)| *family);
        known.or_else(|| vendor.price.contains_key(model).then_some(Family::Gpt2))
    }

    pub(in crate::sandbox) fn is_dalle(self) -> bool {
        matches!(self, Family::Dalle2 | Family::Dalle3)
    }

    pub(in crate::sandbox) fn prompt_chars(self) -> usize {
        match self {
            Family::Dalle2 => 1000,
            Family::Dalle3 => 4000,
            Family::Gpt1 | Family::Gpt2 | Family::Gpt25 | Family::Gpt26 => 32_000,
        }
    }

    /// The sizes that can be named; `None` is any within bounds.
    fn sizes(self) -> Option<&'static [&'static str]> {
        match self {
            Family::Dalle2 => Some(&["256x256", "512x512", "1024x1024"]),
            Family::Dalle3 => Some(&["1024x1024", "1792x1024", "1024x1792"]),
            Family::Gpt1 => Some(&["1024x1024", "1024x1536", "1536x1024", "auto"]),
            Family::Gpt2 | Family::Gpt25 | Family::Gpt26 => None,
        }
    }

    pub(in crate::sandbox) fn qualities(self) -> &'static [&'static str] {
        match self {
            Family::Dalle2 => &["standard", "auto"],
            Family::Dalle3 => &["standard", "hd", "auto"],
            Family::Gpt1 | Family::Gpt2 => &["low", "medium", "high", "auto"],
            Family::Gpt25 | Family::Gpt26 => &["low", "medium", "high", "xhigh", "max", "auto"],
        }
    }
}

/// Output tokens of one picture: section 1.7's for the three classic sizes, in proportion to the pixels for others.
pub(in crate::sandbox) fn tokens(size: Size, quality: &str) -> u64 {
    let column = match quality {
        "low" => 0,
        "medium" => 1,
        _ => 2,
    };
    let row = match (size.width, size.height) {
        (1024, 1536) => [408, 1584, 6240],
        (1536, 1024) => [400, 1568, 6208],
        _ => [272, 1056, 4160].map(|square: u64| (square * size.pixels()).div_ceil(1024 * 1024)),
    };
    row[column]
}

/// What `auto`, or nothing, becomes.
pub(in crate::sandbox) fn quality(family: Family, asked: Option<String>) -> String {
    match asked.filter(|quality| quality != "auto") {
        Some(quality) => quality,
        None if family.is_dalle() => "standard".to_owned(),
        None => "medium".to_owned(),
    }
}

pub(in crate::sandbox) fn size(family: Family, fields: &mut RequestFields) -> Result<Size, FieldError> {
    let text = match family.sizes() {
        Some(sizes) => fields.choice("size", sizes)?,
        None => fields.text("size")?,
    };
    let Some(text) = text.filter(|text| text != "auto") else { return Ok(Size::new(1024, 1024)) };
    let size = text.parse().ok().filter(|size| family.sizes().is_some() || is_drawable(*size));
    size.ok_or_else(|| {
        FieldError::other(
            "size",
            format!(
                "Invalid size '{text}'. Width and height must be multiples of 16, with a ratio between 1:3 and 3:1, \
             no edge over 3840 and 655360 to 8294400 pixels."
            ),
        )
    })
}

/// The bounds of gpt-image-2 and later.
fn is_drawable(size: Size) -> bool {
    let (long, short) = (size.width.max(size.height), size.width.min(size.height));
    size.width.is_multiple_of(16)
        && size.height.is_multiple_of(16)
        && long <= 3840
        && long <= 3 * short
        && (655_360..=8_294_400).contains(&size.pixels())
}
