//! What a picture costs: a price read from the config, asked before a call and again after it.
//!
//! Prices come only from the config; no vendor's list is built in, because lists drift. Amounts are [`Usd`], rounded
//! once and half up, so whatever does not fit or is not listed is `None`, never zero.

use crate::image::Size;
use crate::money::Usd;
use crate::request::{Background, ImageRequest, Quality};

pub mod bill;
pub mod charged_amount;
mod fraction;
mod least_and_dearest;
mod megapixel_and_step_prices;
mod metered_usage;
mod picture_token_price;
mod table;
mod text_token_price;
pub mod undelivered;
pub mod volume_tiers;

use crate::pricing::fraction::ExactFraction;
pub use crate::pricing::megapixel_and_step_prices::{FirstMegapixel, Megapixels, Rounding, StepsPrice};
pub use crate::pricing::metered_usage::{Counted, Meter, Reported, Usage};
pub use crate::pricing::picture_token_price::{PictureTokenPrice, PictureTokens};
pub use crate::pricing::text_token_price::{TextTokenPrice, TextTokens};
pub use table::{Row, RowSize, TIERS, Table};

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
    pub fn as_str(self) -> &'static str {
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
        ExactFraction::times(usd, 1)?.ppm(self.multiplier_ppm)?.plus(added)?.with_markup(self.markup_ppm)?.rounded()
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
            Some(Meter::Seconds(rate)) => self.counted(request, metered_usage::seconds(*rate, told)?, pictures),
            _ => None,
        }
    }

    /// A counted amount with what is added to it. What was counted has the pictures to start from in it already.
    fn counted(&self, request: &ImageRequest, counted: ExactFraction, pictures: u32) -> Option<Usd> {
        let added = self.addons(request, |addon| addon != Addon::InputImage)?.many(pictures)?;
        counted.ppm(self.multiplier_ppm)?.plus(added)?.with_markup(self.markup_ppm)?.rounded()
    }

    /// The add-ons of one picture, those of them that are `meant`.
    fn addons(&self, request: &ImageRequest, meant: impl Fn(Addon) -> bool) -> Option<ExactFraction> {
        self.addons.iter().filter(|(addon, _)| meant(*addon)).try_fold(ExactFraction::ZERO, |total, (addon, usd)| {
            total.plus(ExactFraction::times(*usd, u64::try_from(addon.times(request)).ok()?)?)
        })
    }

    /// The most that reading the request's words can cost.
    fn read_before(&self, request: &ImageRequest) -> Option<ExactFraction> {
        let Some(Meter::Tokens(price)) = &self.meter else { return Some(ExactFraction::ZERO) };
        price.text(request.prompt.len() + request.negative_prompt.as_ref().map_or(0, String::len))
    }
}

#[cfg(test)]
mod tests;
