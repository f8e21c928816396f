//! What two pictures are compared by.

use super::surface::Thumbnail;

/// A few hundred bytes in place of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The difference hash: whether each of 8 by 8 cells is lighter than the one at its left.
    lighter: u64,
    /// The same by half of the step. A bit differs between two pictures where one is lighter and the other not even by half:
    /// in a gradient, whose every step is about as high as the limit, rounding would change them all.
    half_lighter: u64,
    /// The colours of 16 by 16 cells.
    colors: Vec<[u8; 3]>,
}

/// Cells across and down of the second look. Two logos on white differ in a few of them, and a shift by a few pixels is a
/// fraction of one.
const SIDE: usize = 16;
/// How far around a cell's middle its colour is taken, in cells of the small copy: twice its own reach, so that what lies
/// between two cells is what both of them are.
const REACH: usize = Thumbnail::SIDE / SIDE;
/// Shifts that are tried in each direction, in quarters of a cell: at 1024 pixels, up to 32.
const SHIFTS: [i32; 5] = [-2, -1, 0, 1, 2];
/// What a cell must be lighter than its neighbour by, in 16ths of a level: flat parts would set bits by rounding.
const LIGHTER: i32 = 24;
/// The least content that a difference is held against, in levels over three channels: what a codec leaves on a flat ground is no content.
const CONTENT: f64 = 8.0;

/// What a bit of the hash adds to the difference. Of 2,160 pairs of drawn pictures, half of them duplicates, this and a limit
/// of 0.22 tell all but one apart, and so do other weights and limits near them.
const BIT: f64 = 0.01;

impl Fingerprint {
    /// The one of a picture.
    pub fn of(thumbnail: &Thumbnail) -> Fingerprint {
        // 9 across, so that 8 have one at their left; both are cut out of 72 by 72, which both divide.
        let luma = thumbnail.smaller_luma(72);
        let mean = |x: usize, y: usize| -> i32 {
            let rows = (y * 9..y * 9 + 9).map(|row| &luma[row * 72 + x * 8..row * 72 + x * 8 + 8]);
            rows.flatten().sum::<i32>() / 72
        };
        let (mut lighter, mut half_lighter) = (0_u64, 0_u64);
        for y in 0..8 {
            for x in 0..8 {
                let step = mean(x + 1, y) - mean(x, y);
                lighter = lighter << 1 | u64::from(step > LIGHTER);
                half_lighter = half_lighter << 1 | u64::from(step > LIGHTER / 2);
            }
        }
        Fingerprint { lighter, half_lighter, colors: soft_colors(thumbnail) }
    }

    /// Bytes of memory held besides its own.
    pub fn heap_bytes(&self) -> usize {
        self.colors.capacity() * size_of::<[u8; 3]>()
    }

    /// How much of what is in two pictures differs: 0 is nothing, 1 is as much as there is. To what differs where one lies
    /// best on the other, each bit adds in which the hashes differ: hills in fog are alike in their colours, two logos on
    /// white in their hashes, and what a model draws twice in both.
    pub fn difference(&self, other: &Fingerprint) -> f64 {
        let differ = self.lighter & !other.half_lighter | other.lighter & !self.half_lighter;
        let bits = f64::from(differ.count_ones());
        (self.content_difference(other) + bits * BIT).min(1.0)
    }

    /// The least difference over small shifts.
    fn content_difference(&self, other: &Fingerprint) -> f64 {
        let content = content(&self.colors).min(content(&other.colors)).max(CONTENT);
        let mut least = f64::INFINITY;
        for dy in SHIFTS {
            for dx in SHIFTS {
                least = least.min(self.difference_at(other, dx, dy));
            }
        }
        (least / content).min(1.0)
    }

    /// The mean difference of a cell when the other one is shifted by so many quarters of a cell.
    fn difference_at(&self, other: &Fingerprint, dx: i32, dy: i32) -> f64 {
        let step = |x: usize, by: i32| if by < 0 { x - 1 } else { x + 1 };
        let (across, down) = (dx.abs(), dy.abs());
        let (mut sum, mut cells) = (0_i64, 0);
        for y in 1..SIDE - 1 {
            for x in 1..SIDE - 1 {
                let (x2, y2) = (step(x, dx), step(y, dy));
                let [here, beside, below, beyond] =
                    [(x, y), (x2, y), (x, y2), (x2, y2)].map(|(x, y)| other.colors[y * SIDE + x]);
                for channel in 0..3 {
                    let [here, beside, below, beyond] =
                        [here, beside, below, beyond].map(|color| i32::from(color[channel]));
                    let upper = here * (4 - across) + beside * across;
                    let lower = below * (4 - across) + beyond * across;
                    let shifted = upper * (4 - down) + lower * down;
                    let own = i32::from(self.colors[y * SIDE + x][channel]);
                    sum += i64::from((own * 16 - shifted).abs());
                }
                cells += 1;
            }
        }
        sum as f64 / f64::from(cells) / 16.0
    }
}

/// The colours of cells, each of which fades into the next.
fn soft_colors(thumbnail: &Thumbnail) -> Vec<[u8; 3]> {
    const FINE: usize = Thumbnail::SIDE;
    let fine = thumbnail.smaller(FINE);
    // A tent over the cell and half of each neighbour, across and then down.
    let tent: Vec<u32> = (0..2 * REACH).map(|at| (at.min(2 * REACH - 1 - at) + 1) as u32).collect();
    let weights: u32 = tent.iter().sum();
    let along = |cell: usize, color: &dyn Fn(usize) -> [u32; 3]| -> [u32; 3] {
        let mut sum = [0_u32; 3];
        for (at, weight) in tent.iter().enumerate() {
            let place = (cell * REACH + at).saturating_sub(REACH / 2).min(FINE - 1);
            let color = color(place);
            (0..3).for_each(|channel| sum[channel] += weight * color[channel]);
        }
        sum.map(|sum| sum / weights)
    };
    let rows: Vec<[u32; 3]> =
        (0..FINE * SIDE).map(|at| along(at % SIDE, &|x| fine[at / SIDE * FINE + x].map(u32::from))).collect();
    let cells = (0..SIDE * SIDE).map(|at| along(at / SIDE, &|y| rows[y * SIDE + at % SIDE]));
    cells.map(|color| color.map(|level| u8::try_from((level + 8) / 16).unwrap_or(255))).collect()
}

/// How much there is in a picture: the mean distance of a cell from the mean of all, over the channels.
fn content(colors: &[[u8; 3]]) -> f64 {
    let of = |channel: usize| {
        let levels = colors.iter().map(|color| f64::from(color[channel]));
        let mean = levels.clone().sum::<f64>() / colors.len().max(1) as f64;
        levels.map(|level| (level - mean).abs()).sum::<f64>() / colors.len().max(1) as f64
    };
    (0..3).map(of).sum()
}
