//! Pixels across and down.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Pixels across and down; both at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Size {
    /// The largest side a request may name; no provider draws more.
    pub const MAX_SIDE: u32 = 16_384;

    /// A size of `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    /// Pixels in all.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// The text is not `WIDTHxHEIGHT` with both sides between 1 and [`Size::MAX_SIDE`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a size is WIDTHxHEIGHT in pixels, like 1024x1024, each side from 1 to {}", Size::MAX_SIDE)]
pub struct BadSize;

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Size, BadSize> {
        let (width, height) = text.split_once('x').ok_or(BadSize)?;
        let side = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain
                .then(|| text.parse::<u32>().ok())
                .flatten()
                .filter(|side| (1..=Size::MAX_SIDE).contains(side))
                .ok_or(BadSize)
        };
        Ok(Size::new(side(width)?, side(height)?))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
