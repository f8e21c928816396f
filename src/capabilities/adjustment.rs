//! What is not as it was asked: adjusted and said so, or not to be had from this model.

use std::fmt;

/// A wish that was changed to fit, told in `x-easel-adjusted`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// Asked for this, gets that.
    Changed(&'static str, String, String),
    /// Not taken by this model.
    Dropped(&'static str),
}

impl Adjustment {
    /// Whether it is this field of the request that was changed.
    pub fn is_of(&self, name: &str) -> bool {
        let (Adjustment::Changed(field, ..) | Adjustment::Dropped(field)) = self;
        *field == name
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Adjustment::Changed(field, from, to) => write!(f, "{field} {from} -> {to}"),
            Adjustment::Dropped(field) => write!(f, "{field} dropped"),
        }
    }
}

/// Why a model cannot draw a request. The word goes to log, metric and the caller's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unable {
    /// No size near enough.
    Size,
    /// The prompt is longer than the model reads.
    PromptTooLong {
        /// Characters it reads.
        limit: usize,
    },
    /// Takes no seed.
    Seed,
    /// Takes no negative prompt.
    NegativePrompt,
    /// The negative prompt is longer than the model reads.
    NegativePromptTooLong {
        /// Characters it reads.
        limit: usize,
    },
    /// Draws no alpha channel.
    Background,
    /// Does not write this file format.
    OutputFormat,
    /// Draws nothing without a picture to start from.
    Generate,
    /// Changes no pictures.
    Edit,
    /// Takes fewer pictures at once.
    Images {
        /// Pictures it takes.
        limit: u8,
    },
    /// Takes fewer bytes of pictures at once.
    ImageBytes {
        /// Bytes it takes.
        limit: usize,
    },
    /// Takes no picture of this size.
    ImageSize,
    /// Takes no mask.
    Mask,
    /// Changes nothing without a mask.
    MaskMissing,
    /// Would drop this wish, and the route does not want that.
    Dropped(&'static str),
}

impl Unable {
    /// The word for log and metric.
    pub fn word(self) -> &'static str {
        match self {
            Unable::Size => "size",
            Unable::PromptTooLong { .. } => "prompt_too_long",
            Unable::Seed => "seed",
            Unable::NegativePrompt => "negative_prompt",
            Unable::NegativePromptTooLong { .. } => "negative_prompt_too_long",
            Unable::Background => "background",
            Unable::OutputFormat => "output_format",
            Unable::Generate => "generate",
            Unable::Edit => "edit",
            Unable::Images { .. } => "too_many_images",
            Unable::ImageBytes { .. } => "images_too_large",
            Unable::ImageSize => "image_size",
            Unable::Mask => "mask",
            Unable::MaskMissing => "mask_missing",
            Unable::Dropped(field) => field,
        }
    }

    /// The request field to name in an error.
    pub fn param(self) -> &'static str {
        match self {
            Unable::PromptTooLong { .. } => "prompt",
            Unable::Size => "size",
            Unable::Seed => "seed",
            Unable::NegativePrompt | Unable::NegativePromptTooLong { .. } => "negative_prompt",
            Unable::Background => "background",
            Unable::OutputFormat => "output_format",
            Unable::Generate | Unable::Edit => "model",
            Unable::Images { .. } | Unable::ImageBytes { .. } | Unable::ImageSize => "image",
            Unable::Mask | Unable::MaskMissing => "mask",
            Unable::Dropped(field) => field,
        }
    }
}
