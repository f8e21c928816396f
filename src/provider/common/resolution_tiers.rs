//! Resolution tiers: the words for a resolution that vendors take in place of pixels (PROVIDERS.md 4.2, 7 and 14.1).
//!
//! Which tiers a model has is its own vendor's data; which tier a wish falls into is decided in `capabilities.rs`, where
//! its price is asked for too.

use crate::capabilities::Tier;

/// The smallest, which few models have.
pub const TINY: Tier = Tier { word: "512", side: 512 };
/// The usual one.
pub const ONE: Tier = Tier { word: "1K", side: 1024 };
/// Twice the sides.
pub const TWO: Tier = Tier { word: "2K", side: 2048 };
/// Four times the sides.
pub const FOUR: Tier = Tier { word: "4K", side: 4096 };

/// About what a picture of the tier 1K has.
pub const PIXELS: u64 = 1024 * 1024;
