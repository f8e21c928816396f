//! PNG, and the first frame of an animated one.

use std::io::Cursor;

use png::{BlendOp, ColorType, Decoder, Limits, Reader, Transformations};

use super::exif::Orientation;
use super::frame::{Frame, Undecodable};
use super::icc;

type File<'a> = Cursor<&'a [u8]>;

/// Everything before the pixels. What a file holds besides them may take its own bytes, a colour profile that is inflated,
/// and a row; texts are not read.
fn open(file: &[u8], row: usize) -> Result<Reader<File<'_>>, Undecodable> {
    let bytes = file.len().saturating_add(icc::LARGEST).saturating_add(row);
    let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info().map_err(|_| Undecodable::Header)
}

pub(super) fn header(file: &[u8]) -> Result<((u32, u32), Orientation), Undecodable> {
    // The sides stand first, and a file whose profile or row is beyond all bounds has them too.
    let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: file.len() });
    decoder.set_ignore_text_chunk(true);
    let sides = decoder.read_header_info().map(|info| (info.width, info.height)).map_err(|_| Undecodable::Header)?;
    decoder.set_ignore_text_chunk(true);
    let exif = exif_before_the_pixels(file);
    Ok((sides, exif.map(Orientation::from_exif).unwrap_or_default()))
}

/// The data of the chunk with EXIF, where there is one ahead of the pixels.
fn exif_before_the_pixels(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.get(8..)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (name, after) = after.split_first_chunk::<4>()?;
        match name {
            b"eXIf" => return after.get(..length),
            b"IDAT" | b"IEND" => return None,
            _ => rest = after.get(length.checked_add(4)?..)?,
        }
    }
}

pub(super) fn decode(file: &[u8], max_pixels: u64) -> Result<Frame, Undecodable> {
    let (sides, orientation) = header(file)?;
    // Eight bytes is the widest pixel, and the decoder holds two rows.
    let mut reader = open(file, (sides.0 as usize).saturating_mul(16))?;
    if u64::from(sides.0) * u64::from(sides.1) > max_pixels {
        return Err(Undecodable::Header);
    }
    let (color, _) = reader.output_color_type();
    let channels = color.samples();
    if color == ColorType::Indexed {
        return Err(Undecodable::Header);
    }
    let profile = reader.info().icc_profile.as_ref().map(|profile| profile.to_vec());
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(Undecodable::Header)?];
    // A default image that is no frame is shown only where animations are not.
    let in_animation = reader.info().animation_control.is_none() || reader.info().frame_control.is_some();
    let blank_canvas = reader.info().animation_control.is_some_and(|animation| animation.num_frames == 0);
    reader.next_frame(&mut bytes).map_err(|_| Undecodable::Damaged)?;
    if !in_animation && !blank_canvas {
        bytes = first_frame(&mut reader, bytes, channels)?;
    }
    Ok(Frame { sides, channels, bytes, orientation, profile })
}

/// The first frame of an animation whose default image is none of its frames: a part of the canvas, on nothing.
fn first_frame(reader: &mut Reader<File<'_>>, mut part: Vec<u8>, channels: usize) -> Result<Vec<u8>, Undecodable> {
    let frame = reader.next_frame(&mut part).map_err(|_| Undecodable::Damaged)?;
    let control = reader.info().frame_control.ok_or(Undecodable::Damaged)?;
    let line = reader.info().width as usize * channels;
    let mut canvas = vec![0; line * reader.info().height as usize];
    let from = control.x_offset as usize * channels;
    let rows = canvas.chunks_exact_mut(line.max(1)).skip(control.y_offset as usize);
    for (row, data) in rows.zip(part.chunks_exact(frame.line_size.max(1))).take(frame.height as usize) {
        let place = row.get_mut(from..from + frame.line_size).ok_or(Undecodable::Damaged)?;
        place.copy_from_slice(data);
    }
    // On an empty canvas both ways of laying one on the other are the same.
    debug_assert!(matches!(control.blend_op, BlendOp::Source | BlendOp::Over));
    Ok(canvas)
}
