//! Aspect ratios: which ones Gemini's models draw, and how vendors whose models take no pixels are told one
//! (PROVIDERS.md 4.2, 7 and 14.1).

use crate::capabilities::OutputSize;
use crate::capabilities::{SizeTolerance, Sizes};
use crate::image::Size;
use crate::provider::common::resolution_tiers::PIXELS;

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

/// The frame as `across:down`; pixels are reduced to their shape.
pub fn ratio(output_size: OutputSize) -> Option<String> {
    let (across, down) = match output_size {
        OutputSize::Default => return None,
        OutputSize::Ratio { across, down, .. } => (across, down),
        OutputSize::Pixels(Size { width, height }) => {
            let divisor = greatest_common_divisor(width, height).max(1);
            (width / divisor, height / divisor)
        }
    };
    Some(format!("{across}:{down}"))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_as_a_shape() {
        assert_eq!(ratio(OutputSize::Default), None);
        assert_eq!(ratio(OutputSize::Pixels(Size::new(1536, 1024))).as_deref(), Some("3:2"));
        let asked = Size::new(1792, 1024);
        assert_eq!(ratio(OutputSize::Ratio { across: 16, down: 9, asked, pixels: 1 }).as_deref(), Some("16:9"));
    }
}
