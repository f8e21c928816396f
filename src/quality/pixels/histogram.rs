//! How many pixels have each brightness, and what follows from that alone.

use super::surface::Surface;

/// How many pixels of a surface have each of 256 levels of brightness.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    levels: [u64; 256],
    pixels: u64,
}

impl Histogram {
    /// Counts the pixels of a surface.
    pub fn of(surface: &Surface<'_>) -> Histogram {
        // Four tables, so that equal neighbours do not wait for each other's count.
        let mut tables = [[0_u32; 256]; 4];
        let mut levels = [0_u64; 256];
        let mut flush = |tables: &mut [[u32; 256]; 4]| {
            for table in tables.iter_mut() {
                for (sum, count) in levels.iter_mut().zip(table.iter_mut()) {
                    *sum += u64::from(std::mem::take(count));
                }
            }
        };
        // A table's count fits for far more pixels than a part has.
        for part in surface.luma().chunks(1 << 24) {
            let (fours, rest) = part.as_chunks::<4>();
            let [a, b, c, d] = &mut tables;
            for four in fours {
                a[usize::from(four[0])] += 1;
                b[usize::from(four[1])] += 1;
                c[usize::from(four[2])] += 1;
                d[usize::from(four[3])] += 1;
            }
            for level in rest {
                a[usize::from(*level)] += 1;
            }
            flush(&mut tables);
        }
        Histogram { levels, pixels: levels.iter().sum::<u64>().max(1) }
    }

    /// Standard deviation of the brightness.
    pub fn deviation(&self) -> f64 {
        let sum = |of: fn(u64) -> u64| (0..).zip(self.levels).map(|(level, count)| of(level) * count).sum::<u64>();
        let mean = sum(|level| level) as f64 / self.pixels as f64;
        (sum(|level| level * level) as f64 / self.pixels as f64 - mean * mean).max(0.0).sqrt()
    }

    /// Entropy of the brightness in bits, 0 to 8.
    pub fn entropy(&self) -> f64 {
        let shares = self.levels.iter().filter(|count| **count > 0).map(|count| *count as f64 / self.pixels as f64);
        shares.map(|share| -share * share.log2()).sum::<f64>().max(0.0)
    }

    /// The largest share of the pixels in three levels next to each other.
    pub fn band_share(&self) -> f64 {
        let largest = self.levels.windows(3).map(|three| three.iter().sum::<u64>()).max().unwrap_or(0);
        largest as f64 / self.pixels as f64
    }

    /// The level that a share of the pixels does not exceed.
    pub fn percentile(&self, share: f64) -> u8 {
        let wanted = (share * self.pixels as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let reached = self.levels.iter().position(|count| {
            below += count;
            below >= wanted
        });
        reached.and_then(|level| u8::try_from(level).ok()).unwrap_or(255)
    }

    /// How many levels lie between the darkest and the lightest pixels when one of 2,000 is left out at either end: a logo
    /// that covers a thousandth of a page counts, and a few specks do not.
    pub fn spread(&self) -> u8 {
        self.percentile(0.9995).saturating_sub(self.percentile(0.0005))
    }
}
