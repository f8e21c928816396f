//! A picture in small, for people to look at.

use easel_pixels::{Backdrop, Decoded, Format, Surface, Thumbnail};

/// Pixels on each side, whatever the shape of the picture: about 8 KB of PNG.
const SIDE: usize = 64;

/// The picture in `file` as a small PNG, squeezed into a square and laid on white. `None` where it has more than `max_pixels`,
/// or does not decode.
pub fn of(file: &[u8], format: Format, max_pixels: u64) -> Option<Vec<u8>> {
    let decoded = Decoded::from_file(file, format, max_pixels).ok()?;
    let colors = Thumbnail::of(&Surface::new(&decoded, Backdrop::White)).rgb(SIDE);
    let mut small = Vec::new();
    let side = u32::try_from(SIDE).ok()?;
    let mut encoder = png::Encoder::new(&mut small, side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&colors).ok()?;
    Some(small)
}
