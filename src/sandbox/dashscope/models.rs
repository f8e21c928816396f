//! The models at the sandbox's DashScope: which surface each is on, what it takes, and what it draws.
//!
//! A reading of PROVIDERS.md section 10 of its own. A model that only the settings name is on the newer surface and
//! draws any size. Requests are checked against this table in `input_and_parameters.rs`.

use crate::image::Size;
use crate::sandbox::settings::Vendor;

/// Sizes a model draws.
#[derive(Clone, Copy, Debug)]
pub(super) enum AllowedSizes {
    /// Takes no such parameter.
    Untold,
    /// The five of Qwen-Image.
    Five,
    /// Both sides in this range.
    Sides(u32, u32),
    /// Pixels in all, and no side over four times the other.
    Area(u64, u64),
}

/// How a model spells its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Spelling {
    /// `width`, `height`, `image_count`.
    Qwen,
    /// `size`, `image_count`.
    Wan,
    /// `output_width`, `output_height`, `output_image_count`.
    Newest,
}

/// One model and its dated snapshots.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Model {
    pub(super) name: &'static str,
    /// Answers messages.
    pub messages: bool,
    /// Takes on tasks.
    pub tasks: bool,
    pub(super) most: i64,
    pub(super) prompt_chars: usize,
    pub(super) sizes: AllowedSizes,
    pub(super) negative_prompt: bool,
    /// Pictures to change, fewest and most.
    pub(super) inputs: (usize, usize),
    /// Shortest and longest side of those.
    pub(super) input_sides: (u32, u32),
    /// What is drawn from a prompt when no size is asked.
    pub(super) usual: Size,
    /// Pixels of a changed picture when no size is asked; its shape is that of the last input.
    pub(super) changed: u64,
    pub spelling: Spelling,
}

/// Sides of [`AllowedSizes::Five`].
pub(super) const FIVE: [(u32, u32); 5] = [(1664, 928), (1472, 1104), (1328, 1328), (1104, 1472), (928, 1664)];

const QWEN: Model = Model {
    name: "qwen-image",
    messages: true,
    tasks: true,
    most: 1,
    prompt_chars: 800,
    sizes: AllowedSizes::Five,
    negative_prompt: true,
    inputs: (0, 0),
    input_sides: (384, 3072),
    usual: Size::new(1664, 928),
    changed: 1024 * 1024,
    spelling: Spelling::Qwen,
};

const QWEN_2: Model = Model {
    name: "qwen-image-2.0",
    tasks: false,
    most: 6,
    prompt_chars: 1_300,
    sizes: AllowedSizes::Area(512 * 512, 2048 * 2048),
    inputs: (0, 3),
    usual: Size::new(2048, 2048),
    ..QWEN
};

const QWEN_EDIT: Model = Model {
    name: "qwen-image-edit-plus",
    prompt_chars: 800,
    sizes: AllowedSizes::Sides(512, 2048),
    inputs: (1, 3),
    ..QWEN_2
};

const WAN_2_2: Model = Model {
    name: "wan2.2-t2i-flash",
    messages: false,
    tasks: true,
    most: 4,
    prompt_chars: 800,
    sizes: AllowedSizes::Sides(512, 1440),
    usual: Size::new(1024, 1024),
    spelling: Spelling::Wan,
    ..QWEN
};

const WAN_2_5: Model = Model {
    name: "wan2.5-t2i-preview",
    prompt_chars: 2_000,
    sizes: AllowedSizes::Area(768 * 768, 1440 * 1440),
    usual: Size::new(1280, 1280),
    ..WAN_2_2
};

const WAN_2_6: Model = Model { name: "wan2.6-t2i", messages: true, tasks: false, prompt_chars: 2_100, ..WAN_2_5 };

const WAN_IMAGE: Model = Model {
    name: "wan2.6-image",
    prompt_chars: 2_000,
    sizes: AllowedSizes::Area(768 * 768, 2048 * 2048),
    inputs: (1, 4),
    input_sides: (240, 8000),
    changed: 1280 * 1280,
    ..WAN_2_6
};

const WAN_2_7: Model = Model { name: "wan2.7-image", negative_prompt: false, inputs: (0, 9), ..WAN_IMAGE };

const QWEN_3: Model = Model { name: "qwen-image-3.0", prompt_chars: 4_500, spelling: Spelling::Newest, ..QWEN_2 };

const MODELS: [Model; 19] = [
    QWEN,
    Model { name: "qwen-image-plus", ..QWEN },
    Model { name: "qwen-image-max", tasks: false, ..QWEN },
    QWEN_2,
    Model { name: "qwen-image-2.0-pro", ..QWEN_2 },
    QWEN_3,
    Model { name: "qwen-image-3.0-pro", ..QWEN_3 },
    Model { name: "qwen-image-edit", most: 1, sizes: AllowedSizes::Untold, ..QWEN_EDIT },
    QWEN_EDIT,
    Model { name: "qwen-image-edit-max", ..QWEN_EDIT },
    Model { name: "wanx2.1-t2i-turbo", ..WAN_2_2 },
    WAN_2_2,
    Model { name: "wan2.2-t2i-plus", ..WAN_2_2 },
    WAN_2_5,
    WAN_2_6,
    WAN_IMAGE,
    WAN_2_7,
    Model { name: "wan2.7-image-pro", ..WAN_2_7 },
    Model {
        name: "z-image-turbo",
        tasks: false,
        sizes: AllowedSizes::Area(512 * 512, 2048 * 2048),
        negative_prompt: false,
        usual: Size::new(1024, 1536),
        ..QWEN
    },
];

/// Stands for any model that only the settings name.
const OTHER: Model = Model {
    name: "",
    tasks: false,
    most: 4,
    prompt_chars: 32_000,
    sizes: AllowedSizes::Area(1, 4096 * 4096),
    inputs: (0, 3),
    input_sides: (1, 8000),
    usual: Size::new(1024, 1024),
    ..QWEN
};

impl Model {
    /// The model of this name, or of the name without its date.
    pub(in crate::sandbox) fn of(name: &str, vendor: &Vendor) -> Option<Model> {
        let dated = |rest: &str| rest.starts_with("-20") && rest.len() == "-2026-01-09".len();
        let known = |model: &&Model| name.strip_prefix(model.name).is_some_and(|rest| rest.is_empty() || dated(rest));
        MODELS.iter().find(known).copied().or_else(|| vendor.price.contains_key(name).then_some(OTHER))
    }
}

#[cfg(test)]
mod tests;
