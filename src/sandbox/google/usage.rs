//! Counts the tokens of a call to Gemini and words them as `usageMetadata` (PROVIDERS.md 4.2).
//!
//! Only models with a price by the token report them in full; the others report the same few numbers always. Imagen
//! counts none.

use serde_json::{Value, json};

use crate::sandbox::metered_prices::ImageTokens;

/// Tokens of a picture that is given.
const GIVEN: u64 = 258;

/// Tokens of a thought.
const THOUGHT: u64 = 77;

/// What reading so much takes: a token for every four bytes, half of it cached in a prompt with the word "cached".
pub(in crate::sandbox) fn of_reading(prompt: &str, pictures: u64) -> ImageTokens {
    let text = u64::try_from(prompt.len()).unwrap_or(u64::MAX).div_ceil(4);
    let text_cached_in = if prompt.contains("cached") { text / 2 } else { 0 };
    ImageTokens { text_in: text - text_cached_in, text_cached_in, image_in: GIVEN * pictures, ..ImageTokens::default() }
}

/// The same with a picture of this edge drawn, and thought about first where the prompt has the word "thinking".
pub(in crate::sandbox) fn of_drawing(prompt: &str, pictures: u64, edge: u32) -> ImageTokens {
    let image_out = match edge {
        512 => 747,
        2048 => 1680,
        4096 => 2520,
        _ => 1120,
    };
    let text_out = if prompt.contains("thinking") { THOUGHT } else { 0 };
    ImageTokens { image_out, text_out, ..of_reading(prompt, pictures) }
}

/// `usageMetadata`. Thoughts are counted beside the candidates' tokens, not among them.
pub(in crate::sandbox) fn to_json(tokens: &ImageTokens) -> Value {
    let ImageTokens { text_in, text_cached_in, image_in, image_out, text_out } = *tokens;
    let (text, total) = (text_in + text_cached_in, text_in + text_cached_in + image_in + image_out + text_out);
    let mut read = vec![json!({"modality": "TEXT", "tokenCount": text})];
    if image_in > 0 {
        read.push(json!({"modality": "IMAGE", "tokenCount": image_in}));
    }
    let mut usage = json!({"promptTokenCount": text + image_in, "totalTokenCount": total, "promptTokensDetails": read});
    if image_out > 0 {
        usage["candidatesTokenCount"] = json!(image_out);
        usage["candidatesTokensDetails"] = json!([{"modality": "IMAGE", "tokenCount": image_out}]);
    }
    if text_out > 0 {
        usage["thoughtsTokenCount"] = json!(text_out);
    }
    if text_cached_in > 0 {
        usage["cachedContentTokenCount"] = json!(text_cached_in);
        usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": text_cached_in}]);
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_counted_beside_the_pictures_tokens_and_cached_ones_among_the_prompts() {
        let usage = to_json(&of_drawing("thinking of a cached fox", 1, 2048));
        for (key, count) in [
            ("promptTokenCount", 264),
            ("candidatesTokenCount", 1680),
            ("thoughtsTokenCount", 77),
            ("cachedContentTokenCount", 3),
            ("totalTokenCount", 2021),
        ] {
            assert_eq!(usage[key], count, "{key}");
        }
        assert_eq!(to_json(&of_reading("a fox", 0)).get("candidatesTokenCount"), None);
    }
}
