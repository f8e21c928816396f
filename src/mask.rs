//! The mask of an edit, turned from OpenAI's way round to everybody else's.
//!
//! OpenAI marks what is to change by transparency; Stability, Black Forest Labs, fal and SDXL by white. Pixels are
//! decoded here, so this runs where waiting is allowed, never on a thread that serves connections. It judges no
//! picture.

use std::io::Cursor;

use bytes::Bytes;
use image::{DynamicImage, GrayImage, ImageFormat, ImageReader, Luma};
use thiserror::Error;

/// The most memory that decoding a mask may take, in bytes: 64 million pixels with four channels.
const DECODED: u64 = 256 * 1024 * 1024;

/// Why a mask cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unusable {
    /// Not a PNG that decodes within bounds.
    #[error("is not a PNG file that can be read")]
    Unreadable,
    /// No pixel can be transparent.
    #[error("has no alpha channel: make the part that is to change transparent")]
    NoAlpha,
}

/// A greyscale PNG of the same size in which white is to change: each pixel is as white as the mask's was transparent.
pub fn white(mask: &[u8]) -> Result<Bytes, Unusable> {
    let mut reader = ImageReader::with_format(Cursor::new(mask), ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(DECODED);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|_| Unusable::Unreadable)?;
    if !decoded.color().has_alpha() {
        return Err(Unusable::NoAlpha);
    }
    let pixels = decoded.into_rgba8();
    let mut white = GrayImage::new(pixels.width(), pixels.height());
    for (to, from) in white.pixels_mut().zip(pixels.pixels()) {
        *to = Luma([255 - from.0[3]]);
    }
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(white).write_to(&mut file, ImageFormat::Png).map_err(|_| Unusable::Unreadable)?;
    Ok(Bytes::from(file.into_inner()))
}

#[cfg(test)]
mod tests {
    use image::{RgbImage, Rgba, RgbaImage};

    use super::*;

    fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.into().write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    #[test]
    fn what_was_transparent_is_white_and_what_was_opaque_black() {
        let alphas = [0, 255, 100];
        let mask = RgbaImage::from_fn(3, 1, |x, _| Rgba([9, 9, 9, alphas[x as usize]]));
        let turned = image::load_from_memory(&white(&png(mask)).unwrap()).unwrap();
        assert_eq!(turned.color(), image::ColorType::L8);
        assert_eq!(turned.into_luma8().into_raw(), [255, 0, 155]);
    }

    #[test]
    fn a_mask_without_transparency_or_without_pixels_is_told_apart() {
        assert_eq!(white(&png(RgbImage::new(2, 2))), Err(Unusable::NoAlpha));
        let whole = png(RgbaImage::new(64, 64));
        assert_eq!(white(&whole[..whole.len() / 2]), Err(Unusable::Unreadable));
        assert_eq!(white(b"GIF89a"), Err(Unusable::Unreadable));
    }
}
