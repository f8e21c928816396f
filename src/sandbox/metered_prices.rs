//! What the sandbox's vendors charge by other than the picture: tokens, seconds, megapixels, steps.
//!
//! The arithmetic is the sandbox's own, from the vendors' price pages (PROVIDERS.md 15) and not from Easel's pricing,
//! so that an invoice that equals the ledger says something. Amounts are rounded half up once, at the end.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::image::Size;
use crate::money::Usd;
use crate::sandbox::settings_serde::{maybe_parsed, parsed};

/// Pixels of a megapixel.
const MILLION: u128 = 1_000_000;

/// Prices by model, of one vendor. A model in none of them is charged by the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// By the token, as `usage` reports them; at openai, azure and google. What was
    /// refused there is charged for the tokens that it reports.
    pub image_tokens: BTreeMap<String, ImageTokenPrice>,
    /// By the second of computing, which is random and reported as `predict_time`; at replicate. What was refused or
    /// failed after it ran is charged too.
    pub per_second: BTreeMap<String, Dollars>,
    /// By the megapixel; at every vendor that charges by size.
    pub per_megapixel: BTreeMap<String, MegapixelPrice>,
    /// By the step; at every vendor likewise.
    pub per_step: BTreeMap<String, StepPrice>,
}

/// An amount in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Dollars(#[serde(deserialize_with = "parsed")] pub Usd);

/// What a million of a model's tokens cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageTokenPrice {
    /// Text read.
    #[serde(deserialize_with = "parsed")]
    pub text_in: Usd,
    /// Text found in the cache: half of what is read of a prompt with the word "cached".
    #[serde(deserialize_with = "parsed")]
    pub text_cached_in: Usd,
    /// Pictures read.
    #[serde(deserialize_with = "parsed")]
    pub image_in: Usd,
    /// Pictures drawn.
    #[serde(deserialize_with = "parsed")]
    pub image_out: Usd,
    /// Text written, thoughts included.
    #[serde(deserialize_with = "parsed")]
    pub text_out: Usd,
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ImageTokens {
    pub text_in: u64,
    pub text_cached_in: u64,
    pub image_in: u64,
    pub image_out: u64,
    pub text_out: u64,
}

/// What a megapixel costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MegapixelPrice {
    /// The first, or all of them.
    #[serde(deserialize_with = "parsed")]
    pub usd: Usd,
    /// Each after the first; as the first where it is absent.
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub extra: Option<Usd>,
    /// Each of the pictures to start from; nothing where it is absent.
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub input: Option<Usd>,
    /// What a part of one is charged as.
    #[serde(default)]
    pub round: Round,
}

/// What a part of a megapixel is charged as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Round {
    /// A whole one.
    #[default]
    Up,
    /// A whole one from the half on.
    Nearest,
    /// A part.
    Exact,
}

/// What a step costs, and a tile of 512x512.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPrice {
    /// A step.
    #[serde(deserialize_with = "parsed")]
    pub usd: Usd,
    /// Steps of every picture.
    pub steps: u32,
    /// A tile; nothing where it is absent.
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub tile: Option<Usd>,
}

impl Rates {
    /// The price of a picture by its pixels or steps; `None` where this model has no such price.
    pub(super) fn picture(&self, model: &str, size: Size, given: &[Size]) -> Option<Usd> {
        let by_pixels = || self.per_megapixel.get(model).map(|price| price.of(size, given));
        self.per_step.get(model).map(|price| price.of(size)).or_else(by_pixels)
    }

    /// How many megapixels of a picture are charged, in hundredths; `None` where this model has no such price.
    pub(super) fn units(&self, model: &str, size: Size) -> Option<u64> {
        let price = self.per_megapixel.get(model)?;
        u64::try_from(price.round.pixels(size) / 10_000).ok()
    }

    /// The price of so many microseconds; `None` where this model has no such price.
    pub(super) fn seconds(&self, model: &str, micros: u64) -> Option<Usd> {
        let Dollars(rate) = self.per_second.get(model)?;
        Some(half_up(nanos(*rate) * u128::from(micros), MILLION))
    }

