//! The image models of DashScope, as a table: which of the two surfaces each is on, its sizes, counts and inputs.
//!
//! Facts only (PROVIDERS.md section 10, and the vendor's own validation errors where its pages contradict them); what
//! is sent is in `mod.rs`. A model nobody described is asked for one picture on the newer surface, with no wish
//! that it might not know.

use crate::capabilities::{Capabilities, Edits, ModelDefaults, SizeBounds, Sizes};
use crate::image::{Format, Size};

/// The two ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Messages in, pictures in the answer.
    Messages,
    /// A prompt in, a task to ask about.
    Task,
}

/// The sizes of a family.
#[derive(Clone, Copy, Debug)]
enum DrawnSizes {
    /// Whatever is asked is sent on.
    Any,
    /// Only these. None at all is a model whose picture has the size of its input.
    Listed(&'static [Size]),
    Free(SizeBounds),
}

/// Models that take the same parameters.
#[derive(Debug)]
pub struct Family {
    /// How the names of its models begin; dates follow.
    prefix: &'static str,
    /// Where they are asked.
    pub surface: Surface,
    max_n: u8,
    prompt_chars: usize,
    draws: DrawnSizes,
    negative_prompt: bool,
    generate: bool,
    /// Pictures it can be given; 0 changes none.
    edits: u8,
    /// Shortest and longest side of those.
    input_sides: (u32, u32),
}

/// Models that a config is likely to name.
pub const KNOWN: &[&str] = &[
    "qwen-image",
    "qwen-image-plus",
    "qwen-image-max",
    "qwen-image-2.0",
    "qwen-image-2.0-pro",
    "qwen-image-3.0",
    "qwen-image-3.0-pro",
    "qwen-image-edit",
    "qwen-image-edit-plus",
    "qwen-image-edit-max",
    "wan2.2-t2i-flash",
    "wan2.2-t2i-plus",
    "wan2.5-t2i-preview",
    "wan2.6-t2i",
    "wan2.6-image",
    "wan2.7-image",
    "wan2.7-image-pro",
    "z-image-turbo",
];

/// What Qwen-Image draws up to its `-max`; anything else is an error that lists these.
const FIVE: &[Size] =
    &[Size::new(1664, 928), Size::new(1472, 1104), Size::new(1328, 1328), Size::new(1104, 1472), Size::new(928, 1664)];

/// Characters of a negative prompt; the vendor cuts off a longer one without a word (PROVIDERS.md section 10).
const NEGATIVE_CHARS: usize = 500;

/// Pixels of a square with this side.
const fn square(side: u64) -> u64 {
    side * side
}

/// Sides of 512 to 2048, whatever the shape that leaves.
const TO_2048: SizeBounds = SizeBounds {
    multiple_of: 1,
    min_side: 512,
    max_side: 2048,
    min_pixels: square(512),
    max_pixels: square(2048),
    max_ratio: 4,
};

/// Wan up to 2.2: sides of 512 to 1440.
const WAN_2_2_SIZES: SizeBounds = SizeBounds { max_side: 1440, max_pixels: square(1440), ..TO_2048 };

/// Wan 2.5 and 2.6: any sides within a number of pixels and a shape of 1:4 to 4:1. The page says that it begins at
/// 1280 by 1280, the error that it begins at 768 by 768.
const WAN_2_5_SIZES: SizeBounds = SizeBounds {
    multiple_of: 1,
    min_side: 384,
    max_side: 2880,
    min_pixels: square(768),
    max_pixels: square(1440),
    max_ratio: 4,
};

/// The Wan models that also change pictures; they round to whole steps of 16 by themselves.
const WAN_IMAGE_SIZES: SizeBounds =
    SizeBounds { multiple_of: 16, max_side: 4096, max_pixels: square(2048), ..WAN_2_5_SIZES };

/// Qwen-Image with its five sizes, one picture a call.
const QWEN: Family = Family {
    prefix: "qwen-image",
    surface: Surface::Messages,
    max_n: 1,
    prompt_chars: 800,
    draws: DrawnSizes::Listed(FIVE),
    negative_prompt: true,
    generate: true,
    edits: 0,
    input_sides: (384, 3072),
};

/// Qwen-Image that also changes pictures.
const QWEN_2: Family = Family {
    prefix: "qwen-image-2.",
    max_n: 6,
    prompt_chars: 1_300,
    draws: DrawnSizes::Free(TO_2048),
    edits: 3,
    ..QWEN
};

/// Qwen-Image that only changes pictures.
const QWEN_EDIT: Family = Family { prefix: "qwen-image-edit-", prompt_chars: 800, generate: false, ..QWEN_2 };

/// Wan on the newer surface, drawing only.
const WAN_2_6: Family = Family {
    prefix: "wan2.6-t2i",
    surface: Surface::Messages,
    max_n: 4,
    prompt_chars: 2_100,
    draws: DrawnSizes::Free(WAN_2_5_SIZES),
    negative_prompt: true,
    generate: true,
    edits: 0,
    input_sides: (240, 8000),
};

/// Wan on the older surface.
const WAN_2_2: Family = Family {
    prefix: "wan2.2-t2i",
    surface: Surface::Task,
    prompt_chars: 800,
    draws: DrawnSizes::Free(WAN_2_2_SIZES),
    ..WAN_2_6
};

/// Every family; the first whose prefix fits counts, and the last fits everything.
static FAMILIES: &[Family] = &[
    QWEN_EDIT,
    // Draws one whatever `n` says, and charges for all that `n` says.
    Family { prefix: "qwen-image-edit", max_n: 1, draws: DrawnSizes::Listed(&[]), ..QWEN_EDIT },
    QWEN_2,
    Family { prefix: "qwen-image-3.", prompt_chars: 4_500, ..QWEN_2 },
    QWEN,
    WAN_2_2,
    Family { prefix: "wanx2.1-t2i", ..WAN_2_2 },
    Family { prefix: "wan2.5-t2i", prompt_chars: 2_000, draws: DrawnSizes::Free(WAN_2_5_SIZES), ..WAN_2_2 },
    WAN_2_6,
    Family {
        prefix: "wan2.6-image",
        prompt_chars: 2_000,
        draws: DrawnSizes::Free(WAN_IMAGE_SIZES),
        generate: false,
        edits: 4,
        ..WAN_2_6
    },
    Family {
        prefix: "wan2.7-image",
        prompt_chars: 2_000,
        draws: DrawnSizes::Free(WAN_IMAGE_SIZES),
        negative_prompt: false,
        edits: 9,
        ..WAN_2_6
    },
    Family { prefix: "z-image", draws: DrawnSizes::Free(TO_2048), negative_prompt: false, ..QWEN },
    UNKNOWN,
];

/// A model nobody described.
const UNKNOWN: Family = Family { prefix: "", draws: DrawnSizes::Any, negative_prompt: false, ..QWEN };

/// What is known of `model`.
pub fn family(model: &str) -> &'static Family {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix)).unwrap_or(&UNKNOWN)
}

