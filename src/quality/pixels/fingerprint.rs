//! What two pictures are compared by.

use super::surface::Thumbnail;

/// A few hundred bytes in place of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The difference hash: whether each of 8 by 8 cells is lighter than the one at its left.
    pub dhash: u64,
    /// The brightness of 20 by 20 cells.
    luma: Vec<u8>,
    /// The colours of 8 by 8 cells.
    colors: Vec<[u8; 3]>,
}

/// How alike two pictures are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Bits of 64 in which the difference hashes differ.
    pub bits: u32,
    /// How much of what is in the pictures differs, where one lies best on the other: 0 is nothing, 1 is as much as there is.
    pub difference: f64,
    /// The largest difference of a cell's colour, in levels.
    pub color: u8,
}

/// Cells across and down of the second look. Two logos on white differ in a few of them, and a shift by a few pixels is a
/// fraction of one.
const SIDE: usize = 20;
/// The same of the colours.
const COLOR_SIDE: usize = 8;
/// Shifts that are tried in each direction, in fifths of a cell: at 1024 pixels, up to 10.
const SHIFTS: [i32; 5] = [-2, -1, 0, 1, 2];
/// What a cell must be lighter than its neighbour by, in 16ths of a level: flat parts would set bits by rounding.
const LIGHTER: i32 = 24;

impl Fingerprint {
    /// The one of a picture.
    pub fn of(thumbnail: &Thumbnail) -> Fingerprint {
        // 9 across, so that 8 have one at their left; both are cut out of 72 by 72, which both divide.
        let luma = thumbnail.smaller_luma(72);
        let mean = |x: usize, y: usize| -> i32 {
            let rows = (y * 9..y * 9 + 9).map(|row| &luma[row * 72 + x * 8..row * 72 + x * 8 + 8]);
            rows.flatten().sum::<i32>() / 72
        };
        let mut dhash = 0_u64;
        for y in 0..8 {
            for x in 0..8 {
                dhash = dhash << 1 | u64::from(mean(x + 1, y) > mean(x, y) + LIGHTER);
            }
        }
        let level = |level: i32| u8::try_from((level + 8) / 16).unwrap_or(255);
        let luma = thumbnail.smaller_luma(SIDE).into_iter().map(level).collect();
        let colors = thumbnail.smaller(COLOR_SIDE);
        let colors = colors.into_iter().map(|color| color.map(|channel| level(i32::from(channel)))).collect();
        Fingerprint { dhash, luma, colors }
    }

    /// How alike two are.
    pub fn likeness(&self, other: &Fingerprint) -> Likeness {
        let channels = |one: &[u8; 3], other: &[u8; 3]| one.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max();
        let color = self.colors.iter().zip(&other.colors).filter_map(|(one, other)| channels(one, other)).max();
        Likeness {
            bits: (self.dhash ^ other.dhash).count_ones(),
            difference: self.difference(other),
            color: color.unwrap_or(0),
        }
    }

    /// The least difference over small shifts.
    fn difference(&self, other: &Fingerprint) -> f64 {
        let content = (content(&self.luma) + content(&other.luma)).max(1.0);
        let mut least = f64::INFINITY;
        for dy in SHIFTS {
            for dx in SHIFTS {
                least = least.min(self.difference_at(other, dx, dy));
            }
        }
        (least * 2.0 / content).min(1.0)
    }

    /// The mean difference of a cell when the other one is shifted by so many fifths of a cell.
    fn difference_at(&self, other: &Fingerprint, dx: i32, dy: i32) -> f64 {
        let (mut sum, mut cells) = (0_i64, 0);
        let cell = |luma: &[u8], x: usize, y: usize| i64::from(luma[y * SIDE + x]);
        let step = |x: usize, by: i32| if by < 0 { x - 1 } else { x + 1 };
        let (across, down) = (i64::from(dx.abs()), i64::from(dy.abs()));
        for y in 1..SIDE - 1 {
            for x in 1..SIDE - 1 {
                let (x2, y2) = (step(x, dx), step(y, dy));
                let upper = cell(&other.luma, x, y) * (5 - across) + cell(&other.luma, x2, y) * across;
                let lower = cell(&other.luma, x, y2) * (5 - across) + cell(&other.luma, x2, y2) * across;
                let shifted = upper * (5 - down) + lower * down;
                sum += (cell(&self.luma, x, y) * 25 - shifted).abs();
                cells += 1;
            }
        }
        sum as f64 / f64::from(cells) / 25.0
    }
}

/// How much there is in a picture: the mean distance of a cell from the mean of all.
fn content(luma: &[u8]) -> f64 {
    let mean = luma.iter().map(|level| f64::from(*level)).sum::<f64>() / luma.len().max(1) as f64;
    luma.iter().map(|level| (f64::from(*level) - mean).abs()).sum::<f64>() / luma.len().max(1) as f64
}
