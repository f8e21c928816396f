//! Counts the tokens that a request to OpenAI takes, and words them as `usage` (PROVIDERS.md 1.4).

use serde_json::{Value, json};

use crate::sandbox::metered_prices::ImageTokens;
use crate::sandbox::openai::models::tokens;
use crate::sandbox::openai::requests::ParsedRequest;

impl ParsedRequest {
    /// What drawing `n` pictures takes. Of a prompt with the word "cached" half is found in the cache, and one with the
    /// word "thinking" is thought about first.
    pub(super) fn tokens(&self, n: u32) -> ImageTokens {
        let text = u64::try_from(self.prompt.len()).unwrap_or(u64::MAX).div_ceil(4) + 7;
        let text_cached_in = if self.prompt.contains("cached") { text / 2 } else { 0 };
        ImageTokens {
            text_in: text - text_cached_in,
            text_cached_in,
            image_in: self.image_tokens,
            image_out: tokens(self.size, &self.quality) * u64::from(n),
            text_out: if self.prompt.contains("thinking") { 64 } else { 0 },
        }
    }

    /// The same as the JSON of an answer.
    pub(super) fn usage(&self, n: u32) -> Value {
        let ImageTokens { text_in, text_cached_in, image_in, image_out, text_out } = self.tokens(n);
        let (text, output) = (text_in + text_cached_in, image_out + text_out);
        let mut usage = json!({
            "input_tokens": text + image_in,
            "output_tokens": output,
            "total_tokens": text + image_in + output,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image_in},
            "output_tokens_details": {"image_tokens": image_out, "text_tokens": text_out},
        });
        if text_cached_in > 0 {
            let details = &mut usage["input_tokens_details"];
            details["cached_tokens"] = json!(text_cached_in);
            details["cached_tokens_details"] = json!({"text_tokens": text_cached_in, "image_tokens": 0});
        }
        usage
    }
}
