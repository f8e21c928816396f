//! Encodes raw pixels as the files that Easel's sandbox answers with.
//!
//! The encoders of `image` are generic, so they are compiled into the crate that calls them. This crate is optimised in
//! every profile. Easel itself is not optimised in the profile of the demo and the tests, and thousands of pictures drawn
//! there would take most of the tests' time.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageResult};

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
