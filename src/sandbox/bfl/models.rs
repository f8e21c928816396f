//! The models at the sandbox's Black Forest Labs: which inputs each takes, and what it draws.
//!
//! A table, as the vendor's `openapi.json` is one (PROVIDERS.md 9.1). A model that only the settings name takes what
//! `flux-pro-1.1` takes. Requests are checked against it in `requests.rs`.

use crate::image::Format;
use crate::sandbox::settings::Vendor;

/// One model.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Model {
    pub(super) name: &'static str,
    pub(super) draws: Draws,
    pub(super) starts_from: From,
    /// What `output_format` may be.
    pub(super) formats: &'static [&'static str],
    pub(super) format: Format,
    pub(super) tolerance: i64,
    pub(super) inputs: &'static [(&'static str, InputKind)],
}

/// How a request gives its size.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draws {
    /// In multiples of 16 from 64 up to four megapixels; 0 leaves it to the model.
    Free,
    /// In multiples of 32 from 256 to 1440; 1024x768 by default.
    Small,
    /// As a shape between these two, of about so many pixels, by default this one.
    Shape { widest: (u64, u64), pixels: u64, usual: (u64, u64) },
    /// Not at all.
    LikeInput,
}

/// What is sent along.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Nothing,
    /// So many `input_image`s.
    Images(usize),
    /// `image`, and a `mask` unless the picture has transparency of its own.
    Masked,
}

/// What one more input may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputKind {
    Flag,
    Whole(i64, i64),
    Number(f64, f64),
    Picture,
}

const TWO: Model = Model {
    name: "",
    draws: Draws::Free,
    starts_from: From::Images(8),
    formats: &["jpeg", "png", "webp"],
    format: Format::Jpeg,
    tolerance: 5,
    inputs: &[("disable_pup", InputKind::Flag)],
};

const ONE: Model = Model {
    name: "flux-pro-1.1",
    draws: Draws::Small,
    starts_from: From::Nothing,
    formats: &["jpeg", "png"],
    format: Format::Jpeg,
    tolerance: 6,
    inputs: &[("prompt_upsampling", InputKind::Flag), ("image_prompt", InputKind::Picture)],
};

const KONTEXT: Model = Model {
    draws: Draws::Shape { widest: (7, 3), pixels: 1024 * 1024, usual: (1, 1) },
    starts_from: From::Images(4),
    format: Format::Png,
    inputs: &[("prompt_upsampling", InputKind::Flag)],
    ..ONE
};

const MODELS: &[Model] = &[
    Model { name: "flux-2-pro", ..TWO },
    Model { name: "flux-2-pro-preview", ..TWO },
    Model { name: "flux-2-max", ..TWO },
    Model {
        name: "flux-2-flex",
        inputs: &[
            ("steps", InputKind::Whole(1, 50)),
            ("guidance", InputKind::Number(1.5, 10.0)),
            ("prompt_upsampling", InputKind::Flag),
        ],
        ..TWO
    },
    Model { name: "flux-2-klein-4b", starts_from: From::Images(4), inputs: &[], ..TWO },
    Model { name: "flux-2-klein-9b", starts_from: From::Images(4), inputs: &[], ..TWO },
    ONE,
    Model {
        name: "flux-pro-1.1-ultra",
        draws: Draws::Shape { widest: (21, 9), pixels: 2048 * 2048, usual: (16, 9) },
        inputs: &[
            ("raw", InputKind::Flag),
            ("prompt_upsampling", InputKind::Flag),
            ("image_prompt", InputKind::Picture),
            ("image_prompt_strength", InputKind::Number(0.0, 1.0)),
        ],
        ..ONE
    },
    Model {
        name: "flux-dev",
        inputs: &[
            ("prompt_upsampling", InputKind::Flag),
            ("image_prompt", InputKind::Picture),
            ("steps", InputKind::Whole(1, 50)),
            ("guidance", InputKind::Number(1.5, 5.0)),
        ],
        ..ONE
    },
    Model { name: "flux-kontext-pro", ..KONTEXT },
    Model { name: "flux-kontext-max", ..KONTEXT },
    Model {
        name: "flux-pro-1.0-fill",
        draws: Draws::LikeInput,
        starts_from: From::Masked,
        inputs: &[
            ("prompt_upsampling", InputKind::Flag),
            ("steps", InputKind::Whole(15, 50)),
            ("guidance", InputKind::Number(1.5, 100.0)),
        ],
        ..ONE
    },
];

impl Model {
    /// The model of this name.
    pub(in crate::sandbox) fn of(name: &str, vendor: &Vendor) -> Option<Model> {
        let known = MODELS.iter().find(|model| model.name == name).copied();
        known.or_else(|| vendor.price.contains_key(name).then_some(ONE))
    }
}
