//! Counts the tokens of an answer from Anthropic, words them as `usage`, and prices them.

use serde_json::{Value, json};

use crate::money::Usd;
use crate::sandbox::settings::TokenPrice;

/// What an answer took, in tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TokenUsage {
    input: u64,
    output: u64,
    five_minutes: u64,
    one_hour: u64,
    reused: u64,
}

impl TokenUsage {
    pub(super) fn of(read: usize, written: usize, cached: bool) -> TokenUsage {
        let tokens = |chars: usize| u64::try_from(chars.div_ceil(4)).unwrap_or(u64::MAX);
        let (input, output) = (tokens(read), tokens(written).max(1));
        match cached {
            false => TokenUsage { input, output, ..TokenUsage::default() },
            true => TokenUsage {
                input: input - 3 * (input / 4),
                output,
                five_minutes: input / 4,
                one_hour: input / 4,
                reused: input / 4,
            },
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cache_creation_input_tokens": self.five_minutes + self.one_hour,
            "cache_read_input_tokens": self.reused,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.five_minutes,
                "ephemeral_1h_input_tokens": self.one_hour,
            },
            "service_tier": "standard",
        })
    }

    /// The price in whole nano-dollars, rounded half up. Input that is kept costs a quarter more for five minutes and
    /// twice as much for an hour, input that is reused a tenth.
    pub(super) fn price(&self, price: Option<&TokenPrice>) -> Usd {
        let TokenPrice { text_in, text_out, .. } = price.copied().unwrap_or_default();
        // Twentieths of a token, so that a quarter and a tenth are whole.
        let read = 20 * u128::from(self.input)
            + 25 * u128::from(self.five_minutes)
            + 40 * u128::from(self.one_hour)
            + 2 * u128::from(self.reused);
        let nanos = |usd: Usd| u128::from(usd.nanos().unsigned_abs());
        let twentieths = read * nanos(text_in) + 20 * u128::from(self.output) * nanos(text_out);
        let rounded = (twentieths + 10_000_000) / 20_000_000;
        Usd::from_nanos(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_nano_dollar_is_rounded_up() {
        let (text_in, text_out) = (Usd::from_nanos(500_000), Usd::from_nanos(499_999));
        let price = TokenPrice { text_in, text_cached_in: None, text_out };
        let cost = |input, output| TokenUsage { input, output, ..TokenUsage::default() }.price(Some(&price)).nanos();
        assert_eq!([cost(1, 0), cost(0, 1), cost(1, 1)], [1, 0, 1]);
    }
}
