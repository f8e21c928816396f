//! What a picture costs: a price table read from the config, asked before a call and again after it.
//!
//! Prices come only from the config; no vendor's list is built in, because lists drift. Amounts are [`Usd`], so
//! whatever does not fit or is not listed is `None`, never zero.

use crate::image::Size;
use crate::money::Usd;
use crate::request::{Background, ImageRequest, Quality};

mod tokens;

pub use tokens::{TokenPrice, Tokens};

/// Extras that a vendor charges on top of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addon {
    /// The request has a negative prompt.
    NegativePrompt,
    /// The request asks for an alpha channel.
    TransparentBackground,
    /// The request names a style.
    Style,
    /// The request fixes the seed.
    Seed,
}

impl Addon {
    /// Every add-on, in the order messages list them.
    pub const ALL: [Addon; 4] = [Addon::NegativePrompt, Addon::TransparentBackground, Addon::Style, Addon::Seed];

    /// The word in the config.
    pub fn word(self) -> &'static str {
        match self {
            Addon::NegativePrompt => "negative_prompt",
            Addon::TransparentBackground => "transparent_background",
            Addon::Style => "style",
            Addon::Seed => "seed",
        }
    }

    /// Whether `request` uses it.
    pub fn used_by(self, request: &ImageRequest) -> bool {
        match self {
            Addon::NegativePrompt => request.negative_prompt.is_some(),
            Addon::TransparentBackground => request.background == Some(Background::Transparent),
            Addon::Style => request.style.is_some(),
            Addon::Seed => request.seed.is_some(),
        }
    }
}

/// One row of a size x quality table; an absent part matches anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Exactly this size.
    pub size: Option<Size>,
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
    /// By size and quality; the first matching row counts.
    Rows(Vec<Row>),
    /// By resolution: the smallest tier whose pixels cover the picture's. Sorted by pixels.
    UpTo(Vec<(Size, Usd)>),
}

/// A model's price: the table, what is added, and the reseller's markup on all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The picture itself.
    pub table: Table,
    /// Charged per picture when the request uses them.
    pub addons: Vec<(Addon, Usd)>,
    /// Parts per million on top of table and add-ons (55 000 is 5.5%).
    pub markup_ppm: u32,
    /// What one of the vendor's own units costs, where it reports how many a call took.
    pub per_unit: Option<Usd>,
}

impl Price {
    /// A price with nothing added.
    pub fn flat(usd: Usd) -> Price {
        Price { table: Table::Flat(usd), addons: Vec::new(), markup_ppm: 0, per_unit: None }
    }

    /// The price of one picture of `size` and `quality` for `request`.
    ///
    /// With size or quality unknown (the model's own default) the dearest possible row counts, so that a threshold
    /// is never passed by not knowing. `None` when the table has no such picture or the sum does not fit.
    pub fn per_picture(&self, request: &ImageRequest, size: Option<Size>, quality: Option<Quality>) -> Option<Usd> {
        let base = self.table.price(size, quality)?;
        self.addons
            .iter()
            .filter(|(addon, _)| addon.used_by(request))
            .try_fold(base, |total, (_, usd)| total.checked_add(*usd))?
            .with_markup(self.markup_ppm)
    }
}

impl Table {
    fn price(&self, size: Option<Size>, quality: Option<Quality>) -> Option<Usd> {
        match self {
            Table::Flat(usd) => Some(*usd),
            Table::Rows(rows) => {
                let mut matching = rows.iter().filter(|row| row.matches(size, quality)).map(|row| row.usd);
                if size.is_some() && quality.is_some() { matching.next() } else { matching.max() }
            }
            Table::UpTo(tiers) => match size {
                Some(size) => tiers.iter().find(|(tier, _)| tier.pixels() >= size.pixels()).map(|(_, usd)| *usd),
                None => tiers.iter().map(|(_, usd)| *usd).max(),
            },
        }
    }
}

impl Row {
    /// Unknown parts of the question match every row.
    fn matches(&self, size: Option<Size>, quality: Option<Quality>) -> bool {
        let fits = |mine: bool, asked: bool| !mine || !asked;
        (fits(self.size.is_some(), size.is_some()) || self.size == size)
            && (fits(self.quality.is_some(), quality.is_some()) || self.quality == quality)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn request(extra: &str) -> ImageRequest {
        ImageRequest::from_json(format!(r#"{{"prompt":"x"{extra}}}"#).as_bytes()).unwrap()
    }

    fn dalle() -> Price {
        let row = |size: &str, quality, price: &str| Row {
            size: Some(size.parse().unwrap()),
            quality: Some(quality),
            usd: usd(price),
        };
        let rows = vec![
            row("1024x1024", Quality::Standard, "0.04"),
            row("1024x1024", Quality::Hd, "0.08"),
            row("1792x1024", Quality::Hd, "0.12"),
        ];
        Price { table: Table::Rows(rows), addons: Vec::new(), markup_ppm: 0, per_unit: None }
    }

    #[test]
    fn a_row_is_found_by_size_and_quality() {
        let square = Some(Size::new(1024, 1024));
        let price = dalle();
        assert_eq!(price.per_picture(&request(""), square, Some(Quality::Standard)), Some(usd("0.04")));
        assert_eq!(price.per_picture(&request(""), square, Some(Quality::Hd)), Some(usd("0.08")));
        assert_eq!(price.per_picture(&request(""), Some(Size::new(9, 9)), Some(Quality::Hd)), None);
    }

    #[test]
    fn what_is_not_known_yet_is_estimated_at_the_dearest_row() {
        let price = dalle();
        assert_eq!(price.per_picture(&request(""), Some(Size::new(1024, 1024)), None), Some(usd("0.08")));
        assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.12")));
    }

    #[test]
    fn a_tier_covers_every_picture_up_to_its_pixels() {
        let tiers = vec![(Size::new(512, 512), usd("0.0025")), (Size::new(1024, 1024), usd("0.01"))];
        let price = Price { table: Table::UpTo(tiers), addons: Vec::new(), markup_ppm: 0, per_unit: None };
        let at = |width, height| price.per_picture(&request(""), Some(Size::new(width, height)), None);
        assert_eq!(at(512, 512), Some(usd("0.0025")));
        assert_eq!(at(513, 512), Some(usd("0.01")));
        assert_eq!(at(1344, 768), Some(usd("0.01")));
        assert_eq!(at(1025, 1024), None);
        assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.01")));
    }

    #[test]
    fn addons_count_when_used_and_the_markup_is_on_all_of_it() {
        let price = Price {
            table: Table::Flat(usd("0.01")),
            addons: vec![(Addon::NegativePrompt, usd("0.003"))],
            markup_ppm: 100_000,
            per_unit: None,
        };
        assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.011")));
        let with = request(r#","negative_prompt":"text""#);
        assert_eq!(price.per_picture(&with, None, None), Some(usd("0.0143")));
    }
}
