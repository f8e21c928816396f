//! The models at the sandbox's Replicate: which inputs each takes, and what picture they describe.
//!
//! A model's inputs are a table, as its `openapi_schema` is at the vendor (PROVIDERS.md section 5.1). Strict: an input
//! the table does not have is refused. A model that only the settings name takes what flux-dev and sdxl take together.

use serde_json::{Map, Value};

use crate::image::{Format, Size};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{InspectedPicture, data_url, decode};
use crate::sandbox::settings::Vendor;

/// What one input may be.
#[derive(Clone, Copy, Debug)]
enum InputType {
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
struct Model {
    name: &'static str,
    /// Can be run by its name alone; the others only by a version.
    official: bool,
    /// Its output is one link, not a list.
    single: bool,
    format: Format,
    inputs: &'static [&'static [(&'static str, InputType)]],
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

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct PictureInput {
    pub prompt: String,
    pub size: Size,
    pub count: u32,
    pub format: Format,
    pub seed: Option<u64>,
    /// The output is one link, not a list.
    pub single: bool,
}

/// A model that may be asked.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct RequestedModel {
    /// `owner/name`, as invoices have it.
    pub name: String,
    model: Model,
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

    /// Checks `input` against the model's table.
    pub(in crate::sandbox) fn read(&self, input: Map<String, Value>) -> Result<PictureInput, FieldError> {
        let mut fields = RequestFields::json(input);
        let prompt = fields.text("prompt")?.ok_or_else(|| FieldError::new("prompt", FieldErrorKind::Missing))?;
        let mut read = Read::default();
        for (name, kind) in self.model.inputs.iter().copied().flatten() {
            if fields.has(name) {
                read.take(&mut fields, name, *kind)?;
            }
        }
        fields.end()?;
        Ok(PictureInput {
            prompt,
            size: read.size()?,
            count: read.count.unwrap_or(1),
            format: read.format.unwrap_or(self.model.format),
            seed: read.seed,
            single: self.model.single,
        })
    }
}

fn is_version(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The inputs that change the picture.
#[derive(Clone, Debug, Default)]
struct Read {
    seed: Option<u64>,
    count: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    ratio: Option<String>,
    quarter: bool,
    format: Option<Format>,
    /// Input pictures by their input's name.
    pictures: Vec<(String, InspectedPicture)>,
}

impl Read {
    fn take(&mut self, fields: &mut RequestFields, name: &str, kind: InputType) -> Result<(), FieldError> {
        match kind {
            InputType::Text => drop(fields.text(name)?),
            InputType::Flag => drop(fields.flag(name)?),
            InputType::Number(least, most) => drop(fields.number(name, least..=most)?),
            InputType::Whole(least, most) => {
                let number = fields.whole(name, least..=most)?.and_then(|number| u32::try_from(number).ok());
                match name {
                    "seed" => self.seed = number.map(u64::from),
                    "num_outputs" => self.count = number,
                    "width" => self.width = number,
                    "height" => self.height = number,
                    _ => {}
                }
            }
            InputType::Picture => self.see(name, &fields.text(name)?.unwrap_or_default())?,
            InputType::Pictures(most) => {
                let Some(Value::Array(items)) = fields.any(name) else {
                    return Err(FieldError::other(name, "must be a list of pictures"));
                };
                if items.len() > most {
                    return Err(FieldError::new(name, FieldErrorKind::Above(most.to_string())));
                }
                for item in items {
                    self.see(name, item.as_str().unwrap_or_default())?;
                }
            }
            InputType::OneOf(words) => {
                let word = fields.choice(name, words)?;
                match name {
                    "aspect_ratio" => self.ratio = word,
                    "megapixels" => self.quarter = word.as_deref() == Some("0.25"),
                    "output_format" => self.format = word.and_then(|word| word.parse().ok()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Looks at an input picture.
    fn see(&mut self, name: &str, url: &str) -> Result<(), FieldError> {
        let seen = data_url(url).and_then(|bytes| decode(&bytes));
        let seen = seen.ok_or_else(|| FieldError::other(name, "must be a data: URL of a PNG, JPEG or WebP picture"))?;
        self.pictures.push((name.to_owned(), seen));
        Ok(())
    }

    /// The size of the picture to start from, where the model keeps it. A mask must have that size too.
    fn own_size(&self) -> Result<Option<Size>, FieldError> {
        let size = |wanted: &str| self.pictures.iter().find(|(name, _)| name == wanted).map(|(_, seen)| seen.size);
        match (size("image"), size("mask")) {
            (Some(image), Some(mask)) if image != mask => Err(FieldError::other("mask", "must have the image's size")),
            (None, Some(_)) => Err(FieldError::new("image", FieldErrorKind::Missing)),
            (image, _) => Ok(image),
        }
    }

    fn size(&self) -> Result<Size, FieldError> {
        if let Some(own) = self.own_size()? {
            return Ok(own);
        }
        let by_sides = self.ratio.as_deref().is_none_or(|ratio| ratio == "custom");
        if by_sides && (self.width.is_some() || self.height.is_some()) {
            let side = |name, side: Option<u32>| {
                let side = side.unwrap_or(1024);
                if side.is_multiple_of(8) { Ok(side) } else { Err(FieldError::other(name, "must be a multiple of 8")) }
            };
            return Ok(Size::new(side("width", self.width)?, side("height", self.height)?));
        }
        let (width, height) = match self.ratio.as_deref() {
            Some("16:9") => (1344, 768),
            Some("21:9") => (1536, 640),
            Some("3:2") => (1216, 832),
            Some("2:3") => (832, 1216),
            Some("4:5") => (896, 1088),
            Some("5:4") => (1088, 896),
            Some("3:4") => (896, 1152),
            Some("4:3") => (1152, 896),
            Some("9:16") => (768, 1344),
            Some("9:21") => (640, 1536),
            _ => (1024, 1024),
        };
        let share = if self.quarter { 2 } else { 1 };
        Ok(Size::new(width / share, height / share))
    }
}
