//! OpenRouter's image models: how each maker's models are told a size, and what else they take (PROVIDERS.md
//! section 7; what single models take beyond it is from their makers' documents).
//!
//! Data, and the two ways to write a size. Makers are told apart by the first part of a model's name. A maker nobody
//! has described draws one picture a call from a prompt, and takes nothing that would change the picture.

use crate::capabilities::{Capabilities, Edits, Sizes, Tier};
use crate::config::plan::Via;
use crate::image::{Format, Size};
use crate::provider::adapter::Job;
use crate::provider::common;
use crate::provider::common::aspect_ratio::{GEMINI_SHAPES, LONG_SHAPES};
use crate::provider::common::resolution_tiers::{FOUR, ONE, PIXELS, TINY, TWO};
use crate::provider::openai;
use crate::request::{PROMPT_MAX_CHARS, Quality};

/// Models that take the same.
#[derive(Debug)]
pub struct Family {
    /// How their names begin.
    prefix: &'static str,
    draws: DrawnSizes,
    max_n: u8,
    qualities: &'static [Quality],
    formats: &'static [Format],
    transparent: bool,
    seed: bool,
    /// Pictures they can be given at once; 0 changes none.
    references: u8,
    /// Answer a chat in words too.
    pub talks: bool,
}

/// How a size is told.
#[derive(Clone, Copy, Debug)]
enum DrawnSizes {
    /// In pixels, those of the OpenAI model by the rest of the name.
    Pixels,
    /// As a shape and, where there are any, one of these tiers.
    Shapes(&'static [(u32, u32)], &'static [Tier]),
}

/// The shapes that nearly every maker's models draw.
const SHAPES: &[(u32, u32)] =
    &[(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (9, 21), (21, 9)];
const GPT_SHAPES: &[(u32, u32)] = &[(1, 1), (3, 2), (2, 3)];

/// The maker nobody has described; the others are written over it.
const ANY: Family = Family {
    prefix: "",
    draws: DrawnSizes::Shapes(SHAPES, &[ONE, TWO, FOUR]),
    max_n: 1,
    qualities: &[],
    formats: &[],
    transparent: false,
    seed: false,
    references: 0,
    talks: false,
};

/// The first whose prefix fits counts; the last fits everything.
static FAMILIES: &[Family] = &[
    Family { prefix: "openai/gpt-5", draws: DrawnSizes::Shapes(GPT_SHAPES, &[]), references: 16, talks: true, ..ANY },
    Family {
        prefix: "openai/",
        draws: DrawnSizes::Pixels,
        max_n: 10,
        qualities: &[Quality::Low, Quality::Medium, Quality::High],
        formats: &Format::ALL,
        transparent: true,
        references: 16,
        ..ANY
    },
    Family {
        prefix: "google/gemini-2.5",
        draws: DrawnSizes::Shapes(GEMINI_SHAPES, &[]),
        seed: true,
        references: 3,
        talks: true,
        ..ANY
    },
    Family {
        prefix: "google/gemini-nano-banana",
        draws: DrawnSizes::Shapes(LONG_SHAPES, &[ONE, TWO, FOUR]),
        seed: true,
        references: 14,
        talks: true,
        ..ANY
    },
    Family {
        prefix: "google/gemini-3.1-flash",
        draws: DrawnSizes::Shapes(LONG_SHAPES, &[TINY, ONE, TWO, FOUR]),
        seed: true,
        references: 14,
        talks: true,
        ..ANY
    },
    Family {
        prefix: "google/",
        draws: DrawnSizes::Shapes(GEMINI_SHAPES, &[ONE, TWO, FOUR]),
        seed: true,
        references: 14,
        talks: true,
        ..ANY
    },
    Family {
        prefix: "black-forest-labs/",
        draws: DrawnSizes::Shapes(SHAPES, &[ONE, TWO]),
        formats: &[Format::Png, Format::Jpeg],
        seed: true,
        references: 8,
        ..ANY
    },
    // As xAI's own API has it: two tiers, five pictures to start from, no seed.
    Family {
        prefix: "x-ai/",
        draws: DrawnSizes::Shapes(SHAPES, &[ONE, TWO]),
        qualities: &[Quality::Low, Quality::Medium],
        references: 5,
        ..ANY
    },
    Family {
        prefix: "bytedance-seed/",
        draws: DrawnSizes::Shapes(SHAPES, &[TWO, FOUR]),
        seed: true,
        references: 10,
        ..ANY
    },
    ANY,
];

/// The family of the model by this name.
pub fn family(model: &str) -> &'static Family {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix)).unwrap_or(&ANY)
}

/// A size as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeText {
    /// In pixels.
    Pixels(Size),
    /// As a shape, `(across, down)`, and a tier.
    Shape((u32, u32), Option<Tier>),
}

impl Family {
    /// What `model`, which is of this family, can do by this way. A chat is told a shape and a seed and nothing else.
    pub fn capabilities(&self, model: &str, via: Via) -> Capabilities {
        let images = via == Via::Images;
        Capabilities {
            max_n: if images { self.max_n } else { 1 },
            prompt_chars: PROMPT_MAX_CHARS,
            sizes: match self.draws {
                DrawnSizes::Pixels if images => of_openai(model).sizes,
                draws => Sizes::Ratios { shapes: draws.shapes().to_vec(), pixels: PIXELS },
            },
            tiers: self.draws.tiers(via),
            partials: false,
            formats: if images { self.formats.to_vec() } else { Vec::new() },
            qualities: if images { self.qualities.to_vec() } else { Vec::new() },
            seed: self.seed,
            negative_prompt: false,
            negative_chars: PROMPT_MAX_CHARS,
            transparent: images && self.transparent,
            compression: images && !self.formats.is_empty(),
            style: false,
            generate: true,
            edit: (self.references > 0).then_some(Edits::up_to(self.references)),
        }
    }

