//! Shapes and tiers: how makers whose models take no pixels are told a size (PROVIDERS.md 4.2, 7 and 14.1).
//!
//! A wish becomes the nearest shape and the word for a resolution. Which shapes and tiers a model has is its own
//! vendor's data; which tier a wish falls into is decided in `capabilities.rs`, where its price is asked for too.

use crate::capabilities::{OutputSize, SizeTolerance, Sizes, Tier};

/// The smallest, which few models have.
pub const TINY: Tier = Tier { word: "512", side: 512 };
/// The usual one.
pub const ONE: Tier = Tier { word: "1K", side: 1024 };
/// Twice the sides.
pub const TWO: Tier = Tier { word: "2K", side: 2048 };
/// Four times the sides.
pub const FOUR: Tier = Tier { word: "4K", side: 4096 };

/// What Gemini's models draw.
pub const GEMINI_SHAPES: &[(u32, u32)] =
    &[(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// And the very long ones, which gemini-3.1-flash and its successor gemini-nano-banana draw too.
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

/// The shape of `output_size`: its own, or where a config lists sizes of its own the nearest of `shapes`.
pub fn shape(shapes: &[(u32, u32)], output_size: OutputSize) -> Option<(u32, u32)> {
    if let OutputSize::Ratio { across, down, .. } = output_size {
        return Some((across, down));
    }
    let anything = SizeTolerance { tolerance_ppm: u32::MAX, strict: false };
    match (Sizes::Ratios { shapes: shapes.to_vec(), pixels: PIXELS }).fit(output_size.nominal()?, anything) {
        Ok((OutputSize::Ratio { across, down, .. }, _)) => Some((across, down)),
        _ => None,
    }
}
