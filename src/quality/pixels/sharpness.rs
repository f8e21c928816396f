//! How sharp the sharpest part of a picture is.
//!
//! Laplacian variance alone says how much contrast a picture has as well: a foggy valley in focus has less of it than a
//! blurred neon sign. At an edge that a Gaussian of deviation s has softened, the energy of the second derivative over that
//! of the first depends on s alone, whatever the contrast. Each pixel counts by the square of its gradient, so that what a
//! codec leaves beside an edge weighs nothing against the edge; then the ratio is 1 / 4s².

use super::surface::{Surface, Thumbnail};

/// How sharp a picture is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharpness {
    /// Energy of the Laplacian over that of the gradient at the edges in the sharpest of 8 by 8 tiles: 4 is an edge of one
    /// pixel, 0.25 one that is softened by a pixel, 0.016 by four. 0 where there is no edge.
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
/// The same of a picture that has none of those, as hills in fog.
const FAINT_EDGE: i32 = 8;
/// Pixels with an edge that a tile must have to be measured, so that it tells of more than a codec's noise: a stroke of a
/// few letters has more.
const EDGE_PIXELS: u64 = 64;
/// The same of a picture with no such tile, as a small logo on the border of four of them.
const FEW_PIXELS: u64 = 16;
/// The part of the strongest tile's gradients that another tile must have to be measured: what JPEG leaves beside faint
/// shapes is sharp, too.
const FAINT: f64 = 0.0005;

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

/// Energies of a part of a row at its edges, each pixel weighed by its gradient: pixels, gradient, Laplacian.
#[derive(Clone, Copy, Default)]
struct Energy {
    pixels: u64,
    gradient: f64,
    laplacian: f64,
}

/// Of a picture with no clear edge, the faint ones are looked at.
fn sharpest(luma: &[u8], width: usize) -> f64 {
    let tries = [(EDGE, EDGE_PIXELS), (EDGE, FEW_PIXELS), (FAINT_EDGE, EDGE_PIXELS)];
    tries.into_iter().find_map(|(edge, pixels)| sharpest_by(luma, width, edge, pixels)).unwrap_or(0.0)
}

/// Energy of the sharpest tile, by what counts as an edge; `None` where no tile has any.
fn sharpest_by(luma: &[u8], width: usize, edge: i32, pixels: u64) -> Option<f64> {
    let height = luma.len() / width.max(1);
    if width < 3 || height < 3 {
        return None;
    }
    let mut tiles = [Energy::default(); TILES * TILES];
    for (row, tiles) in tiles.chunks_exact_mut(TILES).enumerate() {
        let (from, to) = (row * height / TILES, (row + 1) * height / TILES);
        for y in from.max(1)..to.min(height - 1) {
            let [above, here, below] = [y - 1, y, y + 1].map(|y| &luma[y * width..(y + 1) * width]);
            for (column, tile) in tiles.iter_mut().enumerate() {
                let (from, to) = ((column * width / TILES).max(1), ((column + 1) * width / TILES).min(width - 1));
                if from < to {
                    add_edges(tile, edge, [&above[from..to], &here[from - 1..to + 1], &below[from..to]]);
                }
            }
        }
    }
    let tiles = || tiles.iter().filter(|tile| tile.pixels >= pixels);
    let strongest = tiles().map(|tile| tile.gradient).fold(0.0, f64::max);
    let clear = tiles().filter(|tile| tile.gradient >= strongest * FAINT);
    clear.map(|tile| tile.laplacian / tile.gradient).reduce(f64::max)
}

/// Adds the edges of a part of a row. `here` has a pixel more at either end.
fn add_edges(energy: &mut Energy, edge: i32, [above, here, below]: [&[u8]; 3]) {
    let (left, middle, right) = (&here[..above.len()], &here[1..=above.len()], &here[2..above.len() + 2]);
    let (mut pixels, mut gradient, mut laplacian) = (0_u32, 0.0_f32, 0.0_f32);
    for ((((up, down), left), right), here) in above.iter().zip(below).zip(left).zip(right).zip(middle) {
        let [up, down, left, right, here] = [*up, *down, *left, *right, *here].map(i32::from);
        let (across, along) = (right - left, down - up);
        // The difference of the two neighbours is twice the derivative.
        let step = across * across + along * along;
        let second = 4 * here - up - down - left - right;
        let is_edge = i32::from(step >= edge * edge);
        pixels += is_edge as u32;
        let weight = (is_edge * step) as f32;
        gradient += weight * step as f32;
        laplacian += weight * (second * second) as f32;
    }
    energy.pixels += u64::from(pixels);
    energy.gradient += f64::from(gradient) / 4.0;
    energy.laplacian += f64::from(laplacian);
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
