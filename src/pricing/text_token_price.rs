//! What words cost: a language model's counts of tokens, priced by the million.
//!
//! Like every price, these come only from the config. What the vendor keeps of a prompt for its own reuse is priced by
//! Anthropic's factors (PROVIDERS.md 11). An amount that does not fit is `None`, never zero.

use crate::money::Usd;

/// Nano-dollars come out of hundredths of a token's price by the million.
const HUNDREDTHS_OF_A_MILLION: i128 = 100_000_000;

/// Tokens of one call, as the vendor counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextTokens {
    /// Read, those below not among them.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read and put into the vendor's cache for five minutes.
    pub kept_5m: u64,
    /// Read and put into the vendor's cache for an hour.
    pub kept_1h: u64,
    /// Found in the vendor's cache.
    pub reused: u64,
}

/// What a million tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextTokenPrice {
    /// Of what is read.
    pub text_in: Usd,
    /// Of what the vendor found in its cache of what is read; `None` is Anthropic's tenth of `text_in`.
    pub text_cached_in: Option<Usd>,
    /// Of an answer; `None` for a model that writes none, such as one of embeddings.
    pub text_out: Option<Usd>,
    /// Parts per million on top, for resellers.
    pub markup_ppm: u32,
}

impl TextTokenPrice {
    /// The price of one call, rounded half up to the nano-dollar once, over all its tokens. `None` when it does not
    /// fit, or an answer was written that has no price.
    pub fn of(&self, tokens: &TextTokens) -> Option<Usd> {
        let TextTokens { input, output, kept_5m, kept_1h, reused } = *tokens;
        let part = |count: u64, price: Usd, hundredths: i128| {
            i128::from(count).checked_mul(i128::from(price.nanos()))?.checked_mul(hundredths)
        };
        let parts = [
            part(input, self.text_in, 100)?,
            part(kept_5m, self.text_in, 125)?,
            part(kept_1h, self.text_in, 200)?,
            match self.text_cached_in {
                Some(price) => part(reused, price, 100)?,
                None => part(reused, self.text_in, 10)?,
            },
            match self.text_out {
                Some(price) => part(output, price, 100)?,
                None if output == 0 => 0,
                None => return None,
            },
        ];
        let total = parts.into_iter().try_fold(HUNDREDTHS_OF_A_MILLION / 2, i128::checked_add)?;
        let nanos = i64::try_from(total.div_euclid(HUNDREDTHS_OF_A_MILLION)).ok()?;
        Usd::from_nanos(nanos).with_markup(self.markup_ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text_in: &str, text_out: &str, markup_ppm: u32) -> TextTokenPrice {
        let (text_in, text_out) = (text_in.parse().unwrap(), Some(text_out.parse().unwrap()));
        TextTokenPrice { text_in, text_cached_in: None, text_out, markup_ppm }
    }

    #[test]
    fn a_call_costs_what_its_tokens_cost_and_the_vendors_own_cache_has_its_factors() {
        let haiku = price("1.00", "5.00", 0);
        let cost = |tokens: TextTokens| haiku.of(&tokens).unwrap().nanos();
        assert_eq!(cost(TextTokens { input: 25, output: 80, ..TextTokens::default() }), 25_000 + 400_000);
        assert_eq!(cost(TextTokens { kept_5m: 8, ..TextTokens::default() }), 10_000);
        assert_eq!(cost(TextTokens { kept_1h: 8, ..TextTokens::default() }), 16_000);
        assert_eq!(cost(TextTokens { reused: 8, ..TextTokens::default() }), 800);
        let all = TextTokens { input: 1, output: 1, kept_5m: 1, kept_1h: 1, reused: 1 };
        assert_eq!(cost(all), 1000 + 5000 + 1250 + 2000 + 100);
    }

    #[test]
    fn a_fraction_of_a_nano_dollar_is_rounded_once_over_the_whole_call() {
        let odd = price("0.0004", "0.0004", 0);
        let cost = |input, output| odd.of(&TextTokens { input, output, ..TextTokens::default() }).unwrap().nanos();
        assert_eq!([cost(1, 0), cost(1, 1), cost(2, 1), cost(0, 0)], [0, 1, 1, 0]);
        let reseller = price("1.00", "5.00", 55_000);
        assert_eq!(reseller.of(&TextTokens { input: 3, ..TextTokens::default() }).unwrap().nanos(), 3165);
    }

    #[test]
    fn a_cache_with_a_price_of_its_own_is_charged_by_it() {
        let nano = TextTokenPrice { text_cached_in: Some("0.025".parse().unwrap()), ..price("0.05", "0.40", 0) };
        let tokens = TextTokens { input: 10, reused: 100, output: 3, ..TextTokens::default() };
        assert_eq!(nano.of(&tokens).unwrap().nanos(), 500 + 2_500 + 1_200);
    }

    #[test]
    fn an_answer_that_has_no_price_is_not_free() {
        let embedder = TextTokenPrice { text_out: None, ..price("0.02", "0", 0) };
        let cost = |output| embedder.of(&TextTokens { input: 60, output, ..TextTokens::default() });
        assert_eq!((cost(0), cost(1)), (Some(Usd::from_nanos(1_200)), None));
    }

    #[test]
    fn a_price_that_does_not_fit_is_no_price() {
        let dear = price("9000000000", "1", 0);
        assert_eq!(dear.of(&TextTokens { input: u64::MAX, ..TextTokens::default() }), None);
        assert_eq!(dear.of(&TextTokens { kept_1h: 1_000_000, ..TextTokens::default() }), None);
    }
}
