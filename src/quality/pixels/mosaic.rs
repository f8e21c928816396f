//! Large blocks of one colour each: what a censored or half-decoded picture looks like.

use std::ops::Range;

use super::surface::Surface;

/// Blocks that a picture may be made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mosaic {
    /// Steps at the edges of the blocks over steps elsewhere, both added up, across or down, whichever is less. At most
    /// [`Mosaic::MOST`].
    pub step: f64,
    /// Pixels across and down a block.
    pub block: u32,
    /// Whole blocks.
    pub blocks: u32,
    /// How many of a thousand blocks are of one brightness.
    pub flat: u32,
    /// How many colours the blocks have, as far as they are counted.
    pub colors: u32,
    /// Of a thousand pairs of neighbours that are not alike, how many are nearly.
    pub near: u32,
}

impl Mosaic {
    /// Where there is no step but at the edges of blocks.
    pub const MOST: f64 = 1000.0;

    /// Whether the blocks are what they seem: a row of windows or tiles has edges at even distances too, and something in
    /// between.
    pub fn is_flat(&self) -> bool {
        self.flat >= FLAT
    }

    /// Whether a few clearly different colours stand in many blocks, as in pixel art, a chessboard or a chart: somebody drew
    /// that. In a mosaic of a photograph each block has a colour of its own, and many are a little lighter than the next.
    pub fn is_drawn(&self) -> bool {
        self.colors < COLORS && self.colors * 3 < self.blocks && self.near < NEARLY
    }
}

/// Sides of blocks that are looked for: JPEG's own blocks are of 8, and show in gradients; of larger ones than these a
/// picture has too few.
const BLOCKS: Range<usize> = 12..137;
/// Blocks across and down that there must be.
const LEAST: usize = 3;
/// Of a thousand blocks, how many must be flat. Blocks that a later cut or enlargement has moved off the grid are not.
const FLAT: u32 = 900;
/// Mean distance from the mean in a flat block, in levels: JPEG's ringing at edges that lie across its own blocks is below it.
const RIPPLE: u64 = 3;
/// Colours that are counted; somebody who draws with blocks takes fewer.
const COLORS: u32 = 48;
/// Of a thousand pairs that differ, how many differ by little at most where somebody drew.
const NEARLY: u32 = 60;
/// How little two blocks of one colour differ, in 16ths of a level: codecs move the mean of a block by less.
const EQUAL: u16 = 16;
/// How little two of nearly one colour do.
const NEAR: u16 = 12 * 16;
/// Steps elsewhere that are rounding, in 64ths of a level, for each place.
const ROUNDING: f64 = 1.0;

/// Measures it.
pub fn mosaic(surface: &Surface<'_>) -> Mosaic {
    let (across, down) = steps(surface);
    let grids: Vec<Grid> = BLOCKS.filter_map(|block| Grid::of(&across, &down, block)).collect();
    let most = grids.iter().map(|grid| grid.share).fold(0.0, f64::max);
    // A grid of 32 is one of 16 as well, with nothing at every other edge: the coarsest that has all the steps is the one.
    let Some(grid) = grids.into_iter().rev().find(|grid| grid.share >= most * 0.97) else { return Mosaic::default() };
    let found = Mosaic { step: grid.step, block: u32::try_from(grid.block).unwrap_or(0), ..Mosaic::default() };
    // Colours are looked at where there are blocks at all.
    if grid.step >= 1.0 { count_colors(found, surface, &grid) } else { found }
}

/// Edges at every so many pixels, across and down.
struct Grid {
    block: usize,
    /// Where the first edge is, across and down.
    phase: [usize; 2],
    /// The share of all steps that is at its edges, across or down, whichever is less.
    share: f64,
    /// The same as a ratio, without what is rounding.
    step: f64,
}

impl Grid {
    fn of(across: &[u32], down: &[u32], block: usize) -> Option<Grid> {
        let (x, share_x, step_x) = comb(across, block)?;
        let (y, share_y, step_y) = comb(down, block)?;
        Some(Grid { block, phase: [x, y], share: share_x.min(share_y), step: step_x.min(step_y) })
    }
}

