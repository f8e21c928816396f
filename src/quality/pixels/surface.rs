//! A decoded picture as it looks on a backdrop: its brightness in full, its colours in small.

use super::decoded::Decoded;

/// What a transparent picture lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backdrop {
    /// A white page.
    White,
    /// A black one.
    Black,
}

impl Backdrop {
    fn level(self) -> u8 {
        match self {
            Backdrop::White => 255,
            Backdrop::Black => 0,
        }
    }
}

/// A picture on a backdrop, row by row as stored. Brightness is Rec. 601 luma, 0 to 255.
#[derive(Clone, Debug)]
pub struct Surface<'a> {
    decoded: &'a Decoded,
    backdrop: Backdrop,
    luma: Vec<u8>,
}

/// Rec. 601 luma in 256ths.
fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue) + 128;
    (sum >> 8) as u8
}

/// A level of which `alpha` lies on `back`.
fn laid_on(level: u8, alpha: u8, back: u8) -> u8 {
    let sum = u32::from(level) * u32::from(alpha) + u32::from(back) * (255 - u32::from(alpha)) + 127;
    (sum / 255) as u8
}

impl<'a> Surface<'a> {
    /// A picture on a backdrop. What has no alpha looks the same on each.
    pub fn new(decoded: &'a Decoded, backdrop: Backdrop) -> Surface<'a> {
        let back = backdrop.level();
        let bytes = &decoded.bytes;
        let luma = match decoded.channels {
            1 => bytes.clone(),
            2 => bytes.as_chunks::<2>().0.iter().map(|[grey, alpha]| laid_on(*grey, *alpha, back)).collect(),
            3 => bytes.as_chunks::<3>().0.iter().map(|[red, green, blue]| luma(*red, *green, *blue)).collect(),
            _ => {
                let pixels = bytes.as_chunks::<4>().0.iter();
                pixels.map(|[red, green, blue, alpha]| laid_on(luma(*red, *green, *blue), *alpha, back)).collect()
            }
        };
        Surface { decoded, backdrop, luma }
    }

    /// Pixels across, as stored.
    pub fn width(&self) -> usize {
        self.decoded.width
    }

    /// Pixels down, as stored.
    pub fn height(&self) -> usize {
        self.decoded.height
    }

    /// The brightness of every pixel, row by row.
    pub fn luma(&self) -> &[u8] {
        &self.luma
    }

    /// One row of it.
    pub fn row(&self, y: usize) -> &[u8] {
        self.luma.get(y * self.width()..(y + 1) * self.width()).unwrap_or_default()
    }

    /// The mean colour of a rectangle, in 16ths of a level.
    pub(super) fn mean_color(&self, x: std::ops::Range<usize>, y: std::ops::Range<usize>) -> [u16; 3] {
        let mut cell = Cell::default();
        for row in y {
            self.add(row, x.clone(), &mut cell);
        }
        cell.color(self.backdrop.level())
    }

    /// Adds a part of a row to a cell.
    fn add(&self, y: usize, x: std::ops::Range<usize>, cell: &mut Cell) {
        let Decoded { width, channels, bytes, .. } = self.decoded;
        let start = y * width * channels;
        let part = bytes.get(start + x.start * channels..start + x.end * channels).unwrap_or_default();
        cell.pixels += x.len() as u64;
        match channels {
            1 => cell.add_opaque(part.iter().map(|grey| [*grey; 3])),
            3 => cell.add_opaque(part.as_chunks::<3>().0.iter().copied()),
            2 => cell.add_alpha(part.as_chunks::<2>().0.iter().map(|[grey, alpha]| ([*grey; 3], *alpha))),
            _ => cell.add_alpha(part.as_chunks::<4>().0.iter().map(|[r, g, b, alpha]| ([*r, *g, *b], *alpha))),
        }
    }
}

/// Sums over some pixels: each channel times its alpha, and the alpha.
#[derive(Clone, Copy, Default)]
struct Cell {
    color: [u64; 3],
    alpha: u64,
    pixels: u64,
}

impl Cell {
    fn add_opaque(&mut self, pixels: impl Iterator<Item = [u8; 3]>) {
        let (mut sum, mut count) = ([0_u32; 3], 0);
        for [red, green, blue] in pixels {
            // A part of a row has at most 65,535 pixels in JPEG, and a cell's part of one a hundredth of a longer row.
            sum[0] += u32::from(red);
            sum[1] += u32::from(green);
            sum[2] += u32::from(blue);
            count += 1;
        }
        for (all, part) in self.color.iter_mut().zip(sum) {
            *all += u64::from(part) * 255;
        }
        self.alpha += 255 * count;
    }

    fn add_alpha(&mut self, pixels: impl Iterator<Item = ([u8; 3], u8)>) {
        for (color, alpha) in pixels {
            for (all, level) in self.color.iter_mut().zip(color) {
                *all += u64::from(level) * u64::from(alpha);
            }
            self.alpha += u64::from(alpha);
        }
    }

