//! Google's image models: by which of two methods each is asked, and what it takes (PROVIDERS.md 4.2, 4.3).
//!
//! Data, and the two words a size becomes. Models are told apart by how their names begin. A Gemini model that nobody
//! has described is newer than this table and taken to be like the newest in it; any other is asked like Gemini for one
//! picture, and told nothing but a shape. A mask is taken by one model, and at Vertex AI alone.

use crate::capabilities::{Capabilities, Edits, OutputSize, Sizes, Tier};
use crate::image::Format;
use crate::provider::common;
use crate::provider::common::aspect_ratio::{GEMINI_SHAPES, LONG_SHAPES};
use crate::provider::common::model_end::ModelEnd;
use crate::provider::common::resolution_tiers::{FOUR, ONE, PIXELS, TINY, TWO};
use crate::request::PROMPT_MAX_CHARS;

/// Models that take the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// How their names begin.
    prefix: &'static str,
    /// How they are asked.
    pub method: Method,
    shapes: &'static [(u32, u32)],
    tiers: &'static [Tier],
    max_n: u8,
    seed: bool,
    negative_prompt: bool,
    /// Pictures they can be given at once; 0 changes none.
    inputs: u8,
    /// They draw into a picture where a mask says, and nothing else. The Gemini API does not have them.
    masked: bool,
}

/// The two ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Gemini: a conversation that answers with a picture.
    GenerateContent,
    /// Imagen: instances and parameters.
    Predict,
}

impl Method {
    /// What follows the model's name in the address.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::GenerateContent => "generateContent",
            Method::Predict => "predict",
        }
    }
}

/// A request may weigh 20 MB in all. Pictures travel in it as base64, which is a third heavier than they are.
const INPUT_BYTES: usize = 20_000_000 / 4 * 3;

/// What is drawn into a picture keeps its size.
const MASKED: Edits = Edits { mask: true, needs_mask: true, keeps_size: true, ..Edits::up_to(1) };

const IMAGEN_SHAPES: &[(u32, u32)] = &[(1, 1), (3, 4), (4, 3), (9, 16), (16, 9)];

/// The model nobody has described; the others are written over it.
const ANY: Family = Family {
    prefix: "",
    method: Method::GenerateContent,
    shapes: GEMINI_SHAPES,
    tiers: &[],
    max_n: 1,
    seed: false,
    negative_prompt: false,
    inputs: 0,
    masked: false,
};
/// A Gemini model newer than this table: what every one since the third generation takes.
const GEMINI: Family = Family { prefix: "gemini-", seed: true, tiers: &[ONE, TWO, FOUR], inputs: 14, ..ANY };
const IMAGEN: Family =
    Family { prefix: "imagen", method: Method::Predict, shapes: IMAGEN_SHAPES, max_n: 4, seed: true, ..ANY };

/// The first whose prefix fits counts; the last fits everything.
static FAMILIES: &[Family] = &[
    Family { prefix: "gemini-3.1-flash", shapes: LONG_SHAPES, tiers: &[TINY, ONE, TWO, FOUR], ..GEMINI },
    // Of 2026-10-06. It has the long shapes of the model it replaces, and answers 400 to its smallest tier.
    Family { prefix: "gemini-nano-banana", shapes: LONG_SHAPES, ..GEMINI },
    // The generation before tiers.
    Family { prefix: "gemini-2", tiers: &[], inputs: 3, ..GEMINI },
    Family { prefix: "gemini-1", tiers: &[], inputs: 3, ..GEMINI },
    GEMINI,
    // From memory: the fast model draws one resolution.
    Family { prefix: "imagen-4.0-fast", ..IMAGEN },
    Family { prefix: "imagen-4", tiers: &[ONE, TWO], ..IMAGEN },
    // From memory: the last that take a negative prompt.
    Family { prefix: "imagen-3.0-generate-001", negative_prompt: true, ..IMAGEN },
    Family { prefix: "imagen-3.0-fast-generate-001", negative_prompt: true, ..IMAGEN },
    Family { prefix: "imagen-3.0-capability", negative_prompt: true, masked: true, ..IMAGEN },
    Family { prefix: "imagegeneration", negative_prompt: true, ..IMAGEN },
    IMAGEN,
    ANY,
];