/// The mean step from each column to the next, and from each row to the next, in 64ths of a level.
fn steps(surface: &Surface<'_>) -> (Vec<u32>, Vec<u32>) {
    let (width, height) = (surface.width(), surface.height());
    let mut across = vec![0_u64; width.saturating_sub(1)];
    let mut part = vec![0_u16; width.saturating_sub(1)];
    let mut down = Vec::with_capacity(height);
    for y in 0..height {
        let row = surface.row(y);
        for (sum, (a, b)) in part.iter_mut().zip(row.iter().zip(row.iter().skip(1))) {
            *sum += u16::from(a.abs_diff(*b));
        }
        // 256 rows of at most 255 fit into 16 bits.
        if y % 256 == 255 || y + 1 == height {
            for (all, sum) in across.iter_mut().zip(&mut part) {
                *all += u64::from(std::mem::take(sum));
            }
        }
        if y + 1 < height {
            let next = surface.row(y + 1);
            let sum: u64 = row.chunks(4096).zip(next.chunks(4096)).map(|(a, b)| u64::from(step_of(a, b))).sum();
            down.push((sum * 64 / width.max(1) as u64) as u32);
        }
    }
    let across = across.into_iter().map(|sum| (sum * 64 / height.max(1) as u64) as u32).collect();
    (across, down)
}

fn step_of(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

/// Where the edges of blocks of this size would be, what share of all steps is there, and how much more than elsewhere.
fn comb(steps: &[u32], block: usize) -> Option<(usize, f64, f64)> {
    if steps.len() + 1 < block * LEAST {
        return None;
    }
    let all = steps.iter().map(|step| f64::from(*step)).sum::<f64>();
    let teeth = |phase: usize| steps.iter().skip(phase).step_by(block).map(|step| f64::from(*step)).sum::<f64>();
    let sums = (0..block).map(|phase| (phase, teeth(phase)));
    let (phase, at_edges) = sums.max_by(|one, other| one.1.total_cmp(&other.1))?;
    let places = steps.len() as f64;
    // A fifth of a level at an edge is nothing that can be seen.
    if at_edges * block as f64 / places < 12.0 {
        return Some((phase, 0.0, 0.0));
    }
    let elsewhere = (all - at_edges - ROUNDING * places).max(at_edges / Mosaic::MOST);
    Some((phase, at_edges / all, at_edges / elsewhere))
}

/// What the blocks look like.
fn count_colors(found: Mosaic, surface: &Surface<'_>, grid: &Grid) -> Mosaic {
    let cells = |phase: usize, side: usize| -> Vec<Range<usize>> {
        // The step at place p is from pixel p to the next, so that blocks begin at p + 1, and the first whole one may begin at
        // the border. A pixel at either side is left out.
        let starts = ((phase + 1) % grid.block..side).step_by(grid.block).filter(|start| start + grid.block <= side);
        starts.map(|start| start + 1..start + grid.block - 1).collect()
    };
    let [columns, rows] = [cells(grid.phase[0], surface.width()), cells(grid.phase[1], surface.height())];
    let mut last: Vec<[u16; 3]> = Vec::new();
    let mut colors: Vec<[u16; 3]> = Vec::new();
    let (mut unlike, mut near, mut flat) = (0_u32, 0_u32, 0_u32);
    let apart = |a: &[u16; 3], b: &[u16; 3]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    let blocks = (columns.len() * rows.len()) as u32;
    for row in rows {
        let here: Vec<[u16; 3]> = columns.iter().map(|x| surface.mean_color(x.clone(), row.clone())).collect();
        flat += columns.iter().filter(|column| is_flat(surface, column, &row)).count() as u32;
        for (a, b) in here.iter().zip(here.iter().skip(1)).chain(here.iter().zip(&last)) {
            let apart = apart(a, b);
            unlike += u32::from(apart > EQUAL);
            near += u32::from(apart > EQUAL && apart <= NEAR);
        }
        for color in &here {
            if colors.len() < COLORS as usize && colors.iter().all(|other| apart(color, other) > NEAR / 2) {
                colors.push(*color);
            }
        }
        last = here;
    }
    let of_thousand = |part: u32, all: u32| part * 1000 / all.max(1);
    Mosaic {
        blocks,
        flat: of_thousand(flat, blocks),
        colors: colors.len() as u32,
        near: of_thousand(near, unlike),
        ..found
    }
}

/// Whether the middle of a block is of one brightness.
fn is_flat(surface: &Surface<'_>, x: &Range<usize>, y: &Range<usize>) -> bool {
    let middle = |range: &Range<usize>| range.start + range.len() / 6..range.end - range.len() / 6;
    let (x, rows) = (middle(x), middle(y).step_by(2));
    let pixels = || rows.clone().flat_map(|y| surface.row(y).get(x.clone()).unwrap_or_default());
    let count = pixels().count().max(1) as u64;
    let mean = pixels().map(|level| u64::from(*level)).sum::<u64>() / count;
    let ripple = pixels().map(|level| u64::from(*level).abs_diff(mean)).sum::<u64>();
    ripple <= RIPPLE * count
}
