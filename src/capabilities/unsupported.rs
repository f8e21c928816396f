//! Why a model cannot draw a request.

/// Why a model cannot draw a request. The word goes to log, metric and the caller's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsupported {
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

impl Unsupported {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Unsupported::Size => "size",
            Unsupported::PromptTooLong { .. } => "prompt_too_long",
            Unsupported::Seed => "seed",
            Unsupported::NegativePrompt => "negative_prompt",
            Unsupported::NegativePromptTooLong { .. } => "negative_prompt_too_long",
            Unsupported::Background => "background",
            Unsupported::OutputFormat => "output_format",
            Unsupported::Generate => "generate",
            Unsupported::Edit => "edit",
            Unsupported::Images { .. } => "too_many_images",
            Unsupported::ImageBytes { .. } => "images_too_large",
            Unsupported::ImageSize => "image_size",
            Unsupported::Mask => "mask",
            Unsupported::MaskMissing => "mask_missing",
            Unsupported::Dropped(field) => field,
        }
    }

    /// The request field to name in an error.
    pub fn param(self) -> &'static str {
        match self {
            Unsupported::PromptTooLong { .. } => "prompt",
            Unsupported::Size => "size",
            Unsupported::Seed => "seed",
            Unsupported::NegativePrompt | Unsupported::NegativePromptTooLong { .. } => "negative_prompt",
            Unsupported::Background => "background",
            Unsupported::OutputFormat => "output_format",
            Unsupported::Generate | Unsupported::Edit => "model",
            Unsupported::Images { .. } | Unsupported::ImageBytes { .. } | Unsupported::ImageSize => "image",
            Unsupported::Mask | Unsupported::MaskMissing => "mask",
            Unsupported::Dropped(field) => field,
        }
    }
}
