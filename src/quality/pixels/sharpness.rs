//! How sharp the sharpest part of a picture is.
//!
//! Laplacian variance alone says how much contrast a picture has as well: a foggy valley in focus has less of it than a
//! blurred neon sign. At an edge that a Gaussian of deviation s has softened, the energy of the second derivative over that
//! of the first depends on s alone, whatever the contrast. Each pixel counts by the square of its gradient, so that what a
//! codec leaves beside an edge weighs nothing against the edge; then the ratio is 1 / 4s².
//!
//! Steps at the borders of JPEG's blocks are sharp, too, and nobody drew them: there only a step counts that is higher than
//! what a codec leaves. A picture without any edge that stands out from a codec's noise is measured in a small copy, whose
//! pixels are means of many.

use super::surface::{Surface, Thumbnail};

/// How sharp a picture is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharpness {
    /// Energy of the Laplacian over that of the gradient at the edges in the sharpest of 8 by 8 tiles: 4 is an edge of one
    /// pixel, 0.25 one that is softened by a pixel, 0.016 by four. A picture whose small copy is sharp through and through has
    /// more; where no edge stands out from a codec's noise, it is that of the softest copy. `None` where nothing has an edge.
    pub edges: Option<f64>,
    /// Variance of the Laplacian in the most lively tile of a copy of 64 by 64 pixels over the variance of the copy's
    /// brightness. A picture that never had edges, as a smooth gradient, has next to nothing there, and one that lost them
    /// still has its shapes. Where edges stand out, it counts twice: a gradient has none of those either.
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
/// Pixels across and down a block of JPEG.
const BLOCK: usize = 8;
/// The least step that counts as an edge beside the border of two blocks. With a quality of 75, soft parts have steps of
/// half as much there.
const BORDER_EDGE: i32 = 32;
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
    let shapes = thumbnail.smaller_luma(STRUCTURE_SIDE);
    let clear = if edges.is_some() { CLEAR } else { 1.0 };
    let structure = clear * liveliest(&shapes) / variance(&shapes).max(LEAST_VARIANCE);
    let copy = all_edges(&thumbnail.smaller_luma(COPY_SIDE), COPY_SIDE);
    let edges = match edges {
        Some(edges) => Some(copy.map_or(edges, |copy| edges.max(copy * COPY_PART))),
        None => [fine_edges(surface), copy].into_iter().flatten().reduce(f64::min).map(|edges| edges * FAINT_PART),
    };
    Sharpness { edges, structure }
}

/// The brightness at a whole fraction of the size: each pixel is the mean of a square.
fn smaller(surface: &Surface<'_>, factor: usize) -> (Vec<u8>, usize) {
    let pixels = (factor * factor) as u32;
    let (sums, width) = box_sums(surface, factor);
    (sums.into_iter().map(|sum| ((sum + pixels / 2) / pixels) as u8).collect(), width)
}

