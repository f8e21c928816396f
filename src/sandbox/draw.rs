//! Real pictures, cheaply: a smooth gradient and a few discs, the colours from the prompt, the seed and the index.
//!
//! A [`Sketch`] says everything about a picture, so the same sketch is the same file, byte for byte, and a picture
//! behind a link need not be kept: it is drawn when it is fetched. Whole rows are copied, no pixel is computed twice,
//! so that an unoptimised build draws quickly too. Nothing here tries to be art.

use std::ops::Range;

use bytes::Bytes;
use easel_encode::{Encoding, Pixels};
use fastrand::Rng;
use image::ImageResult;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::image::{Format, Size};
use crate::sandbox::error_response::ErrorResponse;

/// Spreads a small picture index over all bits of the seed.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a blurred picture is drawn smaller by.
const BLUR: u32 = 30;

/// Everything that makes one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sketch {
    /// What was asked for; decides the colours together with `seed` and `index`.
    pub prompt: String,
    /// The same seed draws the same picture.
    pub seed: u64,
    /// Which picture of its call.
    pub index: u32,
    /// Pixels.
    pub size: Size,
    /// File format.
    pub format: Format,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// Discs on a transparent ground; JPEG has none.
    pub transparent: bool,
    /// Without anything sharp, as if the content had been blurred away.
    pub blurred: bool,
    /// Black from edge to edge.
    pub blank: bool,
    /// The file ends at six tenths of its length.
    pub truncated: bool,
    /// Behind a link, the file never comes.
    pub hangs: bool,
    /// Draws noise until a PNG or WebP file has this many bytes.
    pub min_bytes: usize,
}

impl Sketch {
    /// A plain PNG.
    pub(super) fn new(prompt: &str, seed: u64, index: u32, size: Size) -> Sketch {
        Sketch {
            prompt: prompt.to_owned(),
            seed,
            index,
            size,
            format: Format::Png,
            quality: 85,
            transparent: false,
            blurred: false,
            blank: false,
            truncated: false,
            hangs: false,
            min_bytes: 0,
        }
    }

    /// The file. Takes milliseconds of a core: call it where that delays nobody.
    pub(super) fn file(&self) -> ImageResult<Bytes> {
        let canvas = if self.blurred { Canvas::paint_blurred(self) } else { Canvas::paint(self) };
        let Size { width, height } = self.size;
        let pixels = Pixels { bytes: &canvas.bytes, width, height, alpha: canvas.channels == 4 };
        let encoding = match self.format {
            Format::Png => Encoding::Png,
            Format::Jpeg => Encoding::Jpeg(self.quality),
            Format::Webp => Encoding::Webp,
        };
        let mut file = easel_encode::encode(pixels, encoding)?;
        if self.truncated {
            file.truncate(file.len() * 6 / 10);
        }
        Ok(Bytes::from(file))
    }
}

/// Draws every sketch on a thread for blocking work, in order.
pub(super) async fn draw_all(sketches: Vec<Sketch>) -> Result<Vec<Bytes>, ErrorResponse> {
    let drawing = tokio::task::spawn_blocking(move || sketches.iter().map(Sketch::file).collect::<Result<Vec<_>, _>>());
    match drawing.await {
        Ok(Ok(files)) => Ok(files),
        Ok(Err(_)) | Err(_) => Err(ErrorResponse::broken()),
    }
}

/// Raw pixels, row by row.
struct Canvas {
    bytes: Vec<u8>,
    channels: usize,
    width: usize,
    height: usize,
}

impl Canvas {
    fn paint(sketch: &Sketch) -> Canvas {
        let hash =
            xxh3_64_with_seed(sketch.prompt.as_bytes(), sketch.seed ^ u64::from(sketch.index).wrapping_mul(SPREAD));
        let mut rng = Rng::with_seed(hash);
        let transparent = sketch.transparent && sketch.format != Format::Jpeg;
        let mut canvas = Canvas {
            bytes: Vec::new(),
            channels: if transparent { 4 } else { 3 },
            width: sketch.size.width as usize,
            height: sketch.size.height as usize,
        };
        if sketch.blank {
            canvas.bytes = [0, 0, 0, u8::MAX][..canvas.channels].repeat(canvas.width * canvas.height);
            return canvas;
        }
        let (from, to) = (colour(&mut rng), colour(&mut rng));
        if transparent {
            canvas.bytes = vec![0; canvas.channels * canvas.width * canvas.height];
        } else {
            canvas.gradient(from, to);
        }
        for _ in 0..rng.usize(3..=6) {
            let tint = colour(&mut rng);
            canvas.disc(tint, &mut rng);
        }
        canvas.noise(sketch.min_bytes, &mut rng);
        canvas
    }

    /// The picture as it would be at a thirtieth of its size, enlarged: no edge is sharper than some twenty pixels.
    fn paint_blurred(sketch: &Sketch) -> Canvas {
        let Size { width, height } = sketch.size;
        let size = Size::new(width.div_ceil(BLUR).max(8), height.div_ceil(BLUR).max(8));
        let small = Canvas::paint(&Sketch { size, min_bytes: 0, ..sketch.clone() });
        let pixels = Pixels { bytes: &small.bytes, width: size.width, height: size.height, alpha: small.channels == 4 };
        let bytes = easel_encode::enlarge(pixels, width, height);
        Canvas { bytes, channels: small.channels, width: width as usize, height: height as usize }
    }

