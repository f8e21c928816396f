//! Price tables: what a picture of some size and quality costs, before anything is added to it.
//!
//! Sizes may be pixels or a vendor's word for a resolution. A picture that no row prices has no price, and what is not
//! known yet is taken at its dearest.

use crate::capabilities::Tier;
use crate::image::Size;
use crate::money::Usd;
use crate::pricing::fraction::ExactFraction;
use crate::pricing::megapixel_and_step_prices::{FirstMegapixel, Megapixels, StepsPrice};
use crate::request::{ImageRequest, Quality};

/// The resolutions that rows may name, sorted by size.
pub const TIERS: [Tier; 4] = [
    Tier { word: "512", side: 512 },
    Tier { word: "1K", side: 1024 },
    Tier { word: "2K", side: 2048 },
    Tier { word: "4K", side: 4096 },
];

/// The size a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSize {
    /// Exactly these pixels.
    Pixels(Size),
    /// Every picture of this resolution, whatever its shape.
    Tier(Tier),
}

impl RowSize {
    /// Whether a picture of `size` is meant. It is of the smallest resolution that has its pixels, which for a
    /// resolution's own square is that one.
    fn fits(self, size: Size) -> bool {
        match self {
            RowSize::Pixels(mine) => mine == size,
            RowSize::Tier(mine) => TIERS.into_iter().find(|tier| tier.covers(size)) == Some(mine),
        }
    }

    /// Whether every picture that `other` is for is one of these.
    pub fn includes(self, other: RowSize) -> bool {
        match other {
            RowSize::Pixels(size) => self.fits(size),
            RowSize::Tier(_) => self == other,
        }
    }
}

/// One row of a size x quality table; an absent part matches anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// This size or resolution.
    pub size: Option<RowSize>,
    /// Exactly this quality.
    pub quality: Option<Quality>,
    /// Price of one picture.
    pub usd: Usd,
}

/// How one model's pictures are priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// Every picture costs the same.
    Flat(Usd),
    /// By size and quality; the first matching row counts, whatever comes after it.
    Rows(Vec<Row>),
    /// By resolution: the smallest tier whose pixels cover the picture's. Sorted by pixels.
    UpTo(Vec<(Size, Usd)>),
    /// By the megapixel.
    Megapixels(Megapixels),
    /// By the megapixel, the first for a price of its own.
    FirstMegapixel(FirstMegapixel),
    /// By the step, and by the tile.
    Steps(StepsPrice),
}

impl Table {
    /// The price of one picture; with size or quality unknown, the dearest that it can have.
    pub(super) fn price(
        &self,
        request: &ImageRequest,
        size: Option<Size>,
        quality: Option<Quality>,
    ) -> Option<ExactFraction> {
        let listed = |usd: Usd| ExactFraction::times(usd, 1);
        match self {
            Table::Flat(usd) => listed(*usd),
            Table::Rows(rows) => listed(possible(rows, size, quality).map(|row| row.usd).max()?),
            Table::UpTo(tiers) => listed(match size {
                Some(size) => tiers.iter().find(|(tier, _)| tier.pixels() >= size.pixels()).map(|(_, usd)| *usd)?,
                None => tiers.iter().map(|(_, usd)| *usd).max()?,
            }),
            Table::Megapixels(price) => price.price(size?),
            Table::FirstMegapixel(price) => price.price(request, size?),
            Table::Steps(price) => price.price(size),
        }
    }

    /// Whether that price is only the dearest of several, because size or quality is not known.
    pub(super) fn is_a_guess(&self, size: Option<Size>, quality: Option<Quality>) -> bool {
        match self {
            Table::Rows(rows) => {
                let mut prices = possible(rows, size, quality).map(|row| row.usd);
                let first = prices.next();
                let decided = rows.iter().any(|row| row.surely_matches(size, quality));
                !decided || prices.any(|usd| Some(usd) != first)
            }
            Table::UpTo(tiers) => {
                size.is_none() && tiers.iter().any(|(_, usd)| Some(usd) != tiers.first().map(|(_, usd)| usd))
            }
            Table::Flat(_) | Table::Megapixels(_) | Table::FirstMegapixel(_) | Table::Steps(_) => false,
        }
    }
}

/// The rows that may be the first to match. One that fits whatever is not known is the last of them.
fn possible(rows: &[Row], size: Option<Size>, quality: Option<Quality>) -> impl Iterator<Item = &Row> {
    let open = rows.iter().position(|row| row.surely_matches(size, quality)).map_or(rows.len(), |at| at + 1);
    rows.iter().take(open).filter(move |row| row.matches(size, quality))
}

impl Row {
    /// Unknown parts of the question match every row.
    fn matches(&self, size: Option<Size>, quality: Option<Quality>) -> bool {
        let size_fits = self.size.is_none_or(|mine| size.is_none_or(|size| mine.fits(size)));
        size_fits && self.quality.is_none_or(|mine| quality.is_none_or(|quality| mine == quality))
    }

