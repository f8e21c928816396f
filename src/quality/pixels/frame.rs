//! What a decoder hands on, or why it does not.

use super::exif::Orientation;

/// Why a file is no picture here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// The file does not begin as its format does, or says nonsense of itself.
    Header,
    /// It has more pixels than are decoded.
    TooManyPixels {
        /// How many it says it has.
        pixels: u64,
    },
    /// It does not decode to its last pixel.
    Damaged,
}

impl Undecodable {
    /// The word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Undecodable::Header => "header",
            Undecodable::TooManyPixels { .. } => "too_many_pixels",
            Undecodable::Damaged => "damaged",
        }
    }
}

/// What a format's decoder found in a file.
pub(super) struct Frame {
    pub(super) sides: (u32, u32),
    pub(super) channels: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) orientation: Orientation,
    pub(super) profile: Option<Vec<u8>>,
}
