//! How sharp the sharpest part of a picture is.
//!
//! Laplacian variance alone says how much contrast a picture has as well: a foggy valley in focus has less of it than a
//! blurred neon sign. At an edge that a Gaussian of deviation s has softened, the energy of the second derivative over that
//! of the first is 1 / 2s², whatever the contrast. That ratio is taken over the pixels where there is an edge at all.

use super::surface::{Surface, Thumbnail};

/// How sharp a picture is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharpness {
    /// Energy of the Laplacian over that of the gradient at the edges in the sharpest of 8 by 8 tiles: 4 is an edge of one
    /// pixel, 0.5 one that is softened by a pixel, 0.03 by four. 0 where there is no edge.
    pub edges: f64,
    /// Variance of the Laplacian in the most lively tile of a copy of 64 by 64 pixels. A picture that never had edges, as a
    /// smooth gradient, has next to nothing there, and one that lost them still has its shapes.
    pub structure: f64,
}

/// Tiles across and down.
const TILES: usize = 8;
/// The shorter side from which on a picture is measured at half its size, and so on: an edge of a large picture may be
/// softer. Vendors enlarge what they draw, so that a pixel is not the measure of what was drawn.
const WORKING_SIDE: usize = 512;
/// The least step between the two neighbours of a pixel that counts as an edge. JPEG's noise in smooth parts is below it.
const EDGE: i32 = 12;
/// Pixels with an edge that a tile must have to be measured: a stroke of a few letters has more.
const EDGE_PIXELS: u64 = 24;

/// Measures it.
pub fn sharpness(surface: &Surface<'_>, thumbnail: &Thumbnail) -> Sharpness {
    let factor = (surface.width().min(surface.height()) / WORKING_SIDE).max(1);
    let edges = if factor == 1 {
        sharpest(surface.luma(), surface.width())
    } else {
        let (small, width) = smaller(surface, factor);
        sharpest(&small, width)
    };
    Sharpness { edges, structure: structure(&thumbnail.smaller_luma(STRUCTURE_SIDE)) }
}

/// The brightness at a whole fraction of the size: each pixel is the mean of a square.
fn smaller(surface: &Surface<'_>, factor: usize) -> (Vec<u8>, usize) {
    let (width, height) = (surface.width() / factor, surface.height() / factor);
    let mut small = Vec::with_capacity(width * height);
    let mut sums = vec![0_u32; width];
    let pixels = (factor * factor) as u32;
    for y in 0..height {
        sums.fill(0);
        for row in (y * factor..(y + 1) * factor).map(|y| surface.row(y)) {
            if factor == 2 {
                for (sum, [a, b]) in sums.iter_mut().zip(row.as_chunks::<2>().0) {
                    *sum += u32::from(*a) + u32::from(*b);
                }
            } else {
                for (sum, part) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                    *sum += part.iter().map(|level| u32::from(*level)).sum::<u32>();
                }
            }
        }
        small.extend(sums.iter().map(|sum| ((sum + pixels / 2) / pixels) as u8));
    }
    (small, width)
}

/// Energies of a part of a row at its edges: pixels, gradient, Laplacian.
#[derive(Clone, Copy, Default)]
struct Energy {
    pixels: u64,
    gradient: u64,
    laplacian: u64,
}

fn sharpest(luma: &[u8], width: usize) -> f64 {
    let height = luma.len() / width.max(1);
    if width < 3 || height < 3 {
        return 0.0;
    }
    let mut ratio = 0.0_f64;
    for row in 0..TILES {
        let mut tiles = [Energy::default(); TILES];
        let (from, to) = (row * height / TILES, (row + 1) * height / TILES);
        for y in from.max(1)..to.min(height - 1) {
            let [above, here, below] = [y - 1, y, y + 1].map(|y| &luma[y * width..(y + 1) * width]);
            for (column, tile) in tiles.iter_mut().enumerate() {
                let (from, to) = ((column * width / TILES).max(1), ((column + 1) * width / TILES).min(width - 1));
                if from < to {
                    add_edges(tile, &above[from..to], &here[from - 1..to + 1], &below[from..to]);
                }
            }
        }
        for tile in tiles.iter().filter(|tile| tile.pixels >= EDGE_PIXELS) {
            ratio = ratio.max(tile.laplacian as f64 / tile.gradient.max(1) as f64);
        }
    }
    ratio
}

/// Adds the edges of a part of a row. `here` has a pixel more at either end.
fn add_edges(energy: &mut Energy, above: &[u8], here: &[u8], below: &[u8]) {
    let (left, middle, right) = (&here[..above.len()], &here[1..=above.len()], &here[2..above.len() + 2]);
    // A few thousand pixels are added up in 32 bits: each has at most 4 * 255 squared.
    for at in (0..above.len()).step_by(2048) {
        let (mut pixels, mut gradient, mut laplacian) = (0_u32, 0_u32, 0_u32);
        let end = (at + 2048).min(above.len());
        let rows =
            above[at..end].iter().zip(&below[at..end]).zip(&left[at..end]).zip(&right[at..end]).zip(&middle[at..end]);
        for ((((up, down), left), right), here) in rows {
            let [up, down, left, right, here] = [*up, *down, *left, *right, *here].map(i32::from);
            let (across, along) = (right - left, down - up);
            let step = across * across + along * along;
            let second = 4 * here - up - down - left - right;
            let edge = u32::from(step >= EDGE * EDGE);
            pixels += edge;
            gradient += edge * step as u32;
            laplacian += edge * (second * second) as u32;
        }
        energy.pixels += u64::from(pixels);
        // The difference of the two neighbours is twice the derivative.
        energy.gradient += u64::from(gradient / 4);
        energy.laplacian += u64::from(laplacian);
    }
}

/// Cells across and down of the copy that shapes are looked for in.
const STRUCTURE_SIDE: usize = 64;

/// Variance of the Laplacian in the most lively tile of a small copy in 16ths of a level.
fn structure(luma: &[i32]) -> f64 {
    const SIDE: usize = STRUCTURE_SIDE;
    const CELLS: usize = SIDE / TILES;
    let mut energy = [0_i64; TILES * TILES];
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let at = y * SIDE + x;
            let second = 4 * luma[at] - luma[at - 1] - luma[at + 1] - luma[at - SIDE] - luma[at + SIDE];
            energy[y / CELLS * TILES + x / CELLS] += i64::from(second) * i64::from(second);
        }
    }
    energy.iter().max().map_or(0.0, |most| *most as f64 / (CELLS * CELLS * 256) as f64)
}