/// The sums of boxes of so many pixels across and down, and how many boxes are in a row.
fn box_sums(surface: &Surface<'_>, factor: usize) -> (Vec<u32>, usize) {
    let (width, height) = (surface.width() / factor, surface.height() / factor);
    let mut small = Vec::with_capacity(width * height);
    let mut sums = vec![0_u32; width];
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
        small.extend_from_slice(&sums);
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
fn sharpest(luma: &[u8], width: usize) -> Option<f64> {
    let tries = [(EDGE, EDGE_PIXELS), (EDGE, FEW_PIXELS), (FAINT_EDGE, EDGE_PIXELS)];
    tries.into_iter().find_map(|(edge, pixels)| sharpest_by(luma, width, edge, pixels))
}

/// Energy of the sharpest tile, by what counts as an edge; `None` where no tile has any.
fn sharpest_by(luma: &[u8], width: usize, edge: i32, pixels: u64) -> Option<f64> {
    let height = luma.len() / width.max(1);
    if width < 3 || height < 3 {
        return None;
    }
    let least = LeastSteps::new(width, edge);
    let mut tiles = [Energy::default(); TILES * TILES];
    for (row, tiles) in tiles.chunks_exact_mut(TILES).enumerate() {
        let (from, to) = (row * height / TILES, (row + 1) * height / TILES);
        for y in from.max(1)..to.min(height - 1) {
            let [above, here, below] = [y - 1, y, y + 1].map(|y| &luma[y * width..(y + 1) * width]);
            let least = least.of_row(y);
            for (column, tile) in tiles.iter_mut().enumerate() {
                let (from, to) = ((column * width / TILES).max(1), ((column + 1) * width / TILES).min(width - 1));
                if from < to {
                    add_edges(tile, &least[from..to], [&above[from..to], &here[from - 1..to + 1], &below[from..to]]);
                }
            }
        }
    }
    let tiles = || tiles.iter().filter(|tile| tile.pixels >= pixels);
    let strongest = tiles().map(|tile| tile.gradient).fold(0.0, f64::max);
    let clear = tiles().filter(|tile| tile.gradient >= strongest * FAINT);
    clear.map(|tile| tile.laplacian / tile.gradient).reduce(f64::max)
}

/// The square of the step that a pixel must have to count as an edge, for each column.
struct LeastSteps {
    within_blocks: Vec<i32>,
    at_border: Vec<i32>,
}

impl LeastSteps {
    fn new(width: usize, edge: i32) -> LeastSteps {
        let at_border = edge.max(BORDER_EDGE);
        let of_column = |x| if is_at_border(x) { at_border * at_border } else { edge * edge };
        LeastSteps { within_blocks: (0..width).map(of_column).collect(), at_border: vec![at_border * at_border; width] }
    }

    fn of_row(&self, y: usize) -> &[i32] {
        if is_at_border(y) { &self.at_border } else { &self.within_blocks }
    }
}

/// Whether a row or column is the first or the last of a block, in a picture that was not cut since. A picture that is measured at half its size has blocks of
/// half as many pixels; of those every second border is one of the colours' blocks, which are twice as large and show most.
fn is_at_border(at: usize) -> bool {
    matches!(at % BLOCK, 0 | 7)
}

/// Adds the edges of a part of a row. `here` has a pixel more at either end.
fn add_edges(energy: &mut Energy, least: &[i32], [above, here, below]: [&[u8]; 3]) {
    let (left, middle, right) = (&here[..above.len()], &here[1..=above.len()], &here[2..above.len() + 2]);
    let (mut pixels, mut gradient, mut laplacian) = (0_u32, 0.0_f32, 0.0_f32);
    let pixels_of_row = above.iter().zip(below).zip(left).zip(right).zip(middle).zip(least);
    for (((((up, down), left), right), here), least) in pixels_of_row {
        let [up, down, left, right, here] = [*up, *down, *left, *right, *here].map(i32::from);
        let (across, along) = (right - left, down - up);
        // The difference of the two neighbours is twice the derivative.
        let step = across * across + along * along;
        let second = 4 * here - up - down - left - right;
        let is_edge = i32::from(step >= *least);
        pixels += is_edge as u32;
        let weight = (is_edge * step) as f32;
        gradient += weight * step as f32;
        laplacian += weight * (second * second) as f32;
    }
    energy.pixels += u64::from(pixels);
    energy.gradient += f64::from(gradient) / 4.0;
    energy.laplacian += f64::from(laplacian);
}

/// Cells across and down of the copy that is measured as a whole: of 512 pixels each is the mean of 16.
const COPY_SIDE: usize = Thumbnail::SIDE;
/// The least steps in 16ths of a level that count as an edge of a copy. What JPEG leaves in soft parts is one level and
/// seldom two; what is below a level is rounding. The lower ones are for a copy that has no higher steps.
const COPY_EDGES: [i32; 3] = [4 * 16, 2 * 16, 16];
/// Cells with an edge that a copy must have to be measured by such steps.
const COPY_CELLS: u32 = 64;

/// What a copy's sharpness counts for in a picture with edges. Pictures with faint grain everywhere have copies of 2.1 and more,
/// softened ones of up to 1.8.
const COPY_PART: f64 = 0.225;
/// What the softest copy's sharpness counts for in a picture without. Softness in faint detail is lost in a coarse copy, and what
/// a codec adds to faint shapes is lost in it, too, so that each copy misses some. But for gradients, good ones have 1.3 and more.
const FAINT_PART: f64 = 0.65;
/// The shorter side of the finest copy.
const FINE_SIDE: usize = 256;

/// Energy of all edges of the finest copy.
fn fine_edges(surface: &Surface<'_>) -> Option<f64> {
    let factor = (surface.width().min(surface.height()) / FINE_SIDE).max(1);
    let (sums, width) = box_sums(surface, factor);
    let luma: Vec<i32> = sums.into_iter().map(|sum| (sum * 16 / (factor * factor) as u32).cast_signed()).collect();
    all_edges(&luma, width)
}

/// Energy of all the edges of a copy, the brightness in 16ths of a level.
fn all_edges(luma: &[i32], width: usize) -> Option<f64> {
    COPY_EDGES.into_iter().find_map(|edge| all_edges_by(luma, width, edge))
}

fn all_edges_by(luma: &[i32], width: usize, edge: i32) -> Option<f64> {
    let height = luma.len() / width.max(1);
    let (mut cells, mut gradient, mut laplacian) = (0, 0.0, 0.0);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let at = y * width + x;
            let [left, right, up, down] = [luma[at - 1], luma[at + 1], luma[at - width], luma[at + width]];
            let (across, along) = (right - left, down - up);
            let step = across * across + along * along;
            if step >= edge * edge {
                let (step, second) = (f64::from(step), f64::from(4 * luma[at] - left - right - up - down));
                cells += 1;
                gradient += step * step / 4.0;
                laplacian += step * second * second;
            }
        }
    }
    (cells >= COPY_CELLS).then(|| laplacian / gradient)
}

/// How much more shapes count where edges stand out.
const CLEAR: f64 = 2.0;

/// Cells across and down of the copy that shapes are looked for in.
const STRUCTURE_SIDE: usize = 64;

/// Variance of the Laplacian in the most lively tile of a small copy in 16ths of a level.
fn liveliest(luma: &[i32]) -> f64 {
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

/// Variance below which a copy is of one brightness: a tenth of a level of deviation.
const LEAST_VARIANCE: f64 = 0.01;

/// Variance of a brightness in 16ths of a level.
fn variance(luma: &[i32]) -> f64 {
    let count = luma.len().max(1) as f64;
    let mean = luma.iter().map(|level| f64::from(*level)).sum::<f64>() / count;
    let squares = luma.iter().map(|level| (f64::from(*level) - mean).powi(2)).sum::<f64>();
    squares / count / 256.0
}
