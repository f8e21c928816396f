//! Encodes raw pixels as the files that Easel's sandbox answers with.
//!
//! The encoders of `image` are generic, so they are compiled into the crate that calls them. This crate is optimised in
//! every profile. Easel itself is not optimised in the profile of the demo and the tests, and thousands of pictures drawn
//! there would take most of the tests' time.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::imageops::{FilterType as ResizeFilter, resize};
use image::{ExtendedColorType, ImageEncoder, ImageResult, RgbImage, RgbaImage};

/// The format of a file, and how it is encoded.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    /// PNG, encoded for speed rather than size.
    Png,
    /// JPEG of this quality, 1 to 100.
    Jpeg(u8),
    /// Lossless WebP.
    Webp,
}

/// Raw pixels, row by row from the top, with eight bits a channel.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// The bytes of all channels, red, green and blue, and alpha where there is `alpha`.
    pub bytes: &'a [u8],
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether each pixel has a fourth channel.
    pub alpha: bool,
}

/// The pixels as a file.
///
/// # Errors
/// When the format cannot hold pictures of this size, or of four channels.
pub fn encode(pixels: Pixels<'_>, encoding: Encoding) -> ImageResult<Vec<u8>> {
    let Pixels { bytes, width, height, alpha } = pixels;
    let colours = if alpha { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let mut file = Vec::new();
    match encoding {
        Encoding::Png => PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Up)
            .write_image(bytes, width, height, colours)?,
        Encoding::Jpeg(quality) => JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100))
            .write_image(bytes, width, height, colours)?,
        Encoding::Webp => WebPEncoder::new_lossless(&mut file).write_image(bytes, width, height, colours)?,
    }
    Ok(file)
}

/// The bytes of the same picture at another size, one pixel flowing into the next. Of pixels that are not as many as their
/// sides say nothing is left but black.
pub fn enlarge(pixels: Pixels<'_>, width: u32, height: u32) -> Vec<u8> {
    let Pixels { bytes, width: from_width, height: from_height, alpha } = pixels;
    let filter = ResizeFilter::CatmullRom;
    let enlarged = match alpha {
        true => RgbaImage::from_raw(from_width, from_height, bytes.to_vec())
            .map(|drawn| resize(&drawn, width, height, filter).into_raw()),
        false => RgbImage::from_raw(from_width, from_height, bytes.to_vec())
            .map(|drawn| resize(&drawn, width, height, filter).into_raw()),
    };
    let channels = if alpha { 4 } else { 3 };
    enlarged.unwrap_or_else(|| vec![0; channels * width as usize * height as usize])
}
