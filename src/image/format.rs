//! File formats of pictures.

use std::str::FromStr;

/// File formats a client may ask for and a provider may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl Format {
    /// Every format, in the order error messages list them.
    pub const ALL: [Format; 3] = [Format::Png, Format::Jpeg, Format::Webp];

    /// OpenAI's word: `png`, `jpeg`, `webp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpeg => "jpeg",
            Format::Webp => "webp",
        }
    }

    /// Whether a file of this format can have an alpha channel.
    pub fn has_alpha(self) -> bool {
        self != Format::Jpeg
    }

    /// The media type of a file of this format.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Png => "image/png",
            Format::Jpeg => "image/jpeg",
            Format::Webp => "image/webp",
        }
    }
}

impl FromStr for Format {
    type Err = ();

    /// Reads OpenAI's word; `jpg` is accepted for `jpeg`.
    fn from_str(text: &str) -> Result<Format, ()> {
        match text {
            "png" => Ok(Format::Png),
            "jpeg" | "jpg" => Ok(Format::Jpeg),
            "webp" => Ok(Format::Webp),
            _ => Err(()),
        }
    }
}