    /// The mean colour on a backdrop, in 16ths of a level.
    fn color(&self, back: u8) -> [u16; 3] {
        let most = (255 * self.pixels).max(1);
        let behind = u64::from(back) * (most.saturating_sub(self.alpha));
        self.color.map(|sum| u16::try_from((sum + behind) * 16 / most).unwrap_or(255 * 16))
    }
}

/// A small copy of a surface, as shown: each cell is the mean of its pixels.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// Each colour in 16ths of a level, row by row.
    colors: Vec<[u16; 3]>,
    /// Whether most of each cell is visible.
    visible: Vec<bool>,
}

impl Thumbnail {
    /// Cells across and down, whatever the shape of the picture.
    pub const SIDE: usize = 128;

    /// The small copy of a surface.
    pub fn of(surface: &Surface<'_>) -> Thumbnail {
        const SIDE: usize = Thumbnail::SIDE;
        let (width, height) = (surface.width(), surface.height());
        let span = |cell: usize, side: usize| {
            let start = cell * side / SIDE;
            start..((cell + 1) * side / SIDE).max(start + 1)
        };
        let columns: Vec<_> = (0..SIDE).map(|cell| span(cell, width)).collect();
        let mut stored = Vec::with_capacity(SIDE * SIDE);
        for cell in 0..SIDE {
            let mut cells = [Cell::default(); SIDE];
            for y in span(cell, height) {
                for (cell, x) in cells.iter_mut().zip(&columns) {
                    surface.add(y, x.clone(), cell);
                }
            }
            stored.extend(cells);
        }
        let shown = (0..SIDE * SIDE).map(|at| {
            let (x, y) = surface.decoded.orientation.stored(at % SIDE, at / SIDE, SIDE);
            stored.get(y * SIDE + x).copied().unwrap_or_default()
        });
        let back = surface.backdrop.level();
        let (colors, visible) = shown.map(|cell| (cell.color(back), cell.alpha * 2 > 255 * cell.pixels)).unzip();
        Thumbnail { colors, visible }
    }

    /// The colours of the cells that can be seen on any backdrop, rounded.
    pub fn visible(&self) -> impl Iterator<Item = [u8; 3]> {
        let seen = self.colors.iter().zip(&self.visible).filter(|(_, visible)| **visible);
        seen.map(|(color, _)| color.map(|level| u8::try_from((level + 8) / 16).unwrap_or(255)))
    }

    /// A square picture of `side` by `side` pixels, three bytes each. No larger than [`Thumbnail::SIDE`].
    pub fn rgb(&self, side: usize) -> Vec<u8> {
        let cells = self.smaller(side.clamp(1, Thumbnail::SIDE));
        cells.into_iter().flatten().map(|level| u8::try_from((level + 8) / 16).unwrap_or(255)).collect()
    }

    /// The mean colours of a square of `side` by `side` cells, in 16ths of a level.
    pub(super) fn smaller(&self, side: usize) -> Vec<[u16; 3]> {
        const SIDE: usize = Thumbnail::SIDE;
        let mut sums = vec![[0_u32; 4]; side * side];
        for (at, color) in self.colors.iter().enumerate() {
            let (x, y) = (at % SIDE * side / SIDE, at / SIDE * side / SIDE);
            if let Some([red, green, blue, count]) = sums.get_mut(y * side + x) {
                *red += u32::from(color[0]);
                *green += u32::from(color[1]);
                *blue += u32::from(color[2]);
                *count += 1;
            }
        }
        let mean = |sum: u32, count: u32| u16::try_from(sum / count.max(1)).unwrap_or(u16::MAX);
        sums.iter().map(|[r, g, b, n]| [mean(*r, *n), mean(*g, *n), mean(*b, *n)]).collect()
    }

    /// The brightness of the same, in 16ths of a level.
    pub(super) fn smaller_luma(&self, side: usize) -> Vec<i32> {
        let luma = |[r, g, b]: [u16; 3]| (77 * i32::from(r) + 150 * i32::from(g) + 29 * i32::from(b) + 128) >> 8;
        self.smaller(side).into_iter().map(luma).collect()
    }

    /// How many levels the cells' colours lie apart besides their brightness: red to green and blue to green, whichever is
    /// more, without the one of 2,000 cells at either end.
    pub fn chroma_spread(&self) -> u8 {
        let spread = |channel: usize| {
            let mut levels: Vec<i32> =
                self.colors.iter().map(|color| i32::from(color[channel]) - i32::from(color[1])).collect();
            levels.sort_unstable();
            let left_out = levels.len() / 2_000;
            levels[levels.len() - 1 - left_out] - levels[left_out]
        };
        u8::try_from(spread(0).max(spread(2)) / 16).unwrap_or(255)
    }
}
