//! fal.ai's models: which inputs each endpoint takes, as a table, and the capabilities that follow (PROVIDERS.md
//! sections 9.2 and 14).
//!
//! At fal every way to use a model is an endpoint of its own: one generates, another edits, a third fills what a mask
//! shows. The table knows the common ones exactly; an endpoint it does not know is asked for one picture in pixels and
//! nothing else, and the config's overrides and `options` say the rest. A request's inputs are written in `body.rs`.

use crate::capabilities::{Capabilities, Edits, SizeBounds, Sizes};
use crate::image::{Format, Size};
use crate::request::{PROMPT_MAX_CHARS, Quality};

/// How an endpoint is told the size.
#[derive(Clone, Copy, Debug)]
pub(super) enum SizeInput {
    /// `image_size: {width, height}`.
    Pixels(SizeBounds),
    /// `image_size: "1024x1024"`, one of these.
    Words(&'static [Size]),
    /// `aspect_ratio`, for about so many pixels.
    Ratio(&'static [(u32, u32)], u64),
    /// Not at all: pictures come out in the size of the input picture.
    OfInput,
    /// `image_size`, unless the model's options speak of the size.
    Unknown,
}

/// Which input picture an endpoint takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputPictures {
    /// None: it generates.
    None,
    /// `image_url`.
    One,
    /// `image_urls`, at most so many.
    Many(u8),
}

/// The field in which an endpoint takes a mask; white is to change.
#[derive(Clone, Copy, Debug)]
pub(super) enum Masking {
    /// No such field.
    None,
    /// May be left out.
    May(&'static str),
    /// Must be there.
    Must(&'static str),
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct FalModel {
    pub(super) name: &'static str,
    pub(super) size: SizeInput,
    /// Pictures by `num_images`; 1 where there is no such input.
    pub(super) max_n: u8,
    /// What `output_format` takes; empty where there is no such input.
    pub(super) formats: &'static [Format],
    pub(super) pictures: InputPictures,
    pub(super) mask: Masking,
    pub(super) seed: bool,
    pub(super) negative_prompt: bool,
    /// Takes OpenAI's `quality`.
    pub(super) quality: bool,
    /// Takes OpenAI's `background`, and `input_fidelity` beside input pictures.
    pub(super) background: bool,
}

const JPEG_PNG: &[Format] = &[Format::Jpeg, Format::Png];

/// The open FLUX models: packed 16 pixels at a time.
const FLUX_STEPS: SizeBounds = SizeBounds {
    multiple_of: 16,
    min_side: 256,
    max_side: 2048,
    min_pixels: 256 * 256,
    max_pixels: 2048 * 2048,
    max_ratio: 8,
};

/// FLUX 1.1 pro, as its maker says.
const PRO_STEPS: SizeBounds = SizeBounds { multiple_of: 32, max_side: 1440, ..FLUX_STEPS };

const FLUX_2_STEPS: SizeBounds = SizeBounds { min_side: 512, min_pixels: 512 * 512, max_ratio: 4, ..FLUX_STEPS };

const SDXL_STEPS: SizeBounds = SizeBounds { multiple_of: 8, ..FLUX_STEPS };

const SEEDREAM_STEPS: SizeBounds = SizeBounds {
    multiple_of: 16,
    min_side: 1024,
    max_side: 4096,
    min_pixels: 1024 * 1024,
    max_pixels: 4096 * 4096,
    max_ratio: 4,
};

/// OpenAI's own bounds, which fal hands on.
const GPT_2_STEPS: SizeBounds = SizeBounds {
    multiple_of: 16,
    min_side: 16,
    max_side: 3840,
    min_pixels: 655_360,
    max_pixels: 8_294_400,
    max_ratio: 3,
};

const GPT_1_SIZES: &[Size] = &[Size::new(1024, 1024), Size::new(1536, 1024), Size::new(1024, 1536)];

/// The shapes of Kontext and of FLUX 1.1 pro ultra.
const KONTEXT_SHAPES: &[(u32, u32)] = &[(21, 9), (16, 9), (4, 3), (3, 2), (1, 1), (2, 3), (3, 4), (9, 16), (9, 21)];

const NANO_SHAPES: &[(u32, u32)] = &[(21, 9), (16, 9), (3, 2), (4, 3), (5, 4), (1, 1), (4, 5), (3, 4), (2, 3), (9, 16)];

const MEGAPIXEL: u64 = 1024 * 1024;

/// An open FLUX model; the others are written over it.
const FLUX: FalModel = FalModel {
    name: "fal-ai/flux/schnell",
    size: SizeInput::Pixels(FLUX_STEPS),
    max_n: 4,
    formats: JPEG_PNG,
    pictures: InputPictures::None,
    mask: Masking::None,
    seed: true,
    negative_prompt: false,
    quality: false,
    background: false,
};

const KONTEXT: FalModel = FalModel {
    name: "fal-ai/flux-pro/kontext",
    size: SizeInput::Ratio(KONTEXT_SHAPES, MEGAPIXEL),
    pictures: InputPictures::One,
    ..FLUX
};

const FILL: FalModel = FalModel {
    name: "fal-ai/flux-pro/v1/fill",
    size: SizeInput::OfInput,
    pictures: InputPictures::One,
    mask: Masking::Must("mask_url"),
    ..FLUX
};

const GPT_1: FalModel = FalModel {
    name: "fal-ai/gpt-image-1/text-to-image",
    size: SizeInput::Words(GPT_1_SIZES),
    formats: &Format::ALL,
    seed: false,
    quality: true,
    background: true,
    ..FLUX
};

const GPT_2: FalModel =
    FalModel { name: "openai/gpt-image-2", size: SizeInput::Pixels(GPT_2_STEPS), background: false, ..GPT_1 };

const NANO: FalModel = FalModel {
    name: "fal-ai/nano-banana",
    size: SizeInput::Ratio(NANO_SHAPES, MEGAPIXEL),
    formats: &Format::ALL,
    seed: false,
    ..FLUX
};

const SEEDREAM: FalModel = FalModel {
    name: "fal-ai/bytedance/seedream/v4/text-to-image",
    size: SizeInput::Pixels(SEEDREAM_STEPS),
    formats: &[],
    ..FLUX
};

const SDXL: FalModel =
    FalModel { name: "fal-ai/fast-sdxl", size: SizeInput::Pixels(SDXL_STEPS), negative_prompt: true, ..FLUX };

/// An endpoint nobody described. A field that fal does not know is ignored there without a word, so nothing is sent
/// that has not been promised.
const UNKNOWN: FalModel = FalModel { name: "", size: SizeInput::Unknown, max_n: 1, formats: &[], seed: false, ..FLUX };

/// Every endpoint that is known.
const MODELS: &[FalModel] = &[
    FLUX,
    FalModel { name: "fal-ai/flux/dev", ..FLUX },
    FalModel { name: "fal-ai/flux/dev/image-to-image", size: SizeInput::OfInput, pictures: InputPictures::One, ..FLUX },
    FalModel { name: "fal-ai/flux-1/schnell", ..FLUX },
    FalModel { name: "fal-ai/flux-1/dev", ..FLUX },
    FalModel {
        name: "fal-ai/flux-general/inpainting",
        pictures: InputPictures::One,
        mask: Masking::Must("mask_url"),
        ..FLUX
    },
    FalModel {
        name: "fal-ai/flux-lora/inpainting",
        pictures: InputPictures::One,
        mask: Masking::Must("mask_url"),
        ..FLUX
    },
    FalModel { name: "fal-ai/flux-pro/v1.1", size: SizeInput::Pixels(PRO_STEPS), ..FLUX },
    FalModel { name: "fal-ai/flux-pro/v1.1-ultra", size: SizeInput::Ratio(KONTEXT_SHAPES, 4 * MEGAPIXEL), ..FLUX },
    FILL,
    KONTEXT,
    FalModel { name: "fal-ai/flux-pro/kontext/max", ..KONTEXT },
    FalModel { name: "fal-ai/flux-pro/kontext/multi", pictures: InputPictures::Many(4), ..KONTEXT },
    FalModel { name: "fal-ai/flux-pro/kontext/max/multi", pictures: InputPictures::Many(4), ..KONTEXT },
    FalModel { name: "fal-ai/flux-pro/kontext/text-to-image", pictures: InputPictures::None, ..KONTEXT },
    FalModel { name: "fal-ai/flux-2-pro", size: SizeInput::Pixels(FLUX_2_STEPS), max_n: 1, ..FLUX },
    FalModel {
        name: "fal-ai/flux-2-pro/edit",
        size: SizeInput::Pixels(FLUX_2_STEPS),
        max_n: 1,
        pictures: InputPictures::Many(8),
        ..FLUX
    },
    GPT_1,
    FalModel { name: "fal-ai/gpt-image-1/edit-image", pictures: InputPictures::Many(16), ..GPT_1 },
    FalModel { name: "fal-ai/gpt-image-1-mini", ..GPT_1 },
    FalModel { name: "fal-ai/gpt-image-1-mini/edit", pictures: InputPictures::Many(16), ..GPT_1 },
    FalModel { name: "fal-ai/gpt-image-1.5", ..GPT_1 },
    FalModel {
        name: "fal-ai/gpt-image-1.5/edit",
        pictures: InputPictures::Many(16),
        mask: Masking::May("mask_image_url"),
        ..GPT_1
    },
    GPT_2,
    FalModel {
        name: "openai/gpt-image-2/edit",
        pictures: InputPictures::Many(16),
        mask: Masking::May("mask_url"),
        ..GPT_2
    },
    NANO,
    FalModel { name: "fal-ai/nano-banana/edit", pictures: InputPictures::Many(3), ..NANO },
    FalModel { name: "fal-ai/nano-banana-2", seed: true, ..NANO },
    FalModel { name: "fal-ai/nano-banana-2/edit", pictures: InputPictures::Many(14), seed: true, ..NANO },
    SEEDREAM,
    FalModel { name: "fal-ai/bytedance/seedream/v4/edit", pictures: InputPictures::Many(10), ..SEEDREAM },
    FalModel { name: "fal-ai/qwen-image", negative_prompt: true, ..FLUX },
    SDXL,
    FalModel { name: "fal-ai/fast-sdxl/image-to-image", pictures: InputPictures::One, ..SDXL },
    FalModel {
        name: "fal-ai/fast-sdxl/inpainting",
        pictures: InputPictures::One,
        mask: Masking::Must("mask_url"),
        ..SDXL
    },
];

/// The names of [`MODELS`].
pub const NAMES: [&str; MODELS.len()] = {
    let mut names = [""; MODELS.len()];
    let mut at = 0;
    while at < MODELS.len() {
        names[at] = MODELS[at].name;
        at += 1;
    }
    names
};

/// The longest prompt sent. fal states no common bound; OpenAI's is the largest of any model there.
const PROMPT_CHARS: usize = 32_000;

/// The endpoint of this name, or what stands for one that is not in the table.
pub(super) fn model(name: &str) -> &'static FalModel {
    MODELS.iter().find(|model| model.name == name).unwrap_or(&UNKNOWN)
}

/// What the endpoint of this name can do.
pub fn capabilities(name: &str) -> Capabilities {
    let model = model(name);
    let images = match model.pictures {
        InputPictures::None => None,
        InputPictures::One => Some(1),
        InputPictures::Many(most) => Some(most),
    };
    let edits = |images| Edits {
        mask: !matches!(model.mask, Masking::None),
        needs_mask: matches!(model.mask, Masking::Must(_)),
        keeps_size: matches!(model.size, SizeInput::OfInput),
        ..Edits::up_to(images)
    };
    Capabilities {
        tiers: Vec::new(),
        partials: false,
        max_n: model.max_n,
        prompt_chars: PROMPT_CHARS,
        sizes: match model.size {
            SizeInput::Pixels(steps) => Sizes::Stepped(steps),
            SizeInput::Words(sizes) => Sizes::Listed(sizes.to_vec()),
            SizeInput::Ratio(shapes, pixels) => Sizes::Ratios { shapes: shapes.to_vec(), pixels },
            SizeInput::OfInput | SizeInput::Unknown => Sizes::Any,
        },
        formats: model.formats.to_vec(),
        qualities: if model.quality { vec![Quality::Low, Quality::Medium, Quality::High] } else { Vec::new() },
        seed: model.seed,
        negative_prompt: model.negative_prompt,
        negative_chars: PROMPT_MAX_CHARS,
        transparent: model.background,
        compression: false,
        style: false,
        generate: images.is_none(),
        edit: images.map(edits),
    }
}

#[cfg(test)]
mod tests;
