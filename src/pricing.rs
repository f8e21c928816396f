//! What a picture costs: a price read from the config, asked before a call and again after it.
//!
//! Prices come only from the config; no vendor's list is built in, because lists drift. Amounts are [`Usd`], rounded
//! once and half up, so whatever does not fit or is not listed is `None`, never zero.

use crate::image::Size;
use crate::money::Usd;
use crate::request::{Background, ImageRequest, Quality};

mod exact;
mod pixels;
#[cfg(test)]
mod recount;
mod table;
mod tokens;
mod usage;

use exact::Exact;
pub use pixels::{FirstMegapixel, Megapixels, Rounding, Steps};
pub use table::{Row, RowSize, TIERS, Table};
pub use tokens::{TokenPrice, Tokens};
pub use usage::{Counted, Meter, PictureTokenPrice, PictureTokens};

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
    /// The request brings pictures to start from; charged for each of them.
    InputImage,
}

impl Addon {
    /// Every add-on, in the order messages list them.
    pub const ALL: [Addon; 5] =
        [Addon::NegativePrompt, Addon::TransparentBackground, Addon::Style, Addon::Seed, Addon::InputImage];

    /// The word in the config.
    pub fn word(self) -> &'static str {
        match self {
            Addon::NegativePrompt => "negative_prompt",
            Addon::TransparentBackground => "transparent_background",
            Addon::Style => "style",
            Addon::Seed => "seed",
            Addon::InputImage => "input_image",
        }
    }

    /// How often a picture of `request` is charged it.
    pub fn times(self, request: &ImageRequest) -> usize {
        match self {
            Addon::NegativePrompt => usize::from(request.negative_prompt.is_some()),
            Addon::TransparentBackground => usize::from(request.background == Some(Background::Transparent)),
            Addon::Style => usize::from(request.style.is_some()),
            Addon::Seed => usize::from(request.seed.is_some()),
            Addon::InputImage => request.edit.as_ref().map_or(0, |edit| edit.images.len()),
        }
    }
}

/// Where a price is from: nothing is reckoned with it, people look it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The row, from 0; `None` for a price that is not written in rows.
    pub row: Option<usize>,
    /// The day on which it was so.
    pub as_of: Option<String>,
    /// The page that says so.
    pub source: Option<String>,
}

/// A model's price: the table, what is counted instead of it, what is added, and the reseller's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The picture itself. With a meter only what is reckoned before the call, or where nothing was told after it.
    pub table: Table,
    /// What the vendor counts, where that decides the price.
    pub meter: Option<Meter>,
    /// Charged per picture when the request uses them.
    pub addons: Vec<(Addon, Usd)>,
    /// Parts per million of table and meter that are charged (500 000 is half of it).
    pub multiplier_ppm: u32,
    /// Parts per million on top of table, meter and add-ons (55 000 is 5.5%).
    pub markup_ppm: u32,
    /// Charged once per call, after the markup.
    pub fee: Usd,
    /// What one of the vendor's own units costs, where it reports how many a call took.
    pub per_unit: Option<Usd>,
    /// Where the prices are from, where that is written.
    pub origins: Vec<Origin>,
}

impl Price {
    /// A price with nothing added.
    pub fn of(table: Table) -> Price {
        Price {
            table,
            meter: None,
            addons: Vec::new(),
            multiplier_ppm: 1_000_000,
            markup_ppm: 0,
            fee: Usd::ZERO,
            per_unit: None,
            origins: Vec::new(),
        }
    }

    /// The same price for every picture, with nothing added.
    pub fn flat(usd: Usd) -> Price {
        Price::of(Table::Flat(usd))
    }