/// What Google has shut down: its page of the migration from Imagen, which is gone from both APIs, and its list of models
/// (PROVIDERS.md 0.3, 4.1). No day is known on which `gemini-3.1-flash-image` leaves the Gemini API.
pub const ENDS: &[ModelEnd] = &[
    ModelEnd { model: "imagen-*", ends: "2026-08-17", successor: Some("gemini-3-pro-image") },
    ModelEnd { model: "imagegeneration*", ends: "2026-08-17", successor: Some("gemini-3-pro-image") },
    ModelEnd { model: "gemini-2.5-flash-image", ends: "2026-10-02", successor: Some("gemini-nano-banana-2.1") },
    ModelEnd { model: "gemini-3-pro-image-preview", ends: "2026-06-25", successor: Some("gemini-3-pro-image") },
    ModelEnd { model: "gemini-3.1-flash-image-preview", ends: "2026-06-25", successor: Some("gemini-nano-banana-2.1") },
];

/// What leaves Vertex AI alone, by its page of deprecations of 2026-10-06.
pub const VERTEX_ENDS: &[ModelEnd] =
    &[ModelEnd { model: "gemini-3.1-flash-image", ends: "2027-05-28", successor: Some("gemini-nano-banana-2.1") }];

/// The family of the model by this name.
pub fn family(model: &str) -> &'static Family {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix)).unwrap_or(&ANY)
}

impl Family {
    /// What they can do. The Gemini API takes fewer wishes than Vertex AI does.
    pub fn capabilities(&self, vertex: bool) -> Capabilities {
        let predict = self.method == Method::Predict;
        // Google's own client refuses to send these to the Gemini API.
        let formats = if predict || vertex { vec![Format::Png, Format::Jpeg] } else { Vec::new() };
        Capabilities {
            max_n: self.max_n,
            prompt_chars: PROMPT_MAX_CHARS,
            sizes: Sizes::Ratios { shapes: self.shapes.to_vec(), pixels: PIXELS },
            tiers: self.tiers.to_vec(),
            partials: false,
            compression: !formats.is_empty(),
            formats,
            qualities: Vec::new(),
            seed: self.seed && (vertex || !predict),
            negative_prompt: self.negative_prompt && vertex,
            negative_chars: PROMPT_MAX_CHARS,
            transparent: false,
            style: false,
            generate: !self.masked,
            edit: match self.masked {
                true => vertex.then_some(Edits { bytes: INPUT_BYTES, ..MASKED }),
                false => (self.inputs > 0).then_some(Edits { bytes: INPUT_BYTES, ..Edits::up_to(self.inputs) }),
            },
        }
    }

    /// The shape `(across, down)` of `output_size`.
    pub fn shape(&self, output_size: OutputSize) -> Option<(u32, u32)> {
        common::aspect_ratio::shape(self.shapes, output_size)
    }