    /// How the job's size is told by this way.
    pub fn told(&self, job: &Job<'_>, via: Via) -> Option<SizeText> {
        let asked = job.output_size.nominal()?;
        if matches!(self.draws, DrawnSizes::Pixels) && via == Via::Images {
            return Some(SizeText::Pixels(asked));
        }
        Some(SizeText::Shape(common::aspect_ratio::shape(self.draws.shapes(), job.output_size)?, job.tier))
    }
}

impl DrawnSizes {
    fn shapes(self) -> &'static [(u32, u32)] {
        match self {
            DrawnSizes::Pixels => GPT_SHAPES,
            DrawnSizes::Shapes(shapes, _) => shapes,
        }
    }

    /// The tiers that this way can be told. No document says that a chat knows the tiniest.
    fn tiers(self, via: Via) -> Vec<Tier> {
        let DrawnSizes::Shapes(_, tiers) = self else { return Vec::new() };
        tiers.iter().copied().filter(|tier| via == Via::Images || *tier != TINY).collect()
    }
}

/// What OpenAI's own model behind `openai/NAME` can do.
fn of_openai(model: &str) -> Capabilities {
    openai::models::family(model.strip_prefix("openai/").unwrap_or(model)).capabilities()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::JobFixture;

    fn told(model: &str, size: &str, via: Via) -> Option<SizeText> {
        let mut fixture = JobFixture::new("openrouter", model, &format!(r#"{{"prompt":"x","size":"{size}"}}"#));
        fixture.model.via = via;
        family(model).told(&fixture.job(), via)
    }

    fn tier(model: &str, size: &str, via: Via) -> Option<&'static str> {
        match told(model, size, via) {
            Some(SizeText::Shape(_, tier)) => tier.map(|tier| tier.word),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wish_becomes_the_smallest_tier_that_covers_it_and_no_tier_where_there_is_none() {
        for (model, size, told) in [
            ("google/gemini-3.1-flash-image", "512x512", Some("512")),
            ("google/gemini-3.1-flash-image", "768x512", Some("1K")),
            ("google/gemini-3-pro-image", "512x512", Some("1K")),
            ("google/gemini-3-pro-image", "1376x768", Some("1K")),
            ("google/gemini-3-pro-image", "1536x1024", Some("2K")),
            ("google/gemini-3-pro-image", "4096x4096", Some("4K")),
            ("google/gemini-nano-banana-2.1", "512x512", Some("1K")),
            ("google/gemini-nano-banana-2.1", "8192x1024", Some("4K")),
            ("x-ai/grok-imagine-image", "4096x4096", Some("2K")),
            ("google/gemini-2.5-flash-image", "1024x1024", None),
            ("black-forest-labs/flux.2-pro", "4096x4096", Some("2K")),
            ("bytedance-seed/seedream-4.5", "1024x1024", Some("2K")),
            ("somebody/new", "1920x1080", Some("2K")),
        ] {
            assert_eq!(tier(model, size, Via::Images), told, "{model} {size}");
        }
        assert_eq!(tier("google/gemini-3.1-flash-image", "512x512", Via::Chat), Some("1K"));
    }

    #[test]
    fn only_openais_models_are_told_pixels_and_only_by_the_image_api() {
        let gpt = "openai/gpt-image-2";
        assert_eq!(told(gpt, "1536x1024", Via::Images), Some(SizeText::Pixels(Size::new(1536, 1024))));
        assert_eq!(told(gpt, "1536x1024", Via::Chat), Some(SizeText::Shape((3, 2), None)));
        assert_eq!(told(gpt, "auto", Via::Images), None);
        let mut fixture =
            JobFixture::new("openrouter", "google/gemini-2.5-flash-image", r#"{"prompt":"x","size":"1344x768"}"#);
        fixture.model.capabilities.sizes = Some(Sizes::Listed(vec![Size::new(1344, 768)]));
        let told = family(&fixture.model.name).told(&fixture.job(), Via::Images);
        assert_eq!(told, Some(SizeText::Shape((16, 9), None)), "a size from the config is told as a shape too");
    }

    #[test]
    fn a_chat_can_do_less_and_an_unknown_maker_least() {
        let model = "openai/gpt-image-2";
        let images = family(model).capabilities(model, Via::Images);
        let chat = family(model).capabilities(model, Via::Chat);
        assert_eq!((images.max_n, images.transparent, images.formats.len(), images.qualities.len()), (10, true, 3, 3));
        assert_eq!((chat.max_n, chat.transparent, chat.formats.len(), chat.qualities.len()), (1, false, 0, 0));
        assert_eq!(images.sizes, of_openai(model).sizes);
        let unknown = family("somebody/new").capabilities("somebody/new", Via::Images);
        assert_eq!((unknown.max_n, unknown.seed, unknown.transparent, unknown.edit), (1, false, false, None));
        let flux = family("black-forest-labs/flux.2-pro").capabilities("black-forest-labs/flux.2-pro", Via::Images);
        assert_eq!((flux.max_n, flux.seed, flux.edit), (1, true, Some(Edits::up_to(8))));
    }
}
