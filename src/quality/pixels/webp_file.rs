//! WebP, and the first frame of an animated one.

use std::io::Cursor;
use std::ops::Range;

use image_webp::WebPDecoder;

use super::exif::Orientation;
use super::frame::{Frame, Undecodable};

/// What the container says: where its parts are, and how large its pictures.
#[derive(Debug, Default)]
struct Container {
    /// The canvas, or the only picture.
    sides: (u32, u32),
    /// Pixels of the largest picture that lies in it.
    largest: u64,
    exif: Option<Range<usize>>,
    profile: Option<Range<usize>>,
}

/// A chunk of a RIFF file: its name, and where its data are.
struct Chunk<'a> {
    name: &'a [u8; 4],
    data: Range<usize>,
}

/// The chunks from `at` to `end`. One whose data go on beyond it is an error: the decoder would begin with it, and allocate
/// what it says of itself, unseen by us.
fn chunks(file: &[u8], at: usize, end: usize) -> impl Iterator<Item = Result<Chunk<'_>, Undecodable>> {
    let mut at = at;
    let part = file.get(..end).unwrap_or(file);
    std::iter::from_fn(move || {
        let name = part.get(at..at + 4)?.first_chunk::<4>()?;
        let length = u32::from_le_bytes(*part.get(at + 4..at + 8)?.first_chunk::<4>()?) as usize;
        let data = at + 8..(at + 8).saturating_add(length);
        if data.end > end {
            at = usize::MAX - 8;
            return Some(Err(Undecodable::Header));
        }
        at = data.end + length % 2;
        Some(Ok(Chunk { name, data }))
    })
}

impl Container {
    fn read(file: &[u8]) -> Result<Container, Undecodable> {
        if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WEBP") {
            return Err(Undecodable::Header);
        }
        let mut container = Container::default();
        for (nth, chunk) in chunks(file, 12, file.len()).enumerate() {
            let chunk = chunk?;
            let data = file.get(chunk.data.clone()).unwrap_or_default();
            let sides = match chunk.name {
                b"VP8X" => canvas(data),
                b"VP8 " => lossy(data),
                b"VP8L" => lossless(data),
                b"ANMF" => {
                    // A frame's own header has 16 bytes, and the picture follows.
                    container.note_pictures(file, chunk.data.start + 16, chunk.data.end)?;
                    None
                }
                b"EXIF" => {
                    container.exif.get_or_insert(chunk.data);
                    None
                }
                b"ICCP" => {
                    container.profile.get_or_insert(chunk.data);
                    None
                }
                _ => None,
            };
            if let Some((width, height)) = sides {
                container.largest = container.largest.max(u64::from(width) * u64::from(height));
                if nth == 0 {
                    container.sides = (width, height);
                }
            }
        }
        if container.sides == (0, 0) { Err(Undecodable::Header) } else { Ok(container) }
    }

    fn note_pictures(&mut self, file: &[u8], from: usize, to: usize) -> Result<(), Undecodable> {
        for chunk in chunks(file, from, to) {
            let chunk = chunk?;
            let data = file.get(chunk.data.clone()).unwrap_or_default();
            let sides = match chunk.name {
                b"VP8 " => lossy(data),
                b"VP8L" => lossless(data),
                _ => None,
            };
            let (width, height) = sides.unwrap_or_default();
            self.largest = self.largest.max(u64::from(width) * u64::from(height));
        }
        Ok(())
    }
}

/// The sides in the header of a canvas: 24 bits each, less one.
fn canvas(data: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_le_bytes([*data.get(at)?, *data.get(at + 1)?, *data.get(at + 2)?, 0]) + 1);
    Some((side(4)?, side(7)?))
}

/// Those in the header of a lossy picture: 14 bits each, after a mark.
fn lossy(data: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from(u16::from_le_bytes([*data.get(at)?, *data.get(at + 1)?]) & 0x3fff));
    if data.get(3..6) != Some(&[0x9d, 0x01, 0x2a]) {
        return None;
    }
    Some((side(6)?, side(8)?))
}

/// Those in the header of a lossless one: 14 bits each, less one.
fn lossless(data: &[u8]) -> Option<(u32, u32)> {
    let bits = u32::from_le_bytes(*data.get(1..5)?.first_chunk::<4>()?);
    (data.first() == Some(&0x2f)).then_some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
}

pub(super) fn header(file: &[u8]) -> Result<((u32, u32), Orientation), Undecodable> {
    let container = Container::read(file)?;
    let exif = container.exif.and_then(|data| file.get(data));
    Ok((container.sides, exif.map(Orientation::from_exif).unwrap_or_default()))
}

pub(super) fn decode(file: &[u8], max_pixels: u64) -> Result<Frame, Undecodable> {
    let container = Container::read(file)?;
    let (sides, orientation) = header(file)?;
    // The decoder allocates what a picture in the container says of itself, whatever the canvas says.
    if container.largest > max_pixels {
        return Err(Undecodable::Damaged);
    }
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(|_| Undecodable::Damaged)?;
    decoder.set_memory_limit(file.len());
    if decoder.dimensions() != sides {
        return Err(Undecodable::Damaged);
    }
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut bytes = vec![0; decoder.output_buffer_size().ok_or(Undecodable::Damaged)?];
    decoder.read_image(&mut bytes).map_err(|_| Undecodable::Damaged)?;
    let profile = container.profile.and_then(|data| file.get(data)).map(<[u8]>::to_vec);
    Ok(Frame { sides, channels, bytes, orientation, profile })
}
