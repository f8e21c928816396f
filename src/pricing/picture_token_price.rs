//! The tokens of calls that draw, and what a million of each kind cost.
//!
//! A kind of token that was counted and has no price leaves the whole call without one.

use crate::money::Usd;
use crate::pricing::fraction::ExactFraction;

/// Tokens that a price is for.
const MILLION: u32 = 1_000_000;

/// Tokens of a call that draws, as the vendor counts them. No token is in two of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureTokens {
    /// Of text, read.
    pub text_in: u64,
    /// Of text, found in the vendor's cache.
    pub text_cached_in: u64,
    /// Of pictures, read.
    pub image_in: u64,
    /// Of pictures, found in the vendor's cache.
    pub image_cached_in: u64,
    /// Of pictures, drawn.
    pub image_out: u64,
    /// Of text, written.
    pub text_out: u64,
}

impl PictureTokens {
    /// The tokens of both.
    pub fn plus(self, other: PictureTokens) -> PictureTokens {
        PictureTokens {
            text_in: self.text_in.saturating_add(other.text_in),
            text_cached_in: self.text_cached_in.saturating_add(other.text_cached_in),
            image_in: self.image_in.saturating_add(other.image_in),
            image_cached_in: self.image_cached_in.saturating_add(other.image_cached_in),
            image_out: self.image_out.saturating_add(other.image_out),
            text_out: self.text_out.saturating_add(other.text_out),
        }
    }
}

/// What a million of each kind cost; `None` where the config says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureTokenPrice {
    /// Text read.
    pub text_in: Option<Usd>,
    /// Text found in the vendor's cache; as `text_in` where nothing is said.
    pub text_cached_in: Option<Usd>,
    /// Pictures read.
    pub image_in: Option<Usd>,
    /// Pictures found in the vendor's cache; as `image_in` where nothing is said.
    pub image_cached_in: Option<Usd>,
    /// Pictures drawn.
    pub image_out: Option<Usd>,
    /// Text written.
    pub text_out: Option<Usd>,
}

impl PictureTokenPrice {
    /// The price of all of them. `None` where a kind that was counted has no price.
    pub(super) fn of(&self, tokens: &PictureTokens) -> Option<ExactFraction> {
        let PictureTokens { text_in, text_cached_in, image_in, image_cached_in, image_out, text_out } = *tokens;
        let kinds = [
            (text_in, self.text_in),
            (text_cached_in, self.text_cached_in.or(self.text_in)),
            (image_in, self.image_in),
            (image_cached_in, self.image_cached_in.or(self.image_in)),
            (image_out, self.image_out),
            (text_out, self.text_out),
        ];
        kinds.into_iter().filter(|(count, _)| *count > 0).try_fold(
            ExactFraction::share(Usd::ZERO, 0, MILLION)?,
            |total, kind| {
                let (count, usd) = kind;
                total.plus(ExactFraction::share(usd?, count, MILLION)?)
            },
        )
    }

    /// The most that reading this much text can cost: no vendor makes more than one token of a byte.
    pub(super) fn text(&self, bytes: usize) -> Option<ExactFraction> {
        ExactFraction::share(self.text_in.unwrap_or(Usd::ZERO), u64::try_from(bytes).ok()?, MILLION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Option<Usd> {
        Some(text.parse().unwrap())
    }

    fn nanos(exact: Option<ExactFraction>) -> Option<i64> {
        exact.and_then(ExactFraction::rounded).map(Usd::nanos)
    }

    fn gpt_image() -> PictureTokenPrice {
        PictureTokenPrice {
            text_in: usd("5"),
            text_cached_in: usd("1.25"),
            image_in: usd("8"),
            image_cached_in: usd("2"),
            image_out: usd("30"),
            text_out: usd("10"),
        }
    }

    #[test]
    fn every_kind_of_token_has_its_own_price() {
        let price = gpt_image();
        let one = PictureTokens {
            text_in: 1,
            text_cached_in: 10,
            image_in: 100,
            image_cached_in: 1000,
            image_out: 10_000,
            text_out: 100_000,
        };
        let expected = 5_000 + 12_500 + 800_000 + 2_000_000 + 300_000_000 + 1_000_000_000;
        assert_eq!(nanos(price.of(&one)), Some(expected));
    }

    #[test]
    fn what_is_cached_costs_the_same_unless_said_otherwise() {
        let price = PictureTokenPrice { text_cached_in: None, image_cached_in: None, ..gpt_image() };
        let cached = |tokens| nanos(price.of(&tokens));
        assert_eq!(cached(PictureTokens { text_cached_in: 3, ..PictureTokens::default() }), Some(15_000));
        assert_eq!(cached(PictureTokens { image_cached_in: 3, ..PictureTokens::default() }), Some(24_000));
    }

    #[test]
    fn a_kind_that_was_counted_and_has_no_price_leaves_the_call_without_one() {
        let price = PictureTokenPrice { image_out: usd("30"), ..PictureTokenPrice::default() };
        assert_eq!(nanos(price.of(&PictureTokens { image_out: 2, ..PictureTokens::default() })), Some(60_000));
        assert_eq!(nanos(price.of(&PictureTokens { image_out: 2, text_in: 1, ..PictureTokens::default() })), None);
        assert_eq!(nanos(price.of(&PictureTokens { text_cached_in: 1, ..PictureTokens::default() })), None);
    }

    #[test]
    fn tokens_are_rounded_once_over_all_of_them() {
        let tiny = |nanos| Some(Usd::from_nanos(nanos));
        let price = PictureTokenPrice { text_in: tiny(250_000), image_out: tiny(249_999), ..gpt_image() };
        let cost = |text_in, image_out| nanos(price.of(&PictureTokens { text_in, image_out, ..Default::default() }));
        assert_eq!([cost(1, 1), cost(2, 0), cost(0, 2), cost(1, 2)], [0, 1, 0, 1].map(Some));
    }
}
