//! The models of Google that the sandbox has, and what each takes.

/// What one model takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    pub(super) name: &'static str,
    pub(super) predict: bool,
    pub(super) shapes: &'static [&'static str],
    pub(super) tiers: &'static [&'static str],
    pub(super) inputs: usize,
    pub(super) negative: bool,
    /// Draws into a picture where a mask says; at Vertex AI alone.
    pub(super) masked: bool,
}

pub(super) const SHAPES: [&str; 14] =
    ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1"];

pub(super) const GEMINI: Model = Model {
    name: "",
    predict: false,
    shapes: SHAPES.split_at(10).0,
    tiers: &[],
    inputs: 3,
    negative: false,
    masked: false,
};

pub(super) const IMAGEN: Model =
    Model { predict: true, shapes: &["1:1", "3:4", "4:3", "9:16", "16:9"], inputs: 0, ..GEMINI };

pub(super) const MODELS: [Model; 10] = [
    Model { name: "gemini-nano-banana-2.1", shapes: &SHAPES, tiers: &["1K", "2K", "4K"], inputs: 14, ..GEMINI },
    Model { name: "gemini-3.1-flash-image", shapes: &SHAPES, tiers: &["512", "1K", "2K", "4K"], inputs: 14, ..GEMINI },
    Model { name: "gemini-3-pro-image", tiers: &["1K", "2K", "4K"], inputs: 14, ..GEMINI },
    Model { name: "gemini-2.5-flash-image", ..GEMINI },
    Model { name: "imagen-4.0-generate-001", tiers: &["1K", "2K"], ..IMAGEN },
    Model { name: "imagen-4.0-ultra-generate-001", tiers: &["1K", "2K"], ..IMAGEN },
    Model { name: "imagen-4.0-fast-generate-001", ..IMAGEN },
    Model { name: "imagen-3.0-generate-002", ..IMAGEN },
    Model { name: "imagen-3.0-generate-001", negative: true, ..IMAGEN },
    Model { name: "imagen-3.0-capability-001", negative: true, masked: true, ..IMAGEN },
];
