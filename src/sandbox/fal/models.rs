//! The endpoints at the sandbox's fal.ai: which inputs each takes, and what it draws.
//!
//! At fal generating, editing and filling are endpoints of their own (PROVIDERS.md section 9.2). Requests are checked
//! against this table in `requests.rs`.

use crate::image::Size;
use crate::sandbox::settings::Vendor;

/// How a request gives an endpoint the size.
#[derive(Clone, Copy, Debug)]
pub(super) enum AllowedSizes {
    /// A preset or `{width, height}`: whole steps of the first, sides from the second to the third.
    Sides(u32, u32, u32),
    /// A preset or `{width, height}` within OpenAI's bounds for gpt-image-2.
    Gpt2,
    /// `1024x1024` and its two neighbours, or `auto`.
    Gpt1,
    /// `aspect_ratio`; a square has sides of so many pixels.
    Ratio(&'static [(u32, u32)], u32),
    /// The input picture's own; no field at all.
    Input,
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Model {
    pub(super) name: &'static str,
    pub(super) sizes: AllowedSizes,
    /// Pictures a request draws at most; an endpoint that draws one has no `num_images`.
    pub(super) most: i64,
    pub(super) formats: &'static [&'static str],
    /// Input pictures it takes at most, and whether they are a list.
    pub(super) pictures: (usize, bool),
    /// The mask's field, and whether it must be there.
    pub(super) mask: Option<(&'static str, bool)>,
    pub(super) seed: bool,
    pub(super) negative_prompt: bool,
    /// OpenAI's `quality`, `input_fidelity`.
    pub(super) effort: bool,
    pub(super) background: bool,
    /// How far an edit may go from its input.
    pub(super) strength: bool,
    /// Takes steps and guidance, and says what its safety checker blacked out.
    pub(super) open: bool,
}

/// The sizes that have a name.
pub(super) const PRESETS: [(&str, Size); 6] = [
    ("square_hd", Size::new(1024, 1024)),
    ("square", Size::new(512, 512)),
    ("portrait_4_3", Size::new(768, 1024)),
    ("portrait_16_9", Size::new(576, 1024)),
    ("landscape_4_3", Size::new(1024, 768)),
    ("landscape_16_9", Size::new(1024, 576)),
];

pub(super) const GPT_1_SIZES: [&str; 4] = ["auto", "1024x1024", "1536x1024", "1024x1536"];
const ULTRA: &[(u32, u32)] = &[(21, 9), (16, 9), (4, 3), (3, 2), (1, 1), (2, 3), (3, 4), (9, 16), (9, 21)];
const NANO: &[(u32, u32)] = &[(21, 9), (16, 9), (3, 2), (4, 3), (5, 4), (1, 1), (4, 5), (3, 4), (2, 3), (9, 16)];

const FLUX: Model = Model {
    name: "fal-ai/flux/schnell",
    sizes: AllowedSizes::Sides(16, 64, 2048),
    most: 4,
    formats: &["jpeg", "png"],
    pictures: (0, false),
    mask: None,
    seed: true,
    negative_prompt: false,
    effort: false,
    background: false,
    strength: false,
    open: true,
};

const REDRAW: Model = Model {
    name: "fal-ai/flux/dev/image-to-image",
    sizes: AllowedSizes::Input,
    pictures: (1, false),
    strength: true,
    ..FLUX
};
const INPAINT: Model = Model {
    name: "fal-ai/flux-general/inpainting",
    pictures: (1, false),
    mask: Some(("mask_url", true)),
    strength: true,
    ..FLUX
};
const FILL: Model = Model {
    name: "fal-ai/flux-pro/v1/fill",
    sizes: AllowedSizes::Input,
    pictures: (1, false),
    mask: Some(("mask_url", true)),
    ..FLUX
};
const KONTEXT: Model =
    Model { name: "fal-ai/flux-pro/kontext", sizes: AllowedSizes::Ratio(ULTRA, 1024), pictures: (1, false), ..FLUX };
const FLUX_2: Model = Model { name: "fal-ai/flux-2-pro", sizes: AllowedSizes::Sides(16, 512, 2048), most: 1, ..FLUX };
const GPT_1: Model = Model {
    name: "fal-ai/gpt-image-1/text-to-image",
    sizes: AllowedSizes::Gpt1,
    formats: &["png", "jpeg", "webp"],
    seed: false,
    effort: true,
    background: true,
    open: false,
    ..FLUX
};
const GPT_2: Model = Model { name: "openai/gpt-image-2", sizes: AllowedSizes::Gpt2, background: false, ..GPT_1 };
const BANANA: Model = Model {
    name: "fal-ai/nano-banana",
    sizes: AllowedSizes::Ratio(NANO, 1024),
    formats: &["png", "jpeg", "webp"],
    seed: false,
    open: false,
    ..FLUX
};
const SEEDREAM: Model = Model {
    name: "fal-ai/bytedance/seedream/v4/text-to-image",
    sizes: AllowedSizes::Sides(1, 1024, 4096),
    formats: &[],
    open: false,
    ..FLUX
};
const SDXL: Model =
    Model { name: "fal-ai/fast-sdxl", sizes: AllowedSizes::Sides(8, 64, 2048), negative_prompt: true, ..FLUX };

const MODELS: &[Model] = &[
    FLUX,
    Model { name: "fal-ai/flux/dev", ..FLUX },
    REDRAW,
    Model { name: "fal-ai/flux-1/schnell", ..FLUX },
    Model { name: "fal-ai/flux-1/dev", ..FLUX },
    INPAINT,
    Model { name: "fal-ai/flux-lora/inpainting", ..INPAINT },
    Model { name: "fal-ai/flux-pro/v1.1", sizes: AllowedSizes::Sides(32, 256, 1440), ..FLUX },
    Model { name: "fal-ai/flux-pro/v1.1-ultra", sizes: AllowedSizes::Ratio(ULTRA, 2048), ..FLUX },
    FILL,
    KONTEXT,
    Model { name: "fal-ai/flux-pro/kontext/max", ..KONTEXT },
    Model { name: "fal-ai/flux-pro/kontext/multi", pictures: (4, true), ..KONTEXT },
    Model { name: "fal-ai/flux-pro/kontext/max/multi", pictures: (4, true), ..KONTEXT },
    Model { name: "fal-ai/flux-pro/kontext/text-to-image", pictures: (0, false), ..KONTEXT },
    FLUX_2,
    Model { name: "fal-ai/flux-2-pro/edit", pictures: (9, true), ..FLUX_2 },
    GPT_1,
    Model { name: "fal-ai/gpt-image-1/edit-image", pictures: (16, true), ..GPT_1 },
    Model { name: "fal-ai/gpt-image-1-mini", ..GPT_1 },
    Model { name: "fal-ai/gpt-image-1-mini/edit", pictures: (16, true), ..GPT_1 },
    Model { name: "fal-ai/gpt-image-1.5", ..GPT_1 },
    Model { name: "fal-ai/gpt-image-1.5/edit", pictures: (16, true), mask: Some(("mask_image_url", false)), ..GPT_1 },
    GPT_2,
    Model { name: "openai/gpt-image-2/edit", pictures: (16, true), mask: Some(("mask_url", false)), ..GPT_2 },
    BANANA,
    Model { name: "fal-ai/nano-banana/edit", pictures: (10, true), ..BANANA },
    Model { name: "fal-ai/nano-banana-2", seed: true, ..BANANA },
    Model { name: "fal-ai/nano-banana-2/edit", pictures: (14, true), seed: true, ..BANANA },
    SEEDREAM,
    Model { name: "fal-ai/bytedance/seedream/v4/edit", pictures: (10, true), ..SEEDREAM },
    Model { name: "fal-ai/qwen-image", negative_prompt: true, ..FLUX },
    SDXL,
    Model { name: "fal-ai/fast-sdxl/image-to-image", pictures: (1, false), strength: true, ..SDXL },
    Model {
        name: "fal-ai/fast-sdxl/inpainting",
        pictures: (1, false),
        mask: Some(("mask_url", true)),
        strength: true,
        ..SDXL
    },
];

/// Stands for any endpoint that only the settings name.
const OTHER: Model = Model { name: "", sizes: AllowedSizes::Sides(1, 64, 4096), negative_prompt: true, ..FLUX };

impl Model {
    /// The endpoint of this name.
    pub(in crate::sandbox) fn of(name: &str, vendor: &Vendor) -> Option<Model> {
        let known = MODELS.iter().find(|model| model.name == name).copied();
        known.or_else(|| vendor.price.contains_key(name).then_some(OTHER))
    }
}