    /// Every row is the same long ramp, one pixel further on: a diagonal gradient for the price of one row.
    fn gradient(&mut self, from: [u8; 4], to: [u8; 4]) {
        let length = self.width + self.height;
        let mut ramp = Vec::with_capacity(length * self.channels);
        for at in 0..length {
            for channel in 0..self.channels {
                let (from, to) = (usize::from(from[channel]), usize::from(to[channel]));
                let mixed = (from * (length - at) + to * at) / length;
                ramp.push(u8::try_from(mixed).unwrap_or(u8::MAX));
            }
        }
        self.bytes.reserve_exact(self.width * self.height * self.channels);
        for y in 0..self.height {
            self.bytes.extend_from_slice(&ramp[y * self.channels..(y + self.width) * self.channels]);
        }
    }

    /// A disc somewhere, filled span by span.
    fn disc(&mut self, colour: [u8; 4], rng: &mut Rng) {
        let shorter = self.width.min(self.height);
        let radius = rng.usize(shorter / 12..=shorter / 4);
        let (middle_x, middle_y) = (rng.usize(0..self.width), rng.usize(0..self.height));
        let solid = colour[..self.channels].repeat(2 * radius + 1);
        for y in middle_y.saturating_sub(radius)..(middle_y + radius + 1).min(self.height) {
            let off = y.abs_diff(middle_y);
            let half = (radius * radius - off * off).isqrt();
            let span = middle_x.saturating_sub(half)..(middle_x + half + 1).min(self.width);
            let bytes = self.place(y, span);
            let length = bytes.len();
            self.bytes[bytes].copy_from_slice(&solid[..length]);
        }
    }

    /// Rows of noise from the bottom up: `wanted` bytes that no codec can make smaller, if there are as many.
    fn noise(&mut self, wanted: usize, rng: &mut Rng) {
        let row = self.width * self.channels;
        let rows = wanted.div_ceil(row).min(self.height);
        let bytes = self.place(self.height - rows, 0..0).start..self.bytes.len();
        rng.fill(&mut self.bytes[bytes]);
    }

    /// Where the pixels `span` of row `y` lie.
    fn place(&self, y: usize, span: Range<usize>) -> Range<usize> {
        let row = y * self.width;
        (row + span.start) * self.channels..(row + span.end) * self.channels
    }
}

/// A strong colour, opaque.
fn colour(rng: &mut Rng) -> [u8; 4] {
    [rng.u8(20..=235), rng.u8(20..=235), rng.u8(20..=235), 255]
}

#[cfg(test)]
mod tests {
    use image::GenericImageView;

    use super::*;
    use crate::image::{Encoded, Fault, Picture};

    fn sketch() -> Sketch {
        Sketch::new("a red bicycle", 7, 0, Size::new(160, 96))
    }

    #[test]
    fn a_blurred_picture_has_no_sharp_edge_and_a_blank_one_has_one_colour() {
        let look = |sketch: Sketch| image::load_from_memory(&sketch.file().unwrap()).unwrap().into_rgb8();
        let steepest = |sketch: Sketch| {
            let drawn = look(sketch);
            let step = |x: u32, y: u32| drawn.get_pixel(x, y).0[1].abs_diff(drawn.get_pixel(x + 1, y).0[1]);
            (0..95).flat_map(|y| (0..158).map(move |x| (x, y))).map(|(x, y)| step(x, y)).max()
        };
        assert!(steepest(sketch()) > Some(40) && steepest(Sketch { blurred: true, ..sketch() }) < Some(20));
        assert!(look(Sketch { blank: true, ..sketch() }).pixels().all(|pixel| pixel.0 == [0; 3]));
    }

    #[test]
    fn every_format_is_a_real_picture_of_the_size_asked() {
        for format in Format::ALL {
            let file = Sketch { format, ..sketch() }.file().unwrap();
            let picture = Picture::inspect(Encoded::Raw(file.clone())).unwrap();
            assert_eq!((picture.format, picture.size), (format, Size::new(160, 96)));
            assert_eq!(image::load_from_memory(&file).unwrap().dimensions(), (160, 96));
        }
    }

    #[test]
    fn the_same_sketch_is_the_same_file_and_any_change_another() {
        let file = |sketch: Sketch| sketch.file().unwrap();
        assert_eq!(file(sketch()), file(sketch()));
        assert_ne!(file(sketch()), file(Sketch { prompt: "a blue bicycle".to_owned(), ..sketch() }));
        assert_ne!(file(sketch()), file(Sketch { seed: 8, ..sketch() }));
        assert_ne!(file(sketch()), file(Sketch { index: 1, ..sketch() }));
    }

    #[test]
    fn a_transparent_picture_has_clear_and_covered_pixels() {
        let file = Sketch { transparent: true, ..sketch() }.file().unwrap();
        let alphas: Vec<u8> = image::load_from_memory(&file).unwrap().to_rgba8().pixels().map(|p| p.0[3]).collect();
        assert!(alphas.contains(&0) && alphas.contains(&255));
    }

    #[test]
    fn noise_makes_a_file_as_large_as_asked() {
        for format in [Format::Png, Format::Webp] {
            let small = Sketch { format, ..sketch() }.file().unwrap();
            let large = Sketch { format, min_bytes: 30_000, ..sketch() }.file().unwrap();
            assert!(small.len() < 30_000 && large.len() >= 30_000, "{format:?} {} {}", small.len(), large.len());
            assert!(image::load_from_memory(&large).is_ok());
        }
    }

    #[test]
    fn a_truncated_picture_is_seen_to_be_one() {
        let file = Sketch { truncated: true, ..sketch() }.file().unwrap();
        assert_eq!(Picture::inspect(Encoded::Raw(file)).err(), Some(Fault::Truncated));
    }

    #[test]
    fn a_picture_of_one_pixel_is_drawn_too() {
        assert!(Sketch { size: Size::new(1, 1), min_bytes: 99, ..sketch() }.file().is_ok());
    }
}
