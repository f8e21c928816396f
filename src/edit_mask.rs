//! The mask of an edit, turned from OpenAI's way round to everybody else's.
//!
//! OpenAI marks what is to change by transparency; Stability, Black Forest Labs, fal and SDXL by white. Pixels are
//! decoded here, so this runs where waiting is allowed, never on a thread that serves connections. A file of some
//! hundred kilobytes can stand for a gigabyte of pixels: they are read row by row, and only so many are read. It judges
//! no picture.

use std::io::{Cursor, Write};

use bytes::Bytes;
use png::{BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, Filter, InterlaceInfo, Limits};
use png::{Reader, Transformations, expand_interlaced_row};
use thiserror::Error;

/// Memory that one row and the chunks beside it may take, in bytes. A row of 65,535 pixels, the most that a JPEG can
/// have, takes half a megabyte.
const ROW: usize = 4 * 1024 * 1024;

/// Why a mask cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MaskError {
    /// Not a PNG that decodes within bounds.
    #[error("is not a PNG file that can be read")]
    Unreadable,
    /// No pixel can be transparent.
    #[error("has no alpha channel: make the part that is to change transparent")]
    NoAlpha,
}

impl From<DecodingError> for MaskError {
    fn from(_: DecodingError) -> MaskError {
        MaskError::Unreadable
    }
}

/// A greyscale PNG of the same size in which white is to change: each pixel is as white as the mask's was transparent.
/// Takes time by the pixels that the file says it has, and a row of memory, or a byte a pixel where it is interlaced.
pub fn white(mask: &[u8]) -> Result<Bytes, MaskError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(mask), Limits { bytes: ROW });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info()?;
    let channels = match reader.output_color_type().0 {
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgba => 4,
        _ => return Err(MaskError::NoAlpha),
    };
    let (width, height) = reader.info().size();
    let mut file = Vec::new();
    // Writing into memory fails for no reason of the file's.
    let written = |_| MaskError::Unreadable;
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    // Rows of a mask resemble the one above.
    encoder.set_filter(Filter::Up);
    let mut writer = encoder.write_header().map_err(written)?;
    let mut rows = writer.stream_writer().map_err(written)?;
    let mut put = |row: &[u8]| rows.write_all(row).map_err(|_| MaskError::Unreadable);
    if reader.info().interlaced {
        put(&interlaced(&mut reader, width as usize, height as usize, channels)?)?;
    } else {
        let mut line = Vec::with_capacity(width as usize);
        while let Some(row) = reader.next_row()? {
            whiteness(row.data(), channels, &mut line);
            put(&line)?;
        }
    }
    rows.finish().map_err(written)?;
    writer.finish().map_err(written)?;
    Ok(Bytes::from(file))
}

/// All rows of a file that has them in seven passes.
fn interlaced(
    reader: &mut Reader<Cursor<&[u8]>>,
    width: usize,
    height: usize,
    channels: usize,
) -> Result<Vec<u8>, MaskError> {
    let (mut all, mut line) = (vec![0; width * height], Vec::with_capacity(width));
    while let Some(row) = reader.next_interlaced_row()? {
        whiteness(row.data(), channels, &mut line);
        match row.interlace() {
            InterlaceInfo::Adam7(pass) => expand_interlaced_row(&mut all, width, &line, pass, 8),
            InterlaceInfo::Null(_) => return Err(MaskError::Unreadable),
        }
    }
    Ok(all)
}

/// How transparent each pixel of `row` is; alpha is the last of its `channels`.
fn whiteness(row: &[u8], channels: usize, into: &mut Vec<u8>) {
    into.clear();
    into.extend(row.chunks_exact(channels).map(|pixel| 255 - pixel[channels - 1]));
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.into().write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    #[test]
    fn what_was_transparent_is_white_and_what_was_opaque_black() {
        let alphas = [0, 255, 100];
        let mask = RgbaImage::from_fn(3, 2, |x, _| Rgba([9, 9, 9, alphas[x as usize]]));
        let wide = DynamicImage::ImageRgba16(DynamicImage::from(mask.clone()).into_rgba16());
        let grey = DynamicImage::ImageLumaA8(DynamicImage::from(mask.clone()).into_luma_alpha8());
        for mask in [mask.into(), wide, grey] {
            let turned = image::load_from_memory(&white(&png(mask)).unwrap()).unwrap();
            assert_eq!(turned.color(), image::ColorType::L8);
            assert_eq!(turned.into_luma8().into_raw(), [255, 0, 155, 255, 0, 155]);
        }
    }

    #[test]
    fn a_palette_with_transparency_is_a_mask_too() {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 2, 1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_palette(vec![0; 6]);
        encoder.set_trns(vec![0, 200]);
        encoder.write_header().unwrap().write_image_data(&[0, 1]).unwrap();
        assert_eq!(image::load_from_memory(&white(&file).unwrap()).unwrap().into_luma8().into_raw(), [255, 55]);
    }

    /// A PNG of 5 by 3 pixels in seven passes (Adam7), whose alpha is 10 times the column plus the row; written by hand,
    /// since the encoder writes none.
    fn in_passes() -> Vec<u8> {
        const PASSES: [(u8, u8, u8, u8); 7] =
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        let mut rows = Vec::new();
        for (x0, y0, dx, dy) in PASSES {
            for y in (y0..3).step_by(dy.into()) {
                let line: Vec<u8> = (x0..5).step_by(dx.into()).flat_map(|x| [0, x * 10 + y]).collect();
                if !line.is_empty() {
                    rows.push(0);
                    rows.extend(line);
                }
            }
        }
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(&rows).unwrap();
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let header = [0, 0, 0, 5, 0, 0, 0, 3, 8, 4, 0, 0, 1];
        for (kind, data) in [(b"IHDR", &header[..]), (b"IDAT", &deflated.finish().unwrap()), (b"IEND", &[])] {
            let mut sum = flate2::Crc::new();
            sum.update(kind);
            sum.update(data);
            file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            file.extend_from_slice(kind);
            file.extend_from_slice(data);
            file.extend(sum.sum().to_be_bytes());
        }
        file
    }

    #[test]
    fn a_file_in_seven_passes_is_read_as_any_other() {
        let expected: Vec<u8> = (0..3).flat_map(|y| (0..5).map(move |x| 255 - (x * 10 + y))).collect();
        let turned = image::load_from_memory(&white(&in_passes()).unwrap()).unwrap();
        assert_eq!(turned.into_luma8().into_raw(), expected);
    }

    #[test]
    fn a_mask_without_transparency_or_without_pixels_is_told_apart() {
        assert_eq!(white(&png(RgbImage::new(2, 2))), Err(MaskError::NoAlpha));
        let whole = png(RgbaImage::new(64, 64));
        assert_eq!(white(&whole[..whole.len() / 2]), Err(MaskError::Unreadable));
        assert_eq!(white(b"GIF89a"), Err(MaskError::Unreadable));
        assert_eq!(white(&png(RgbaImage::new(3_000_000, 1))), Err(MaskError::Unreadable), "a row of 12 MB");
    }
}