    /// The most that one picture of `size` and `quality` for `request` may cost, drawn by a call of its own: with its
    /// prompt, its add-ons and the call's fee.
    ///
    /// With size or quality unknown (the model's own default) the dearest possible row counts, so that a threshold
    /// is never passed by not knowing. `None` when the table has no such picture or the sum does not fit.
    pub fn estimate(&self, request: &ImageRequest, size: Option<Size>, quality: Option<Quality>) -> Option<Usd> {
        self.per_picture(request, size, quality)?.checked_add(self.fee)
    }

    /// The same without the call's fee. Where nothing is counted by the vendor, this is what it charges.
    pub fn per_picture(&self, request: &ImageRequest, size: Option<Size>, quality: Option<Quality>) -> Option<Usd> {
        let drawn = self.table.price(request, size, quality)?.plus(self.read_before(request)?)?;
        let added = self.addons(request, |_| true)?;
        drawn.ppm(self.multiplier_ppm)?.plus(added)?.with_markup(self.markup_ppm)?.rounded()
    }

    /// What a picture costs where `usd` takes the table's place, as by a volume tier: the multiplier is on it, add-ons
    /// and markup come on top, the call's fee does not. `None` when the sum does not fit.
    pub fn instead(&self, request: &ImageRequest, usd: Usd) -> Option<Usd> {
        let added = self.addons(request, |_| true)?;
        Exact::times(usd, 1)?.ppm(self.multiplier_ppm)?.plus(added)?.with_markup(self.markup_ppm)?.rounded()
    }

    /// What one picture is billed, without the call's fee, and whether that is a guess: the dearest of several prices,
    /// because nobody told size or quality.
    pub fn billed(&self, request: &ImageRequest, size: Option<Size>, quality: Option<Quality>) -> Option<(Usd, bool)> {
        Some((self.per_picture(request, size, quality)?, self.table.is_a_guess(size, quality)))
    }

    /// What a call of `pictures` charged pictures costs by the tokens that were counted. `None` where these are not
    /// what counts, or one of them has no price.
    pub fn by_tokens(&self, request: &ImageRequest, tokens: &PictureTokens, pictures: u32) -> Option<Usd> {
        match &self.meter {
            Some(Meter::Tokens(price)) => self.counted(request, price.of(tokens)?, pictures),
            _ => None,
        }
    }

    /// The same by seconds, a decimal number as the vendor writes it.
    pub fn by_seconds(&self, request: &ImageRequest, told: &str, pictures: u32) -> Option<Usd> {
        match &self.meter {
            Some(Meter::Seconds(rate)) => self.counted(request, usage::seconds(*rate, told)?, pictures),
            _ => None,
        }
    }

    /// A counted amount with what is added to it. What was counted has the pictures to start from in it already.
    fn counted(&self, request: &ImageRequest, counted: Exact, pictures: u32) -> Option<Usd> {
        let added = self.addons(request, |addon| addon != Addon::InputImage)?.many(pictures)?;
        counted.ppm(self.multiplier_ppm)?.plus(added)?.with_markup(self.markup_ppm)?.rounded()
    }

    /// The add-ons of one picture, those of them that are `meant`.
    fn addons(&self, request: &ImageRequest, meant: impl Fn(Addon) -> bool) -> Option<Exact> {
        self.addons.iter().filter(|(addon, _)| meant(*addon)).try_fold(Exact::ZERO, |total, (addon, usd)| {
            total.plus(Exact::times(*usd, u64::try_from(addon.times(request)).ok()?)?)
        })
    }

