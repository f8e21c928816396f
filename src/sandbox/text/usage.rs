//! Counts tokens, words them as `usage`, and prices them.

use serde_json::{Value, json};

use crate::money::Usd;
use crate::sandbox::settings::TokenPrice;

/// What an answer took, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextUsage {
    /// Read, those from the cache included.
    input: u64,
    cached: u64,
    /// Written, thoughts included.
    output: u64,
    thoughts: u64,
}

/// Four characters are a token.
pub(super) fn tokens(chars: usize) -> u64 {
    u64::try_from(chars.div_ceil(4)).unwrap_or(u64::MAX)
}

impl TextUsage {
    /// Of reading so many characters, half of them out of the vendor's cache where it is `cached`, writing so many, and
    /// thinking so many tokens.
    pub(super) fn of_writing(read: usize, cached: bool, written: usize, thoughts: u64) -> TextUsage {
        let input = tokens(read);
        let cached = if cached { input / 2 } else { 0 };
        TextUsage { input, cached, output: tokens(written).max(1) + thoughts, thoughts }
    }

    /// Of reading so many tokens and writing nothing.
    pub(super) fn of_reading(input: u64) -> TextUsage {
        TextUsage { input, ..TextUsage::default() }
    }

    /// A completion's.
    pub(super) fn to_json(self) -> Value {
        let TextUsage { input, cached, output, thoughts } = self;
        json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thoughts, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        })
    }

    /// Embeddings'.
    pub(super) fn to_short_json(self) -> Value {
        json!({"prompt_tokens": self.input, "total_tokens": self.input})
    }

    /// The price in whole nano-dollars, rounded half up. What came from the cache costs as much as the rest where it has no
    /// price.
    pub(super) fn price(&self, price: Option<&TokenPrice>) -> Usd {
        let TokenPrice { text_in, text_cached_in, text_out } = price.copied().unwrap_or_default();
        let nanos = |usd: Usd| u128::from(usd.nanos().unsigned_abs());
        let millionths = u128::from(self.input - self.cached) * nanos(text_in)
            + u128::from(self.cached) * nanos(text_cached_in.unwrap_or(text_in))
            + u128::from(self.output) * nanos(text_out);
        Usd::from_nanos(i64::try_from((millionths + 500_000) / 1_000_000).unwrap_or(i64::MAX))
    }
}
