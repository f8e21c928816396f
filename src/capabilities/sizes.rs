//! The sizes a model draws, and how an asked size is fitted to them.
//!
//! The shape decides, not the pixels: a picture may come larger or smaller, but not squeezed. Which of a model's other
//! wishes can be met is not decided here.

use crate::capabilities::adjustment::Adjustment;
use crate::capabilities::unsupported::Unsupported;
use crate::image::Size;

/// The sizes a model draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Whatever is asked is sent on.
    Any,
    /// It is told no size, and draws what it draws.
    None,
    /// Only these.
    Listed(Vec<Size>),
    /// Any size within bounds.
    Stepped(SizeBounds),
    /// Only shapes, `(across, down)`; the model decides the pixels, about `pixels` of them.
    Ratios {
        /// The shapes.
        shapes: Vec<(u32, u32)>,
        /// Pixels of a picture, roughly.
        pixels: u64,
    },
}

/// A resolution by its vendor's word for it.
///
/// Pictures of every shape have about as many pixels as the square has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The word.
    pub word: &'static str,
    /// The side of the square.
    pub side: u32,
}

impl Tier {
    /// The square, which stands for the tier in a price table.
    pub fn square(self) -> Size {
        Size::new(self.side, self.side)
    }

    /// Whether a picture of this tier has the pixels of `asked`. Google draws up to 2.6% more than the square has
    /// (1K in 4:3 is 1200x896), so that much more is still the same tier.
    pub fn covers(self, asked: Size) -> bool {
        asked.pixels().saturating_mul(100) <= self.square().pixels().saturating_mul(103)
    }
}

/// Bounds of a model that draws free sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeBounds {
    /// Both sides are multiples of this.
    pub multiple_of: u32,
    /// Shortest side.
    pub min_side: u32,
    /// Longest side.
    pub max_side: u32,
    /// Fewest pixels in all.
    pub min_pixels: u64,
    /// Most pixels in all.
    pub max_pixels: u64,
    /// Long side over short side, at most.
    pub max_ratio: u32,
}

/// The size as a provider is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputSize {
    /// The model's own default.
    Default,
    /// These pixels.
    Pixels(Size),
    /// This shape, with the pixels that were wished for.
    Ratio {
        /// Parts across.
        across: u32,
        /// Parts down.
        down: u32,
        /// What the caller asked.
        asked: Size,
        /// Pixels of a picture, roughly, where no tier says it.
        pixels: u64,
    },
}

impl OutputSize {
    /// The size that prices the picture before it is drawn, where the frame tells one.
    pub fn nominal(self) -> Option<Size> {
        match self {
            OutputSize::Default => None,
            OutputSize::Pixels(size) | OutputSize::Ratio { asked: size, .. } => Some(size),
        }
    }
}

/// How far a size may be bent, from the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeTolerance {
    /// Largest relative change of the shape, in parts per million (150 000 is 15%).
    pub tolerance_ppm: u32,
    /// No change at all.
    pub strict: bool,
}

impl Sizes {
    /// Whether exactly this size is one of them.
    pub(super) fn has(&self, size: Size) -> bool {
        let exactly = SizeTolerance { tolerance_ppm: 0, strict: true };
        matches!(self.fit(size, exactly), Ok((OutputSize::Pixels(fitted), _)) if fitted == size)
    }

    /// The frame nearest to `asked`, and what changed. The shape decides (PROVIDERS.md 14.1): the smallest |ln| of
    /// the two ratios, within the tolerance; among equals the smallest size that covers what was asked.
    pub fn fit(
        &self,
        asked: Size,
        size_tolerance: SizeTolerance,
    ) -> Result<(OutputSize, Option<Adjustment>), Unsupported> {
        match self {
            Sizes::Any => Ok((OutputSize::Pixels(asked), None)),
            Sizes::None if size_tolerance.strict => Err(Unsupported::Size),
            Sizes::None => Ok((OutputSize::Default, Some(Adjustment::Dropped("size")))),
            Sizes::Listed(sizes) => {
                nearest(sizes, asked).ok_or(Unsupported::Size).and_then(|size| adjusted(asked, size, size_tolerance))
            }
            Sizes::Stepped(steps) => {
                steps.nearest(asked).ok_or(Unsupported::Size).and_then(|size| adjusted(asked, size, size_tolerance))
            }
            Sizes::Ratios { shapes, pixels } => fit_ratio(shapes, *pixels, asked, size_tolerance),
        }
    }
}

