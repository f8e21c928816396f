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
        self.colors < COLORS && self.colors * BLOCKS_OF_A_COLOR < self.blocks && self.near < NEARLY
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
/// Blocks that each colour has at least where somebody drew: a sprite of 16 by 16 with 24 colours has ten, a mosaic of black
/// shapes before a sunset three.
const BLOCKS_OF_A_COLOR: u32 = 6;
/// Of a thousand pairs that differ, how many differ by little at most where somebody drew.
const NEARLY: u32 = 60;
/// How little two blocks of one colour differ, in 16ths of a level: codecs move the mean of a block by less.
const EQUAL: u16 = 16;
/// How little two of nearly one colour do.
const NEAR: u16 = 12 * 16;
/// Steps elsewhere that are rounding, in 64ths of a level, for each place.
const ROUNDING: f64 = 1.0;
/// The mean step in levels that the edges must have across or down. Where JPEG leaves nothing of a faint gradient but its blocks,
/// it is up to 0.9; the faintest mosaic, of hills in fog, has 1.2.
const VISIBLE: f64 = 1.0;
/// The same that they must have both across and down, so that something is there at all.
const PERCEPTIBLE: f64 = 0.2;

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
        let (across, down) = (Comb::of(across, block)?, Comb::of(down, block)?);
        let can_be_seen = across.height.max(down.height) >= VISIBLE;
        let seen = |ratio: f64| if can_be_seen { ratio } else { 0.0 };
        let (share, step) = (seen(across.share.min(down.share)), seen(across.step.min(down.step)));
        Some(Grid { block, phase: [across.phase, down.phase], share, step })
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

/// Edges at every so many pixels in one direction.
#[derive(Default)]
struct Comb {
    /// Where the first one would be.
    phase: usize,
    /// What share of all steps is at them.
    share: f64,
    /// How much more that is than elsewhere.
    step: f64,
    /// The mean step at one, in levels.
    height: f64,
}

impl Comb {
    /// The one with the most steps; `None` where too few blocks would be in a row.
    fn of(steps: &[u32], block: usize) -> Option<Comb> {
        if steps.len() + 1 < block * LEAST {
            return None;
        }
        let all = steps.iter().map(|step| f64::from(*step)).sum::<f64>();
        let teeth = |phase: usize| steps.iter().skip(phase).step_by(block).map(|step| f64::from(*step)).sum::<f64>();
        let sums = (0..block).map(|phase| (phase, teeth(phase)));
        let (phase, at_edges) = sums.max_by(|one, other| one.1.total_cmp(&other.1))?;
        let places = steps.len() as f64;
        let height = at_edges * block as f64 / places / 64.0;
        if height < PERCEPTIBLE {
            return Some(Comb { phase, height, ..Comb::default() });
        }
        let elsewhere = (all - at_edges - ROUNDING * places).max(at_edges / Mosaic::MOST);
        Some(Comb { phase, share: at_edges / all, step: at_edges / elsewhere, height })
    }
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
