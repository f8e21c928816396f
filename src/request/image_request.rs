//! A request for pictures, as all of Easel knows it.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::image::{Format, Size};
use crate::request::option_enums::{Background, Complexity, Fidelity, Moderation, Quality, ResponseFormat, Style};

/// The longest prompt any model reads, in characters (OpenAI's GPT image models; PROVIDERS.md 1.1).
pub const PROMPT_MAX_CHARS: usize = 32_000;

/// Pictures one request may ask for.
pub const N_MAX: u8 = 10;

/// A picture the caller sent, checked: its bytes are a whole PNG, JPEG or WebP file of this size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file, untouched.
    pub bytes: Bytes,
    /// Sniffed from the bytes.
    pub format: Format,
    /// Measured from the bytes.
    pub size: Size,
    /// SHA-256 of the bytes, which stands for them in the cache's key: unlike XXH3's, nobody can make two files with
    /// the same one. Hashing takes longer than a connection should wait, so it is done here, where pictures are read.
    pub hash: [u8; 32],
}

impl Input {
    /// A picture that was checked already.
    pub fn new(bytes: Bytes, format: Format, size: Size) -> Input {
        let hash = Sha256::digest(&bytes).into();
        Input { bytes, format, size, hash }
    }
}

/// Which part of the first input picture is to change, in both polarities that vendors know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// As the caller sent it, OpenAI's way: a PNG whose transparent pixels are the ones to change.
    pub clear: Input,
    /// The same as a greyscale PNG: white is to change, black is to stay.
    pub white: Bytes,
}

/// What an edit starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// At least one picture, in the caller's order.
    pub images: Vec<Input>,
    /// The part to change; `None` leaves it to the model.
    pub mask: Option<Mask>,
    /// How closely to keep to the pictures.
    pub fidelity: Option<Fidelity>,
}

/// One image request, bounded but not yet given to a route. `None` is "absent", "null" or "auto".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRequest {
    /// What to draw; 1 to `PROMPT_MAX_CHARS` characters, not blank.
    pub prompt: String,
    /// What the picture must not show (extension).
    pub negative_prompt: Option<String>,
    /// A route's model name, or `provider/model` to pin one offer.
    pub model: Option<String>,
    /// Pictures wanted, 1 to `N_MAX`.
    pub n: u8,
    /// Pixels wanted.
    pub size: Option<Size>,
    /// Effort wanted.
    pub quality: Option<Quality>,
    /// Link or base64, which is no part of what is drawn.
    pub response_format: Option<ResponseFormat>,
    /// File format wanted.
    pub output_format: Option<Format>,
    /// JPEG or WebP compression, 0 to 100.
    pub output_compression: Option<u8>,
    /// Background wanted.
    pub background: Option<Background>,
    /// Content filter wanted.
    pub moderation: Option<Moderation>,
    /// DALL-E 3 style.
    pub style: Option<Style>,
    /// gpt-image-2.6 complexity.
    pub complexity: Option<Complexity>,
    /// Draw the same again (extension); providers' ranges differ, 32 bits is common to all.
    pub seed: Option<u32>,
    /// The caller's own end-user name, handed to providers that take one.
    pub user: Option<String>,
    /// The answer as a stream of events.
    pub stream: bool,
    /// Unfinished versions of each picture to be shown in the stream, 0 to 3; 0 without a stream.
    pub partial_images: u8,
    /// What an edit starts from; `None` draws from the prompt alone.
    pub edit: Option<Edit>,
    /// What of it is not the caller's own.
    pub filled: Filled,
}

/// Which fields of a request hold what the route put there. It is part of no meaning: it only says whose mistake a
/// field can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Rewritten, or with the route's own words around it.
    pub prompt: bool,
    /// The route's default.
    pub size: bool,
    /// The route's default.
    pub quality: bool,
    /// The route's default.
    pub output_format: bool,
}

impl ImageRequest {
    /// Refuses wishes that exclude each other, a route's defaults among them: no vendor could meet both, so none is
    /// paid to try. `defaulted`: the format is the route's default.
    pub fn check_together(&self, defaulted: bool) -> Result<(), Error> {
        let Some(format) = self.output_format.filter(|format| !format.has_alpha()) else { return Ok(()) };
        if self.background != Some(Background::Transparent) {
            return Ok(());
        }
        let whose = if defaulted { "this route's default for 'output_format'" } else { "'output_format'" };
        let word = format.as_str();
        let message = format!(
            "'background' is 'transparent', and {whose} is '{word}', which cannot be: send 'output_format' 'png' or \
             'webp', or another 'background'."
        );
        Err(Error::invalid("background", message).with_code("invalid_value"))
    }

    /// Whether the caller sent this field, by our name. What it never sent cannot be its mistake, and neither can what
    /// the route put there.
    pub fn caller_sent(&self, field: &str) -> bool {
        let filled = self.filled;
        match field {
            "prompt" => !filled.prompt,
            "n" => self.n > 1,
            "size" => self.size.is_some() && !filled.size,
            "quality" => self.quality.is_some() && !filled.quality,
            "output_format" => self.output_format.is_some() && !filled.output_format,
            "output_compression" => self.output_compression.is_some(),
            "background" => self.background.is_some(),
            "moderation" => self.moderation.is_some(),
            "style" => self.style.is_some(),
            "complexity" => self.complexity.is_some(),
            "seed" => self.seed.is_some(),
            "negative_prompt" => self.negative_prompt.is_some(),
            "user" => self.user.is_some(),
            "image" => self.edit.is_some(),
            "mask" => self.edit.as_ref().is_some_and(|edit| edit.mask.is_some()),
            "input_fidelity" => self.edit.as_ref().is_some_and(|edit| edit.fidelity.is_some()),
            _ => false,
        }
    }
}