    /// Whether it matches all that the unknown parts of the question can be.
    fn surely_matches(&self, size: Option<Size>, quality: Option<Quality>) -> bool {
        let decided = (self.size.is_none() || size.is_some()) && (self.quality.is_none() || quality.is_some());
        decided && self.matches(size, quality)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(word: &str) -> RowSize {
        RowSize::Tier(TIERS.into_iter().find(|tier| tier.word == word).unwrap())
    }

    fn row(size: RowSize, usd: i64) -> Row {
        Row { size: Some(size), quality: None, usd: Usd::from_nanos(usd) }
    }

    #[test]
    fn a_row_for_a_resolution_prices_every_shape_of_it() {
        let table =
            Table::Rows(vec![row(tier("512"), 45), row(tier("1K"), 67), row(tier("2K"), 101), row(tier("4K"), 151)]);
        let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
        let price = |size| Some(table.price(&request, size, None)?.rounded()?.nanos());
        let at = |across, down| price(Some(Size::new(across, down)));
        assert_eq!([at(512, 512), at(1024, 1024), at(2048, 2048), at(4096, 4096)], [45, 67, 101, 151].map(Some));
        // Google's 1K in 4:3 and 16:9, and one pixel column more than any 1K.
        assert_eq!([at(1200, 896), at(1376, 768), at(1060, 1024)], [67, 67, 101].map(Some));
        assert_eq!([at(9000, 9000), price(None)], [None, Some(151)]);
    }

    #[test]
    fn what_is_not_known_makes_no_later_row_dearer_than_the_one_that_fits_anyhow() {
        let high = Row { quality: Some(Quality::High), ..row(tier("1K"), 80) };
        let rest = Row { size: None, quality: None, usd: Usd::from_nanos(99) };
        let price = |rows: &[&Row], size, quality| {
            let request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
            let table = Table::Rows(rows.iter().copied().cloned().collect());
            table.price(&request, size, quality).unwrap().rounded().unwrap().nanos()
        };
        let (square, any) = (Some(Size::new(1024, 1024)), row(tier("1K"), 40));
        assert_eq!(price(&[&any, &rest], square, None), 40, "no quality leads past the first row");
        assert_eq!(price(&[&high, &any, &rest], square, None), 80, "it may be the high one");
        assert_eq!(price(&[&high, &any, &rest], square, Some(Quality::Low)), 40);
        assert_eq!(price(&[&any, &rest], None, Some(Quality::Low)), 99, "it may be of another size");
    }

    #[test]
    fn a_price_is_a_guess_where_what_is_not_known_decides_it() {
        let of = |quality, usd| Row { size: None, quality, usd: Usd::from_nanos(usd) };
        let table = |rows: &[Row]| Table::Rows(rows.to_vec());
        let (standard, hd, rest) = (of(Some(Quality::Standard), 40), of(Some(Quality::Hd), 80), of(None, 40));
        let both = table(&[standard.clone(), hd.clone()]);
        assert!(both.is_a_guess(None, None), "it may be either");
        assert!(!both.is_a_guess(None, Some(Quality::Hd)) && !both.is_a_guess(None, Some(Quality::Standard)));
        assert!(both.is_a_guess(None, Some(Quality::Low)), "there is no such row");
        assert!(table(&[hd, rest.clone()]).is_a_guess(None, None), "the rest is not what was hd");
        assert!(!table(&[standard.clone(), rest]).is_a_guess(None, None), "both cost the same");
        assert!(table(&[standard]).is_a_guess(None, None), "nothing says that it is the only quality");
        let sized = table(&[row(tier("1K"), 67), row(tier("2K"), 101)]);
        assert!(sized.is_a_guess(None, None) && !sized.is_a_guess(Some(Size::new(1024, 1024)), None));
        let up_to = |last| {
            let usd = Usd::from_nanos;
            Table::UpTo(vec![(Size::new(512, 512), usd(1)), (Size::new(1024, 1024), usd(last))])
        };
        assert!(up_to(2).is_a_guess(None, None) && !up_to(1).is_a_guess(None, None));
        assert!(
            !up_to(2).is_a_guess(Some(Size::new(600, 600)), None) && !Table::Flat(Usd::ZERO).is_a_guess(None, None)
        );
    }

    #[test]
    fn a_row_covers_another_when_all_of_its_pictures_are_meant() {
        let square = |side| RowSize::Pixels(Size::new(side, side));
        assert!(tier("1K").includes(square(1024)) && tier("1K").includes(tier("1K")));
        assert!(!tier("2K").includes(square(1024)) && !tier("2K").includes(tier("1K")));
        assert!(!square(1024).includes(tier("1K")) && !square(1024).includes(square(512)));
    }
}
