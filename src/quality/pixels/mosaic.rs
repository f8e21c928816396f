//! Large blocks of one colour each: what a censored or half-decoded picture looks like.

use std::ops::Range;

use super::surface::Surface;

/// Blocks that a picture may be made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mosaic {
    /// Median step at the edges of the blocks over the mean step elsewhere, 0 where there are no such edges.
    pub step: f64,
    /// Pixels across and down a block.
    pub block: (u32, u32),
    /// Whole blocks.
    pub blocks: u32,
    /// How many of a thousand blocks are of one brightness.
    pub flat: u32,
    /// How many of a thousand blocks have the colour of the next block: many where somebody drew with blocks.
    pub equal: u32,
    /// How many colours the blocks have, as far as they are counted.
    pub colors: u32,
}

impl Mosaic {
    /// Whether the blocks are what they seem: a row of windows or tiles has edges at even distances too, and something in
    /// between.
    pub fn is_flat(&self) -> bool {
        self.flat >= FLAT
    }

    /// Whether a few colours stand in large areas, as in pixel art, a chessboard or a chart: somebody drew that. In a
    /// mosaic of a photograph hardly two blocks are alike.
    pub fn is_drawn(&self) -> bool {
        self.colors < COLORS && (self.equal > 250 || self.colors * 8 <= self.blocks)
    }
}

/// Edges of blocks that are looked for: smaller blocks are texture, and of larger ones a picture has too few.
const BLOCKS: Range<usize> = 8..137;
/// Blocks across and down that there must be.
const LEAST: usize = 3;
/// Of a thousand blocks, how many must be flat. Blocks that a later cut or enlargement has moved off the grid are not.
const FLAT: u32 = 900;
/// Mean distance from the mean in a flat block, in levels: JPEG's ringing at edges that lie across its own blocks is below it.
const RIPPLE: u64 = 3;
/// Colours that are counted; somebody who draws with blocks takes fewer.
const COLORS: u32 = 48;
/// How much two blocks differ to be of two colours, in 16ths of a level.
const APART: u16 = 6 * 16;
/// How little to be of one, in 16ths of a level: codecs move the mean of a block by less.
const EQUAL: u16 = 16;

/// Measures it.
pub fn mosaic(surface: &Surface<'_>) -> Mosaic {
    let (across, down) = steps(surface);
    let nothing = Mosaic { step: 0.0, block: (0, 0), blocks: 0, flat: 0, equal: 0, colors: 0 };
    let (Some(x), Some(y)) = (grid(&across), grid(&down)) else { return nothing };
    let step = x.step.min(y.step);
    let block = (u32::try_from(x.block).unwrap_or(0), u32::try_from(y.block).unwrap_or(0));
    let found = Mosaic { step, block, ..nothing };
    // Colours are looked at where there are blocks at all.
    if step >= 4.0 { count_colors(found, surface, x, y) } else { found }
}

/// Edges at every so many pixels.
#[derive(Clone, Copy)]
struct Grid {
    /// How far they stand out.
    step: f64,
    block: usize,
    /// Where the first one is.
    phase: usize,
}

/// The grid that stands out most. One of 32 is one of 64 as well, with edges elsewhere: the finest of equals is the one.
fn grid(steps: &[u32]) -> Option<Grid> {
    let grids = BLOCKS.filter_map(|block| comb(steps, block).map(|(step, phase)| Grid { step, block, phase }));
    grids.reduce(|best, next| if next.step > best.step { next } else { best })
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

/// How far the steps at every `block`-th place stand out, and which the first of these places is.
fn comb(steps: &[u32], block: usize) -> Option<(f64, usize)> {
    if steps.len() < block * LEAST - 1 {
        return None;
    }
    let phase = (0..block).max_by_key(|phase| {
        let teeth = steps.iter().skip(*phase).step_by(block);
        let count = teeth.len() as u64;
        teeth.map(|step| u64::from(*step)).sum::<u64>() * 64 / count.max(1)
    })?;
    let mut teeth: Vec<u32> = steps.iter().skip(phase).step_by(block).copied().collect();
    let all: u64 = steps.iter().map(|step| u64::from(*step)).sum();
    let elsewhere = (all - teeth.iter().map(|step| u64::from(*step)).sum::<u64>()) as f64;
    let elsewhere = elsewhere / (steps.len() - teeth.len()).max(1) as f64;
    teeth.sort_unstable();
    let median = f64::from(teeth[teeth.len() / 2]);
    // Half a level at the edges is nothing that can be seen; a sixteenth elsewhere is rounding.
    if median < 32.0 { Some((0.0, phase)) } else { Some((median / elsewhere.max(4.0), phase)) }
}

/// How many of a thousand pairs of neighbours are of one colour, and how many colours there are.
fn count_colors(found: Mosaic, surface: &Surface<'_>, x: Grid, y: Grid) -> Mosaic {
    let cells = |grid: Grid, side: usize| -> Vec<Range<usize>> {
        // The step at place p is from pixel p to the next, so that blocks begin at p + 1, and one that the picture's border
        // does not cut may end there. A pixel at either side is left out.
        let first = (grid.phase + 1) % grid.block;
        let starts = (first..side).step_by(grid.block).filter(|start| start + grid.block <= side);
        starts.map(|start| start + 1..start + grid.block - 1).collect()
    };
    let (columns, rows) = (cells(x, surface.width()), cells(y, surface.height()));
    let mut last: Vec<[u16; 3]> = Vec::new();
    let mut colors: Vec<[u16; 3]> = Vec::new();
    let (mut pairs, mut equal, mut flat) = (0_u32, 0_u32, 0_u32);
    let apart = |a: &[u16; 3], b: &[u16; 3]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    let blocks = (columns.len() * rows.len()) as u32;
    for row in rows {
        let here: Vec<[u16; 3]> = columns.iter().map(|x| surface.mean_color(x.clone(), row.clone())).collect();
        flat += columns.iter().filter(|column| is_flat(surface, column, &row)).count() as u32;
        for (a, b) in here.iter().zip(here.iter().skip(1)).chain(here.iter().zip(&last)) {
            pairs += 1;
            equal += u32::from(apart(a, b) <= EQUAL);
        }
        for color in &here {
            if colors.len() < COLORS as usize && colors.iter().all(|other| apart(color, other) > APART) {
                colors.push(*color);
            }
        }
        last = here;
    }
    let flat = flat * 1000 / blocks.max(1);
    Mosaic { blocks, flat, equal: equal * 1000 / pairs.max(1), colors: colors.len() as u32, ..found }
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