impl Family {
    /// What its models draw where nothing is asked: of the five sizes of Qwen-Image the first, by the vendor's page.
    pub fn usual(&self) -> ModelDefaults {
        let size = match self.draws {
            DrawnSizes::Listed(sizes) => sizes.first().copied(),
            DrawnSizes::Any | DrawnSizes::Free(_) => None,
        };
        ModelDefaults { size, ..ModelDefaults::default() }
    }

    /// Whether its models look at a picture of this size.
    pub fn takes_input(&self, size: Size) -> bool {
        let (shortest, longest) = self.input_sides;
        [size.width, size.height].iter().all(|side| (shortest..=longest).contains(side))
    }

    /// What its models can do.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            tiers: Vec::new(),
            partials: false,
            max_n: self.max_n,
            prompt_chars: self.prompt_chars,
            sizes: match self.draws {
                DrawnSizes::Any => Sizes::Any,
                DrawnSizes::Listed(sizes) => Sizes::Listed(sizes.to_vec()),
                DrawnSizes::Free(steps) => Sizes::Stepped(steps),
            },
            // None of them takes such a wish, but what they draw is PNG.
            formats: vec![Format::Png],
            qualities: Vec::new(),
            seed: true,
            negative_prompt: self.negative_prompt,
            negative_chars: NEGATIVE_CHARS,
            transparent: false,
            compression: false,
            style: false,
            generate: self.generate,
            edit: (self.edits > 0).then_some(Edits::up_to(self.edits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{OutputSize, SizeTolerance, Unsupported};

    const BEND: SizeTolerance = SizeTolerance { tolerance_ppm: 150_000, strict: false };

    #[test]
    fn each_family_has_its_own_surface_counts_and_inputs() {
        for (model, surface, max_n, generate, edits) in [
            ("qwen-image", Surface::Messages, 1, true, 0),
            ("qwen-image-plus-2026-01-09", Surface::Messages, 1, true, 0),
            ("qwen-image-max", Surface::Messages, 1, true, 0),
            ("qwen-image-2.0-pro", Surface::Messages, 6, true, 3),
            ("qwen-image-3.0", Surface::Messages, 6, true, 3),
            ("qwen-image-edit", Surface::Messages, 1, false, 3),
            ("qwen-image-edit-plus-2025-10-30", Surface::Messages, 6, false, 3),
            ("wan2.2-t2i-flash", Surface::Task, 4, true, 0),
            ("wan2.5-t2i-preview", Surface::Task, 4, true, 0),
            ("wan2.6-t2i", Surface::Messages, 4, true, 0),
            ("wan2.6-image", Surface::Messages, 4, false, 4),
            ("wan2.7-image-pro", Surface::Messages, 4, true, 9),
            ("z-image-turbo", Surface::Messages, 1, true, 0),
            ("something-new", Surface::Messages, 1, true, 0),
        ] {
            let (family, able) = (family(model), family(model).capabilities());
            let images = able.edit.map_or(0, |edit| edit.images);
            assert_eq!(
                (family.surface, able.max_n, able.generate, images),
                (surface, max_n, generate, edits),
                "{model}"
            );
            assert!(able.edit.is_none_or(|edit| !edit.mask), "{model} takes no mask");
        }
        assert!(KNOWN.iter().all(|model| !family(model).prefix.is_empty()));
    }

    #[test]
    fn a_size_is_bent_to_one_that_the_model_draws() {
        let fit = |model: &str, asked: &str| family(model).capabilities().sizes.fit(asked.parse().unwrap(), BEND);
        let pixels = |width, height| OutputSize::Pixels(Size::new(width, height));
        for (model, asked, output_size) in [
            ("qwen-image", "1024x1024", pixels(1328, 1328)),
            ("qwen-image-plus", "1792x1024", pixels(1664, 928)),
            ("qwen-image-2.0", "1792x1024", pixels(1792, 1024)),
            ("wan2.2-t2i-flash", "1024x1024", pixels(1024, 1024)),
            ("wan2.5-t2i-preview", "512x512", pixels(768, 768)),
            ("wan2.5-t2i-preview", "768x2700", pixels(768, 2700)),
            ("wan2.6-image", "2048x2048", pixels(2048, 2048)),
            ("wan2.7-image", "1000x1000", pixels(992, 992)),
            ("something-new", "333x222", pixels(333, 222)),
        ] {
            assert_eq!(fit(model, asked).map(|(output_size, _)| output_size), Ok(output_size), "{model} {asked}");
        }
        assert_eq!(
            fit("qwen-image-edit", "1024x1024"),
            Err(Unsupported::Size),
            "its picture has the size of its input"
        );
        assert_eq!(fit("qwen-image", "2048x512"), Err(Unsupported::Size));
    }
}
