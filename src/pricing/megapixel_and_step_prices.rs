//! Prices by what is computed for a picture: its megapixels, its tiles, the steps it takes.
//!
//! A megapixel is a million pixels. A picture whose size is not known has no such price; nobody guesses one here.

use crate::image::Size;
use crate::money::Usd;
use crate::pricing::fraction::ExactFraction;
use crate::request::ImageRequest;

/// Pixels of a megapixel.
const MEGAPIXEL: u32 = 1_000_000;

/// The side of a tile.
const TILE: u32 = 512;

/// What a vendor makes of a part of a megapixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// A whole one.
    #[default]
    Up,
    /// A whole one or none, whichever is nearer; a picture has at least one.
    Nearest,
    /// A part.
    Exact,
}

impl Rounding {
    /// Pixels as they are charged.
    fn pixels(self, size: Size) -> u64 {
        let (pixels, one) = (size.pixels(), u64::from(MEGAPIXEL));
        let whole = match self {
            Rounding::Exact => return pixels,
            Rounding::Up => pixels.div_ceil(one),
            Rounding::Nearest => pixels.saturating_add(one / 2) / one,
        };
        whole.max(1).saturating_mul(one)
    }
}

/// The same for every megapixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Megapixels {
    /// Price of one.
    pub usd: Usd,
    /// Of what is less than one.
    pub rounding: Rounding,
}

impl Megapixels {
    pub(super) fn price(&self, size: Size) -> Option<ExactFraction> {
        ExactFraction::share(self.usd, self.rounding.pixels(size), MEGAPIXEL)
    }
}

/// A price for the first megapixel, another for those after it, and one for those of the pictures to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstMegapixel {
    /// Price of the first, also where it is not full.
    pub first: Usd,
    /// Of each after it.
    pub extra: Usd,
    /// Of each that is given.
    pub input: Usd,
    /// Of what is less than one; each picture is rounded by itself.
    pub rounding: Rounding,
}

impl FirstMegapixel {
    pub(super) fn price(&self, request: &ImageRequest, size: Size) -> Option<ExactFraction> {
        let after = self.rounding.pixels(size).saturating_sub(u64::from(MEGAPIXEL));
        let drawn = ExactFraction::times(self.first, 1)?.plus(ExactFraction::share(self.extra, after, MEGAPIXEL)?)?;
        let given = request.edit.iter().flat_map(|edit| &edit.images).map(|input| self.rounding.pixels(input.size));
        let given = given.fold(0, u64::saturating_add);
        drawn.plus(ExactFraction::share(self.input, given, MEGAPIXEL)?)
    }
}

/// By the steps a model takes, and by the tiles of 512x512 that cover the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepsPrice {
    /// Price of a step.
    pub per_step: Usd,
    /// Of a tile; `None` charges none, whatever the size.
    pub per_tile: Option<Usd>,
    /// Steps of a picture.
    pub steps: u32,
}

impl StepsPrice {
    pub(super) fn price(&self, size: Option<Size>) -> Option<ExactFraction> {
        let steps = ExactFraction::times(self.per_step, u64::from(self.steps))?;
        let Some(per_tile) = self.per_tile else { return Some(steps) };
        let size = size?;
        let tiles = u64::from(size.width.div_ceil(TILE)) * u64::from(size.height.div_ceil(TILE));
        steps.plus(ExactFraction::times(per_tile, tiles)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn nanos(exact: Option<ExactFraction>) -> i64 {
        exact.unwrap().rounded().unwrap().nanos()
    }

    #[test]
    fn a_megapixel_is_charged_whole_or_by_the_pixel_as_the_vendor_rounds() {
        let price = |rounding, across, down| {
            nanos(Megapixels { usd: usd("0.003"), rounding }.price(Size::new(across, down))) / 1000
        };
        let up = |across, down| price(Rounding::Up, across, down);
        assert_eq!(
            [up(1000, 1000), up(1001, 1000), up(1, 1), up(2000, 1000), up(2001, 1000)],
            [3000, 6000, 3000, 6000, 9000]
        );
        let nearest = |across, down| price(Rounding::Nearest, across, down);
        assert_eq!([nearest(1499, 1000), nearest(1500, 1000), nearest(100, 100)], [3000, 6000, 3000]);
        let exact = |across, down| price(Rounding::Exact, across, down);
        assert_eq!([exact(1000, 1000), exact(500, 1000), exact(1024, 1024)], [3000, 1500, 3145]);
    }

    #[test]
    fn a_fraction_of_a_nano_dollar_for_pixels_is_rounded_half_up() {
        let price = Megapixels { usd: Usd::from_nanos(1), rounding: Rounding::Exact };
        assert_eq!([nanos(price.price(Size::new(999, 500))), nanos(price.price(Size::new(1000, 500)))], [0, 1]);
    }

    #[test]
    fn the_first_megapixel_costs_more_than_those_after_it() {
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        let price = |rounding, across, down| {
            let (first, extra, input) = (usd("0.03"), usd("0.015"), usd("0.015"));
            let price = FirstMegapixel { first, extra, input, rounding };
            nanos(price.price(&request, Size::new(across, down))) / 1000
        };
        assert_eq!([price(Rounding::Up, 1000, 1000), price(Rounding::Up, 1001, 1000)], [30_000, 45_000]);
        assert_eq!([price(Rounding::Nearest, 1024, 1024), price(Rounding::Nearest, 1500, 1000)], [30_000, 45_000]);
        assert_eq!([price(Rounding::Exact, 500, 500), price(Rounding::Exact, 1500, 1000)], [30_000, 37_500]);
    }

    #[test]
    fn steps_and_tiles_add_up_and_a_begun_tile_counts() {
        let price = |per_tile: Option<&str>, size: Option<(u32, u32)>| {
            let steps = StepsPrice { per_step: usd("0.00011"), per_tile: per_tile.map(usd), steps: 4 };
            steps.price(size.map(|(across, down)| Size::new(across, down)))
        };
        assert_eq!(nanos(price(None, None)), 440_000);
        assert_eq!(nanos(price(Some("0.000053"), Some((512, 512)))), 493_000);
        assert_eq!(nanos(price(Some("0.000053"), Some((513, 512)))), 546_000);
        assert_eq!(nanos(price(Some("0.000053"), Some((1024, 1025)))), 758_000);
        assert!(price(Some("0.000053"), None).is_none());
    }
}