/// `size` as the answer to `asked`, unless it bends the shape too far.
fn adjusted(
    asked: Size,
    size: Size,
    size_tolerance: SizeTolerance,
) -> Result<(OutputSize, Option<Adjustment>), Unsupported> {
    if size == asked {
        return Ok((OutputSize::Pixels(size), None));
    }
    if size_tolerance.strict || !within(shape_error(asked, size.width, size.height), size_tolerance) {
        return Err(Unsupported::Size);
    }
    let change = Adjustment::Changed("size", asked.to_string(), size.to_string());
    Ok((OutputSize::Pixels(size), Some(change)))
}

fn fit_ratio(
    shapes: &[(u32, u32)],
    pixels: u64,
    asked: Size,
    size_tolerance: SizeTolerance,
) -> Result<(OutputSize, Option<Adjustment>), Unsupported> {
    let (across, down) = shapes
        .iter()
        .copied()
        .min_by(|a, b| shape_error(asked, a.0, a.1).total_cmp(&shape_error(asked, b.0, b.1)))
        .ok_or(Unsupported::Size)?;
    let same_shape = u64::from(asked.width) * u64::from(down) == u64::from(asked.height) * u64::from(across);
    let exact = same_shape && asked.pixels() == pixels;
    if !exact && (size_tolerance.strict || !within(shape_error(asked, across, down), size_tolerance)) {
        return Err(Unsupported::Size);
    }
    let change = (!exact).then(|| Adjustment::Changed("size", asked.to_string(), format!("{across}:{down}")));
    Ok((OutputSize::Ratio { across, down, asked, pixels }, change))
}

/// The listed size nearest in shape; among equal shapes the smallest that covers `asked`, else the largest.
fn nearest(sizes: &[Size], asked: Size) -> Option<Size> {
    let covers = |size: &Size| size.width >= asked.width && size.height >= asked.height;
    sizes.iter().copied().min_by(|a, b| {
        let shape = shape_error(asked, a.width, a.height).total_cmp(&shape_error(asked, b.width, b.height));
        let covered = covers(b).cmp(&covers(a));
        let pixels = if covers(a) { a.pixels().cmp(&b.pixels()) } else { b.pixels().cmp(&a.pixels()) };
        shape.then(covered).then(pixels)
    })
}

impl SizeBounds {
    /// Whether `size` can be drawn as it is.
    pub fn allows(&self, size: Size) -> bool {
        let sides = [size.width, size.height];
        let (long, short) = (size.width.max(size.height), size.width.min(size.height));
        sides.iter().all(|side| side % self.multiple_of == 0 && (self.min_side..=self.max_side).contains(side))
            && (self.min_pixels..=self.max_pixels).contains(&size.pixels())
            && u64::from(long) <= u64::from(short) * u64::from(self.max_ratio)
    }

    /// The allowed size nearest to `asked`: scaled into the pixel bounds, then rounded to whole steps.
    fn nearest(&self, asked: Size) -> Option<Size> {
        if self.allows(asked) {
            return Some(asked);
        }
        let wished = asked.pixels().clamp(self.min_pixels, self.max_pixels) as f64;
        let scale = (wished / asked.pixels() as f64).sqrt();
        let step = f64::from(self.multiple_of);
        let side = |pixels: u32, up: bool| {
            let steps = f64::from(pixels) * scale / step;
            let steps = if up { steps.ceil() } else { steps.floor() };
            ((steps * step) as u32).clamp(self.min_side, self.max_side)
        };
        let rounded = |up: bool| Size::new(side(asked.width, up), side(asked.height, up));
        [rounded(false), rounded(true)].into_iter().find(|size| self.allows(*size))
    }
}

/// |ln(asked ratio / offered ratio)|: 0 for the same shape, 0.15 for about 15% wider or narrower.
pub(super) fn shape_error(asked: Size, across: u32, down: u32) -> f64 {
    let asked = f64::from(asked.width) / f64::from(asked.height);
    (asked / (f64::from(across) / f64::from(down))).ln().abs()
}

fn within(error: f64, size_tolerance: SizeTolerance) -> bool {
    error <= f64::from(size_tolerance.tolerance_ppm) / 1e6 + 1e-9
}
