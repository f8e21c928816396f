//! A picture file becomes pixels, within bounds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::exif::Orientation;
use super::frame::{Frame, Undecodable};
use super::{icc, jpeg_file, png_file, webp_file};

/// The formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics; of an animated one the first frame.
    Png,
    /// JPEG, baseline and progressive.
    Jpeg,
    /// WebP, lossy and lossless; of an animated one the first frame.
    Webp,
}

/// What a file says of itself before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels across, as shown.
    pub width: u32,
    /// Pixels down, as shown.
    pub height: u32,
}

impl Header {
    /// Reads it. No pixel is decoded, and no more memory taken than the file has bytes.
    ///
    /// # Errors
    /// [`Undecodable::Header`] when there is none.
    pub fn read(file: &[u8], format: Format) -> Result<Header, Undecodable> {
        let read = || match format {
            Format::Png => png_file::header(file),
            Format::Jpeg => jpeg_file::header(file),
            Format::Webp => webp_file::header(file),
        };
        let (sides, orientation) = without_panics(read, Undecodable::Header)?;
        if sides.0 == 0 || sides.1 == 0 {
            return Err(Undecodable::Header);
        }
        let (width, height) = orientation.turn(sides);
        Ok(Header { width, height })
    }

    /// Pixels in all.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A decoded picture: eight bits a channel, row by row as stored, in sRGB.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1 is grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    pub(super) channels: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) orientation: Orientation,
}

impl Decoded {
    /// Decodes a file. One that says it has more than `max_pixels` is turned away before anything is allocated for them;
    /// any other takes at most about 14 bytes a pixel, and a few megabytes besides.
    ///
    /// # Errors
    /// When it is no whole picture, or too large.
    pub fn from_file(file: &[u8], format: Format, max_pixels: u64) -> Result<Decoded, Undecodable> {
        let header = Header::read(file, format)?;
        if header.pixels() > max_pixels {
            return Err(Undecodable::TooManyPixels { pixels: header.pixels() });
        }
        let decode = || match format {
            Format::Png => png_file::decode(file, max_pixels),
            Format::Jpeg => jpeg_file::decode(file, max_pixels),
            Format::Webp => webp_file::decode(file, max_pixels),
        };
        let frame: Frame = without_panics(decode, Undecodable::Damaged)?;
        let [width, height] = [frame.sides.0, frame.sides.1].map(|side| side as usize);
        let mut bytes = frame.bytes;
        if width * height == 0 || bytes.len() != width * height * frame.channels {
            return Err(Undecodable::Damaged);
        }
        if let Some(profile) = frame.profile {
            icc::to_srgb(&profile, frame.channels, &mut bytes);
        }
        Ok(Decoded { width, height, channels: frame.channels, bytes, orientation: frame.orientation })
    }

    /// A picture of these pixels: 1 channel is grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. `None` when the number of
    /// bytes does not fit.
    pub fn from_pixels(bytes: Vec<u8>, width: usize, height: usize, channels: usize) -> Option<Decoded> {
        let fits = (1..=4).contains(&channels)
            && width.checked_mul(height)?.checked_mul(channels)? == bytes.len()
            && !bytes.is_empty();
        fits.then_some(Decoded { width, height, channels, bytes, orientation: Orientation::default() })
    }

    /// Pixels across and down, as shown.
    pub fn sides(&self) -> (u32, u32) {
        // Both come from 32 bits, or from a buffer that was allocated.
        self.orientation.turn((self.width as u32, self.height as u32))
    }

    /// Whether it has an alpha channel.
    pub fn has_alpha(&self) -> bool {
        self.channels == 2 || self.channels == 4
    }

    /// How many of a million pixels have an alpha of less than `alpha`.
    pub fn share_below_alpha(&self, alpha: u8) -> u32 {
        if !self.has_alpha() {
            return 0;
        }
        let below = self.bytes.chunks_exact(self.channels).filter(|pixel| pixel[self.channels - 1] < alpha).count();
        u32::try_from(below as u64 * 1_000_000 / (self.width * self.height) as u64).unwrap_or(1_000_000)
    }
}

/// What `run` returns, or `instead` when it panics. The decoders are libraries that strangers' bytes go through, and a
/// panic in one of them is a file that does not decode.
fn without_panics<T>(run: impl FnOnce() -> Result<T, Undecodable>, instead: Undecodable) -> Result<T, Undecodable> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(instead))
}
