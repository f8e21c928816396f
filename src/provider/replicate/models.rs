//! Replicate's models: which inputs the common families take, as a table (PROVIDERS.md 5.1).
//!
//! Data, with what it means for capabilities. A model nobody described takes a prompt and a size in pixels; its config
//! says the rest.

use crate::capabilities::{Capabilities, Edits, SizeBounds, Sizes};
use crate::image::Format;
use crate::request::PROMPT_MAX_CHARS;

/// How a family is told the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeInput {
    /// `aspect_ratio`; about a megapixel.
    Ratio,
    /// `aspect_ratio`, and `megapixels: "0.25"` for small ones.
    RatioAndMegapixels,
    /// `width` and `height` in whole steps.
    Pixels,
    /// `width` and `height`, unless the model's options speak of the size.
    Unknown,
}

/// Models with the same inputs.
#[derive(Debug)]
pub struct Family {
    /// How the part of the name behind the owner begins.
    prefix: &'static str,
    pub size: SizeInput,
    /// Pictures by `num_outputs`; 1 where there is no such input.
    pub max_n: u8,
    /// What `output_format` takes; empty where there is no such input.
    pub formats: &'static [Format],
    pub output_quality: bool,
    negative_prompt: bool,
    generate: bool,
    pub edit: Option<EditInput>,
}

/// How a family is given pictures.
#[derive(Clone, Copy, Debug)]
pub struct EditInput {
    /// The input's name. It takes a list where a model takes several pictures, else a single text.
    pub image: &'static str,
    /// What it can be given. A mask is white where it may change.
    pub takes: Edits,
}

/// A picture to start from, its size kept.
const FROM_IMAGE: EditInput = EditInput { image: "image", takes: Edits { keeps_size: true, ..Edits::up_to(1) } };

/// The same with a mask.
const MASKED: EditInput = EditInput { takes: Edits { mask: true, ..FROM_IMAGE.takes }, ..FROM_IMAGE };

/// A FLUX model with the fewest inputs; the others are written over it.
const FLUX: Family = Family {
    prefix: "flux",
    size: SizeInput::Ratio,
    max_n: 1,
    formats: &[Format::Png, Format::Jpeg],
    output_quality: false,
    negative_prompt: false,
    generate: true,
    edit: None,
};

/// A FLUX model that draws several.
const OPEN_FLUX: Family =
    Family { size: SizeInput::RatioAndMegapixels, max_n: 4, formats: &Format::ALL, output_quality: true, ..FLUX };

/// Every family; the first whose prefix fits counts, and the last fits everything.
static FAMILIES: &[Family] = &[
    Family { prefix: "flux-schnell", ..OPEN_FLUX },
    // Same inputs as the model it steers, but a size in pixels.
    Family { prefix: "flux-dev-controlnet", size: SizeInput::Pixels, output_quality: true, max_n: 4, ..UNKNOWN },
    Family { prefix: "flux-dev", edit: Some(FROM_IMAGE), ..OPEN_FLUX },
    Family { prefix: "flux-1.1-pro-ultra", ..FLUX },
    Family { prefix: "flux-1.1-pro", formats: &Format::ALL, output_quality: true, ..FLUX },
    Family { prefix: "flux-kontext", edit: Some(EditInput { image: "input_image", takes: Edits::up_to(1) }), ..FLUX },
    Family { prefix: "flux-fill", generate: false, edit: Some(MASKED), ..FLUX },
    Family { prefix: "flux-2", edit: Some(EditInput { image: "input_images", takes: Edits::up_to(8) }), ..FLUX },
    FLUX,
    Family { prefix: "sdxl", size: SizeInput::Pixels, max_n: 4, negative_prompt: true, edit: Some(MASKED), ..UNKNOWN },
    UNKNOWN,
];

/// A model nobody described: one picture, a size in pixels, no further wishes.
const UNKNOWN: Family = Family {
    prefix: "",
    size: SizeInput::Unknown,
    max_n: 1,
    formats: &[],
    output_quality: false,
    negative_prompt: false,
    generate: true,
    edit: None,
};

/// The shapes of the FLUX models.
const SHAPES: [(u32, u32); 11] =
    [(1, 1), (16, 9), (21, 9), (3, 2), (2, 3), (4, 5), (5, 4), (3, 4), (4, 3), (9, 16), (9, 21)];

/// Sizes of SDXL and of what is built on it.
const PIXEL_STEPS: SizeBounds = SizeBounds {
    multiple_of: 8,
    min_side: 256,
    max_side: 2048,
    min_pixels: 65_536,
    max_pixels: 4_194_304,
    max_ratio: 8,
};

/// The name behind the owner and before the version; a bare version has none.
pub fn family(model: &str) -> &'static Family {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.split(':').next().unwrap_or(name);
    let known = |family: &&Family| name.starts_with(family.prefix) && model.contains('/');
    FAMILIES.iter().find(known).unwrap_or(&UNKNOWN)
}

impl Family {
    /// What its models can do.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            tiers: Vec::new(),
            partials: false,
            max_n: self.max_n,
            prompt_chars: 32_000,
            sizes: match self.size {
                SizeInput::Ratio | SizeInput::RatioAndMegapixels => {
                    Sizes::Ratios { shapes: SHAPES.to_vec(), pixels: 1024 * 1024 }
                }
                SizeInput::Pixels => Sizes::Stepped(PIXEL_STEPS),
                SizeInput::Unknown => Sizes::Any,
            },
            // SDXL takes no such wish, but what it draws is PNG.
            formats: if self.prefix == "sdxl" { vec![Format::Png] } else { self.formats.to_vec() },
            qualities: Vec::new(),
            seed: true,
            negative_prompt: self.negative_prompt,
            negative_chars: PROMPT_MAX_CHARS,
            transparent: false,
            compression: self.output_quality,
            style: false,
            generate: self.generate,
            edit: self.edit.map(|edit| edit.takes),
        }
    }
}
