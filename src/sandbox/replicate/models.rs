//! The models at the sandbox's Replicate: which inputs each takes, what it draws, and by which names it is found.
//!
//! A model's inputs are a table, as its `openapi_schema` is at the vendor (PROVIDERS.md section 5.1). A model that only
//! the settings name takes what flux-dev and sdxl take together. Requests are checked against the table in
//! `requests.rs`.

use crate::image::Format;
use crate::sandbox::settings::Vendor;

/// What one input may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputType {
    Text,
    Whole(i64, i64),
    Number(f64, f64),
    Flag,
    OneOf(&'static [&'static str]),
    /// A picture as a `data:` URL; addresses of other hosts are not fetched here.
    Picture,
    /// At most so many pictures.
    Pictures(usize),
}

/// One model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    pub(super) name: &'static str,
    /// Can be run by its name alone; the others only by a version.
    pub(super) official: bool,
    /// Its output is one link, not a list.
    pub(super) single: bool,
    pub(super) format: Format,
    pub(super) inputs: &'static [&'static [(&'static str, InputType)]],
}

const RATIOS: &[&str] = &["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"];
/// The same for models that may keep the input picture's shape.
const RATIOS_OR_OWN: &[&str] =
    &["match_input_image", "1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"];
const FORMATS: &[&str] = &["webp", "jpg", "png"];
const SCHEDULERS: &[&str] =
    &["DDIM", "DPMSolverMultistep", "HeunDiscrete", "KarrasDPM", "K_EULER_ANCESTRAL", "K_EULER", "PNDM"];
const REFINERS: &[&str] = &["no_refiner", "expert_ensemble_refiner", "base_image_refiner"];

const SEED: (&str, InputType) = ("seed", InputType::Whole(0, u32::MAX as i64));

const FLUX: &[(&str, InputType)] = &[
    SEED,
    ("aspect_ratio", InputType::OneOf(RATIOS)),
    ("num_outputs", InputType::Whole(1, 4)),
    ("output_format", InputType::OneOf(FORMATS)),
    ("output_quality", InputType::Whole(0, 100)),
    ("disable_safety_checker", InputType::Flag),
    ("go_fast", InputType::Flag),
    ("megapixels", InputType::OneOf(&["1", "0.25"])),
];

const FLUX_SCHNELL: &[(&str, InputType)] = &[("num_inference_steps", InputType::Whole(1, 4))];

const FLUX_DEV: &[(&str, InputType)] =
    &[("num_inference_steps", InputType::Whole(1, 50)), ("guidance", InputType::Number(0.0, 10.0))];

/// Starting from a picture, in its size.
const FROM_IMAGE: &[(&str, InputType)] =
    &[("image", InputType::Picture), ("prompt_strength", InputType::Number(0.0, 1.0))];

const KONTEXT: &[(&str, InputType)] = &[
    SEED,
    ("input_image", InputType::Picture),
    ("aspect_ratio", InputType::OneOf(RATIOS_OR_OWN)),
    ("output_format", InputType::OneOf(&["jpg", "png"])),
    ("safety_tolerance", InputType::Whole(0, 6)),
    ("prompt_upsampling", InputType::Flag),
];

const FLUX_2: &[(&str, InputType)] = &[
    SEED,
    ("input_images", InputType::Pictures(8)),
    ("aspect_ratio", InputType::OneOf(RATIOS_OR_OWN)),
    ("output_format", InputType::OneOf(FORMATS)),
];

const FILL: &[(&str, InputType)] = &[
    SEED,
    ("image", InputType::Picture),
    ("mask", InputType::Picture),
    ("output_format", InputType::OneOf(&["jpg", "png"])),
];

const MASK: &[(&str, InputType)] = &[("mask", InputType::Picture)];

const FLUX_PRO: &[(&str, InputType)] = &[
    SEED,
    (
        "aspect_ratio",
        InputType::OneOf(&["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21", "custom"]),
    ),
    ("width", InputType::Whole(256, 1440)),
    ("height", InputType::Whole(256, 1440)),
    ("output_format", InputType::OneOf(FORMATS)),
    ("output_quality", InputType::Whole(0, 100)),
    ("safety_tolerance", InputType::Whole(1, 6)),
    ("prompt_upsampling", InputType::Flag),
];

const SDXL: &[(&str, InputType)] = &[
    SEED,
    ("negative_prompt", InputType::Text),
    ("width", InputType::Whole(64, 2048)),
    ("height", InputType::Whole(64, 2048)),
    ("num_outputs", InputType::Whole(1, 4)),
    ("scheduler", InputType::OneOf(SCHEDULERS)),
    ("num_inference_steps", InputType::Whole(1, 500)),
    ("guidance_scale", InputType::Number(1.0, 50.0)),
    ("prompt_strength", InputType::Number(0.0, 1.0)),
    ("refine", InputType::OneOf(REFINERS)),
    ("high_noise_frac", InputType::Number(0.0, 1.0)),
    ("refine_steps", InputType::Whole(1, 500)),
    ("apply_watermark", InputType::Flag),
    ("lora_scale", InputType::Number(0.0, 1.0)),
    ("replicate_weights", InputType::Text),
    ("disable_safety_checker", InputType::Flag),
];

const MODELS: [Model; 7] = [
    Model {
        name: "black-forest-labs/flux-schnell",
        official: true,
        single: false,
        format: Format::Webp,
        inputs: &[FLUX, FLUX_SCHNELL],
    },
    Model {
        name: "black-forest-labs/flux-dev",
        official: true,
        single: false,
        format: Format::Webp,
        inputs: &[FLUX, FLUX_DEV, FROM_IMAGE],
    },
    Model {
        name: "black-forest-labs/flux-1.1-pro",
        official: true,
        single: true,
        format: Format::Webp,
        inputs: &[FLUX_PRO],
    },
    Model {
        name: "black-forest-labs/flux-kontext-pro",
        official: true,
        single: true,
        format: Format::Png,
        inputs: &[KONTEXT],
    },
    Model {
        name: "black-forest-labs/flux-2-pro",
        official: true,
        single: true,
        format: Format::Webp,
        inputs: &[FLUX_2],
    },
    Model {
        name: "black-forest-labs/flux-fill-pro",
        official: true,
        single: true,
        format: Format::Jpeg,
        inputs: &[FILL],
    },
    Model {
        name: SDXL_NAME,
        official: false,
        single: false,
        format: Format::Png,
        inputs: &[SDXL, &[("image", InputType::Picture)], MASK],
    },
];

const SDXL_NAME: &str = "stability-ai/sdxl";

/// Stands for any model that only the settings name. Inputs are looked for in the order written here.
const OTHER: Model = Model {
    name: "",
    official: true,
    single: false,
    format: Format::Png,
    inputs: &[SDXL, FLUX, FLUX_DEV, FROM_IMAGE, MASK],
};

/// A model that may be asked.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct RequestedModel {
    /// `owner/name`, as invoices have it.
    pub name: String,
    pub(super) model: Model,
}

impl RequestedModel {
    /// The model behind `POST /models/{owner}/{name}/predictions`: official ones only.
    pub(in crate::sandbox) fn by_name(name: &str, vendor: &Vendor) -> Option<RequestedModel> {
        RequestedModel::find(name, vendor).filter(|asked| asked.model.official)
    }

    /// The model behind a `version`: 64 hex digits, with the model's name before it or not, or an official name.
    /// Digits alone are taken for sdxl, the one versioned model here.
    pub(in crate::sandbox) fn by_version(version: &str, vendor: &Vendor) -> Option<RequestedModel> {
        match version.rsplit_once(':') {
            Some((name, digits)) => RequestedModel::find(name, vendor).filter(|_| is_version(digits)),
            None if is_version(version) => RequestedModel::find(SDXL_NAME, vendor),
            None => RequestedModel::by_name(version, vendor),
        }
    }

    fn find(name: &str, vendor: &Vendor) -> Option<RequestedModel> {
        let known = MODELS.iter().find(|model| model.name == name).copied();
        let model = known.or_else(|| vendor.price.contains_key(name).then_some(OTHER))?;
        Some(RequestedModel { name: name.to_owned(), model })
    }
}

fn is_version(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
