//! Shapes and tiers: how makers whose models take no pixels are told a size (PROVIDERS.md 4.2, 7 and 14.1).
//!
//! A wish becomes the nearest shape and the word for a resolution. Which shapes and tiers a model has is its own
//! vendor's data.

use crate::abilities::{Bend, Frame, Sizes};
use crate::image::Size;

/// A resolution, by the word for it and the longest side it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier(pub &'static str, u32);

/// The smallest, which few models have.
pub const TINY: Tier = Tier("512", 512);
/// The usual one.
pub const ONE: Tier = Tier("1K", 1024);
/// Twice the sides.
pub const TWO: Tier = Tier("2K", 2048);
/// Four times the sides.
pub const FOUR: Tier = Tier("4K", 4096);

/// What Gemini's models draw.
pub const GEMINI_SHAPES: &[(u32, u32)] =
    &[(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// And the very long ones, which gemini-3.1-flash draws too.
pub const LONG_SHAPES: &[(u32, u32)] = &[
    (1, 1),
    (2, 3),
    (3, 2),
    (3, 4),
    (4, 3),
    (4, 5),
    (5, 4),
    (9, 16),
    (16, 9),
    (21, 9),
    (1, 4),
    (4, 1),
    (1, 8),
    (8, 1),
];

/// About what a picture of the tier 1K has.
pub const PIXELS: u64 = 1024 * 1024;

/// The first of `tiers`, sorted by size, that covers `asked`, else the last.
pub fn covering(tiers: impl Iterator<Item = Tier> + Clone, asked: Size) -> Option<Tier> {
    let side = asked.width.max(asked.height);
    tiers.clone().find(|tier| tier.1 >= side).or_else(|| tiers.last())
}

/// The shape of `frame`: its own, or where a config lists sizes of its own the nearest of `shapes`.
pub fn shape(shapes: &[(u32, u32)], frame: Frame) -> Option<(u32, u32)> {
    if let Frame::Ratio { across, down, .. } = frame {
        return Some((across, down));
    }
    let anything = Bend { tolerance_ppm: u32::MAX, strict: false };
    match (Sizes::Ratios { shapes: shapes.to_vec(), pixels: PIXELS }).fit(frame.nominal()?, anything) {
        Ok((Frame::Ratio { across, down, .. }, _)) => Some((across, down)),
        _ => None,
    }
}