    /// The most that reading the request's words can cost.
    fn read_before(&self, request: &ImageRequest) -> Option<Exact> {
        let Some(Meter::Tokens(price)) = &self.meter else { return Some(Exact::ZERO) };
        price.text(request.prompt.len() + request.negative_prompt.as_ref().map_or(0, String::len))
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
            size: Some(RowSize::Pixels(size.parse().unwrap())),
            quality: Some(quality),
            usd: usd(price),
        };
        let rows = vec![
            row("1024x1024", Quality::Standard, "0.04"),
            row("1024x1024", Quality::Hd, "0.08"),
            row("1792x1024", Quality::Hd, "0.12"),
        ];
        Price::of(Table::Rows(rows))
    }

    #[test]
    fn each_addon_has_the_word_of_its_key_in_the_config() {
        let words = ["negative_prompt", "transparent_background", "style", "seed", "input_image"];
        assert_eq!(Addon::ALL.map(Addon::word), words);
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
        let price = Price::of(Table::UpTo(tiers));
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
            addons: vec![(Addon::NegativePrompt, usd("0.003"))],
            markup_ppm: 100_000,
            ..Price::flat(usd("0.01"))
        };
        assert_eq!(price.per_picture(&request(""), None, None), Some(usd("0.011")));
        let with = request(r#","negative_prompt":"text""#);
        assert_eq!(price.per_picture(&with, None, None), Some(usd("0.0143")));
    }

    #[test]
    fn a_multiplier_is_on_the_picture_a_markup_on_all_and_the_fee_once_on_the_call() {
        let price = Price {
            addons: vec![(Addon::Seed, usd("0.001"))],
            multiplier_ppm: 500_000,
            markup_ppm: 100_000,
            fee: usd("0.0005"),
            ..Price::flat(usd("0.01"))
        };
        let seeded = request(r#","seed":1"#);
        assert_eq!(price.per_picture(&seeded, None, None), Some(usd("0.0066")));
        assert_eq!(price.estimate(&seeded, None, None), Some(usd("0.0071")));
        assert_eq!(price.instead(&seeded, usd("0.005")), Some(usd("0.00385")), "half of it, the add-on, and 10%");
        assert_eq!(price.instead(&request(""), Usd::ZERO), Some(Usd::ZERO));
        // Of 3 and half: 1.5, and 10% more: 1.65. Rounded in between it would be 2.2.
        let odd = Price { multiplier_ppm: 500_000, markup_ppm: 100_000, ..Price::flat(Usd::from_nanos(3)) };
        assert_eq!(odd.per_picture(&request(""), None, None), Some(Usd::from_nanos(2)));
        let even = Price { multiplier_ppm: 900_000, markup_ppm: 600_000, ..Price::flat(Usd::from_nanos(1)) };
        assert_eq!(even.per_picture(&request(""), None, None), Some(Usd::from_nanos(1)));
    }

    #[test]
    fn before_the_call_a_prompt_may_cost_a_token_for_each_of_its_bytes() {
        let tokens = PictureTokenPrice { text_in: Some(usd("5")), ..PictureTokenPrice::default() };
        let price = Price { meter: Some(Meter::Tokens(tokens)), fee: usd("0.001"), ..Price::flat(usd("0.05")) };
        let long = ImageRequest::from_json("{\"prompt\":\"ein gr\u{fc}ner Fuchs\"}".as_bytes()).unwrap();
        assert_eq!(price.estimate(&long, None, None), Some(usd("0.051085")));
        let tokens = PictureTokens { text_in: 4, ..PictureTokens::default() };
        assert_eq!(price.by_tokens(&long, &tokens, 1), Some(usd("0.00002")));
        assert_eq!(price.by_seconds(&long, "1.5", 1), None);
    }

    #[test]
    fn seconds_are_priced_with_multiplier_and_markup_and_add_ons_by_the_picture() {
        let price = Price {
            meter: Some(Meter::Seconds(usd("0.001"))),
            addons: vec![(Addon::Style, usd("0.002")), (Addon::InputImage, usd("9"))],
            multiplier_ppm: 500_000,
            markup_ppm: 100_000,
            ..Price::flat(usd("0.02"))
        };
        assert_eq!(price.by_seconds(&request(""), "2", 3), Some(usd("0.0011")));
        assert_eq!(price.by_seconds(&request(r#","style":"vivid""#), "2", 3), Some(usd("0.0077")));
        assert_eq!(price.by_tokens(&request(""), &PictureTokens::default(), 1), None);
    }
}
