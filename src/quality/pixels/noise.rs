//! Noise from edge to edge.

use super::surface::Surface;

/// Tiles across and down.
const TILES: usize = 8;
/// How far a pixel differs from the mean of its four neighbours, in quarters of a level, to be no flat part.
const BUSY: i32 = 16;

/// Variance of the Laplacian over the variance of the brightness, in the calmest of 8 by 8 tiles: 20 where no pixel has
/// to do with its neighbours, 1 to 4 in the liveliest textures. A tile of which less than half differs from its
/// surroundings is calm, whatever stars or snowflakes are in it.
pub fn noise(surface: &Surface<'_>) -> f64 {
    let (width, height) = (surface.width(), surface.height());
    if width < 3 * TILES || height < 3 * TILES {
        return 0.0;
    }
    let mut calmest = f64::INFINITY;
    for row in 0..TILES {
        let (from, to) = ((row * height / TILES).max(1), ((row + 1) * height / TILES).min(height - 1));
        for column in 0..TILES {
            let (left, right) = ((column * width / TILES).max(1), ((column + 1) * width / TILES).min(width - 1));
            let mut tile = Tile::default();
            for y in from..to {
                let [above, here, below] = [y - 1, y, y + 1].map(|y| surface.row(y));
                tile.add(&above[left..right], &here[left - 1..right + 1], &below[left..right]);
            }
            calmest = calmest.min(tile.ratio());
            // No other tile makes it louder.
            if calmest < 1.0 {
                return calmest;
            }
        }
    }
    calmest
}

#[derive(Default)]
struct Tile {
    pixels: u64,
    busy: u64,
    sum: u64,
    squares: u64,
    laplacian: u64,
}

impl Tile {
    /// Adds a part of a row. `here` has a pixel more at either end.
    fn add(&mut self, above: &[u8], here: &[u8], below: &[u8]) {
        let (left, middle, right) = (&here[..above.len()], &here[1..=above.len()], &here[2..above.len() + 2]);
        // A few thousand pixels are added up in 32 bits: each has at most 1020 squared.
        for at in (0..above.len()).step_by(2048) {
            let end = (at + 2048).min(above.len());
            let (mut busy, mut sum, mut squares, mut laplacian) = (0_u32, 0_u32, 0_u32, 0_u32);
            let rows = above[at..end]
                .iter()
                .zip(&below[at..end])
                .zip(&left[at..end])
                .zip(&right[at..end])
                .zip(&middle[at..end]);
            for ((((up, down), left), right), here) in rows {
                let [up, down, left, right, here] = [*up, *down, *left, *right, *here].map(i32::from);
                let second = 4 * here - up - down - left - right;
                busy += u32::from(second.abs() >= BUSY);
                sum += here as u32;
                squares += (here * here) as u32;
                laplacian += (second * second) as u32;
            }
            self.pixels += (end - at) as u64;
            self.busy += u64::from(busy);
            self.sum += u64::from(sum);
            self.squares += u64::from(squares);
            self.laplacian += u64::from(laplacian);
        }
    }

    fn ratio(&self) -> f64 {
        if self.busy * 2 < self.pixels {
            return 0.0;
        }
        let pixels = self.pixels.max(1) as f64;
        let mean = self.sum as f64 / pixels;
        let variance = self.squares as f64 / pixels - mean * mean;
        self.laplacian as f64 / pixels / variance.max(1.0)
    }
}