    /// The tier by this word, whether these models have it or not: an option may name any.
    pub fn tier(word: &str) -> Option<Tier> {
        [TINY, ONE, TWO, FOUR].into_iter().find(|tier| tier.word == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::JobFixture;

    #[test]
    fn a_wish_becomes_the_smallest_tier_that_covers_it_and_no_tier_where_there_is_none() {
        for (model, size, shape, tier) in [
            ("gemini-3.1-flash-image", "512x512", (1, 1), Some("512")),
            ("gemini-3.1-flash-image", "768x512", (3, 2), Some("1K")),
            ("gemini-3-pro-image", "512x512", (1, 1), Some("1K")),
            ("gemini-3-pro-image", "1280x720", (16, 9), Some("1K")),
            ("gemini-3-pro-image", "1376x768", (16, 9), Some("1K")),
            ("gemini-3-pro-image", "1200x896", (4, 3), Some("1K")),
            ("gemini-3-pro-image", "1536x1024", (3, 2), Some("2K")),
            ("gemini-3-pro-image", "8192x8192", (1, 1), Some("4K")),
            ("gemini-nano-banana-2.1", "512x512", (1, 1), Some("1K")),
            ("gemini-nano-banana-2.1", "4096x1024", (4, 1), Some("2K")),
            ("gemini-nano-banana-3", "2048x2048", (1, 1), Some("2K")),
            ("gemini-4-image", "2048x2048", (1, 1), Some("2K")),
            ("gemini-2.5-flash-image", "1024x1024", (1, 1), None),
            ("imagen-4.0-generate-001", "4096x4096", (1, 1), Some("2K")),
            ("imagen-4.0-fast-generate-001", "1408x768", (16, 9), None),
            ("imagen-3.0-generate-002", "1024x1024", (1, 1), None),
            ("somebody-new", "1344x768", (16, 9), None),
        ] {
            let fixture = JobFixture::new("google", model, &format!(r#"{{"prompt":"x","size":"{size}"}}"#));
            let job = fixture.job();
            let told = (family(model).shape(job.output_size), job.tier.map(|tier| tier.word));
            assert_eq!(told, (Some(shape), tier), "{model} {size}");
        }
        assert_eq!(family("gemini-3-pro-image").shape(OutputSize::Default), None);
    }

    #[test]
    fn the_gemini_api_takes_less_than_vertex_and_an_unknown_model_least() {
        let able = |model: &str, vertex| {
            let able = family(model).capabilities(vertex);
            (able.max_n, able.seed, able.negative_prompt, able.formats.len(), able.edit.map_or(0, |edit| edit.images))
        };
        assert_eq!(able("gemini-3-pro-image", false), (1, true, false, 0, 14));
        assert_eq!(able("gemini-3-pro-image", true), (1, true, false, 2, 14));
        assert_eq!(able("gemini-nano-banana-2.1", false), (1, true, false, 0, 14));
        assert_eq!(able("gemini-4-image", false), (1, true, false, 0, 14));
        assert_eq!(able("gemini-2.5-flash-image", false), (1, true, false, 0, 3));
        assert_eq!(able("imagen-4.0-generate-001", false), (4, false, false, 2, 0));
        assert_eq!(able("imagen-4.0-generate-001", true), (4, true, false, 2, 0));
        assert_eq!(able("imagen-3.0-generate-001", true), (4, true, true, 2, 0));
        assert_eq!(able("imagen-3.0-generate-001", false), (4, false, false, 2, 0));
        assert_eq!(able("somebody-new", false), (1, false, false, 0, 0));
    }

    #[test]
    fn the_model_that_draws_behind_a_mask_does_nothing_else_and_is_at_vertex_alone() {
        let able = |vertex| family("imagen-3.0-capability-001").capabilities(vertex);
        let edit = able(true).edit.unwrap();
        assert_eq!((edit.images, edit.mask, edit.needs_mask, edit.keeps_size), (1, true, true, true));
        assert_eq!((able(true).generate, able(true).negative_prompt, able(true).max_n), (false, true, 4));
        assert_eq!((able(false).generate, able(false).edit), (false, None));
    }

    #[test]
    fn pictures_that_a_request_cannot_carry_are_not_sent() {
        use crate::capabilities::{SizeTolerance, Unsupported};
        use crate::provider::common::fixture::JobFixture;
        let able = family("gemini-3-pro-image").capabilities(false);
        let mut request =
            JobFixture::new("google", "gemini-3-pro-image", r#"{"prompt":"x"}"#).editing(2, false).request;
        let mut weigh = |bytes: usize| {
            let edit = request.edit.as_mut().unwrap();
            edit.images[1].bytes = vec![0; bytes - edit.images[0].bytes.len()].into();
            able.fit(&request, SizeTolerance { tolerance_ppm: 0, strict: false }).err()
        };
        assert_eq!(weigh(15_000_000), None);
        assert_eq!(weigh(15_000_001), Some(Unsupported::ImageBytes { limit: 15_000_000 }));
    }
}