    /// The price of a call by its tokens; `None` where this model has no such price.
    pub(super) fn tokens(&self, model: &str, tokens: &ImageTokens) -> Option<Usd> {
        let ImageTokenPrice { text_in, text_cached_in, image_in, image_out, text_out } =
            *self.image_tokens.get(model)?;
        let of = |usd: Usd, count: u64| nanos(usd) * u128::from(count);
        let read = of(text_in, tokens.text_in) + of(text_cached_in, tokens.text_cached_in);
        let all = read + of(image_in, tokens.image_in) + of(image_out, tokens.image_out);
        Some(half_up(all + of(text_out, tokens.text_out), MILLION))
    }
}

impl MegapixelPrice {
    fn of(&self, size: Size, given: &[Size]) -> Usd {
        let drawn = self.round.pixels(size);
        let first = match self.extra {
            None => nanos(self.usd) * drawn,
            Some(extra) => nanos(self.usd) * MILLION + nanos(extra) * drawn.saturating_sub(MILLION),
        };
        let given: u128 = given.iter().map(|size| self.round.pixels(*size)).sum();
        half_up(first + nanos(self.input.unwrap_or(Usd::ZERO)) * given, MILLION)
    }
}

impl Round {
    /// Pixels as they are charged; of whole megapixels there is at least one.
    fn pixels(self, size: Size) -> u128 {
        let pixels = u128::from(size.width) * u128::from(size.height);
        match self {
            Round::Exact => pixels,
            Round::Up => pixels.div_ceil(MILLION) * MILLION,
            Round::Nearest => ((pixels + MILLION / 2) / MILLION).max(1) * MILLION,
        }
    }
}

impl StepPrice {
    fn of(&self, size: Size) -> Usd {
        let along = |side: u32| u128::from(side).div_ceil(512);
        let tiles = nanos(self.tile.unwrap_or(Usd::ZERO)) * along(size.width) * along(size.height);
        half_up(nanos(self.usd) * u128::from(self.steps) + tiles, 1)
    }
}

/// Prices are not negative.
fn nanos(usd: Usd) -> u128 {
    u128::from(usd.nanos().unsigned_abs())
}

/// An amount that no sandbox reaches is the largest there is, which `Billing` finds too much for its bill.
fn half_up(amount: u128, per: u128) -> Usd {
    Usd::from_nanos(i64::try_from((amount + per / 2) / per).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        serde_yaml::from_str(
            "image_tokens: {t: {text_in: 5, text_cached_in: 1.25, image_in: 8, image_out: 30, text_out: 10}}
per_second: {s: 0.000975}
per_megapixel: {m: {usd: 0.003}, f: {usd: 0.03, extra: 0.015, input: 0.01, round: nearest}}
per_step: {p: {usd: 0.00011, steps: 4, tile: 0.000053}}",
        )
        .unwrap()
    }

    #[test]
    fn each_kind_of_price_is_read_and_reckoned() {
        let rates = rates();
        let (small, large) = (Size::new(512, 513), Size::new(1500, 1000));
        let picture = |model, size, given: &[Size]| rates.picture(model, size, given).unwrap().to_string();
        assert_eq!([picture("m", small, &[]), picture("m", large, &[large])], ["0.003", "0.006"]);
        assert_eq!([picture("f", small, &[]), picture("f", large, &[large, small])], ["0.03", "0.075"]);
        assert_eq!(picture("p", small, &[]), "0.000546");
        assert_eq!((rates.picture("t", small, &[]), rates.units("m", large)), (None, Some(200)));
        let tokens = ImageTokens { text_in: 1, text_cached_in: 1, image_in: 1, image_out: 1, text_out: 1 };
        assert_eq!(rates.tokens("t", &tokens).unwrap().to_string(), "0.00005425");
        assert_eq!(rates.seconds("s", 680_001).unwrap().nanos(), 663_001);
        assert_eq!((rates.seconds("m", 1), rates.tokens("m", &tokens)), (None, None));
    }
}
