//! JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.

use std::borrow::Cow;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::exif::Orientation;
use super::frame::{Frame, Undecodable};
use super::jpeg_scan;

const SCAN: [u8; 2] = [0xff, 0xda];
const END: [u8; 2] = [0xff, 0xd9];

/// Scans of a progressive file that are decoded. Encoders write about ten, and each costs a pass over all of the picture.
const SCANS: usize = 64;

/// With an error wherever the data end early or make no sense: the default fills what is missing with grey.
fn decoder(file: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(SCANS);
    JpegDecoder::new_with_options(ZCursor::new(file), options)
}

pub(super) fn header(file: &[u8]) -> Result<((u32, u32), Orientation), Undecodable> {
    let mut decoder = decoder(file);
    decoder.decode_headers().map_err(|_| Undecodable::Header)?;
    let (width, height) = decoder.dimensions().ok_or(Undecodable::Header)?;
    let sides = [width, height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let orientation = decoder.exif().map(|exif| Orientation::from_exif(exif)).unwrap_or_default();
    Ok(((sides[0], sides[1]), orientation))
}

/// The file with the marker of its end. Some encoders leave that out, and every browser shows what they wrote; the decoder, which
/// is to find what is missing, does not.
fn closed(file: &[u8]) -> Cow<'_, [u8]> {
    // In a scan no marker stands for data, and a small picture in the metadata, with an end of its own, comes before it.
    let last = |marker: [u8; 2]| file.windows(2).rposition(|pair| pair == marker);
    match last(END) > last(SCAN) {
        true => Cow::Borrowed(file),
        false => Cow::Owned([file, &END].concat()),
    }
}

pub(super) fn decode(file: &[u8], max_pixels: u64) -> Result<Frame, Undecodable> {
    let (sides, orientation) = header(file)?;
    if u64::from(sides.0) * u64::from(sides.1) > max_pixels {
        return Err(Undecodable::Header);
    }
    let file = closed(file);
    if !jpeg_scan::is_whole(&file) {
        return Err(Undecodable::Damaged);
    }
    let mut decoder = decoder(&file);
    decoder.decode_headers().map_err(|_| Undecodable::Header)?;
    let stored = decoder.input_colorspace().ok_or(Undecodable::Header)?;
    // CMYK and YCCK as Adobe stores them, inverted, which is how browsers take all of them.
    let (wanted, channels) = if stored == ColorSpace::Luma { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(wanted));
    // A profile of inks describes what the decoder has already turned into RGB.
    let inks = matches!(stored, ColorSpace::CMYK | ColorSpace::YCCK);
    let profile = decoder.icc_profile().filter(|_| !inks);
    let mut bytes = vec![0; decoder.output_buffer_size().ok_or(Undecodable::Header)?];
    decoder.decode_into(&mut bytes).map_err(|_| Undecodable::Damaged)?;
    Ok(Frame { sides, channels, bytes, orientation, profile })
}
