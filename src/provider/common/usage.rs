//! What vendors count while they draw: tokens by kind, in OpenAI's words and in Google's (PROVIDERS.md 1.4 and 4.2).
//!
//! The kinds are pulled apart so that no token is in two of them; what a vendor leaves open is taken for the kind that
//! it mostly is. A reply that counts nothing gives `None`, never zeros. What a token costs is not known here.

use crate::pricing::PictureTokens;
use crate::provider::common::json::Json;

/// Tokens as `usage` of OpenAI's Images API tells them. Without details all that was read is text, and all that was
/// made is pictures.
pub fn openai(json: &Json<'_>) -> Option<PictureTokens> {
    let usage = json.get("usage")?;
    let at = |path: &str| usage.at(path).and_then(count);
    let (read, made) = (at("input_tokens"), at("output_tokens"));
    if read.is_none() && made.is_none() {
        return None;
    }
    let image_in = at("input_tokens_details.image_tokens").unwrap_or(0);
    let text_in = at("input_tokens_details.text_tokens").unwrap_or(0);
    let text_in = text_in.max(read.unwrap_or(0).saturating_sub(image_in));
    let text_out = at("output_tokens_details.text_tokens").unwrap_or(0);
    let image_out = at("output_tokens_details.image_tokens").unwrap_or(0);
    let image_out = image_out.max(made.unwrap_or(0).saturating_sub(text_out));
    // The whole is told beside its parts; where only the whole is, text is the cheaper one to have cached.
    let cached = at("input_tokens_details.cached_tokens").unwrap_or(0);
    let image_cached = at("input_tokens_details.cached_tokens_details.image_tokens");
    let text_cached = at("input_tokens_details.cached_tokens_details.text_tokens");
    let text_cached = text_cached.unwrap_or_else(|| cached.saturating_sub(image_cached.unwrap_or(0))).min(text_in);
    let image_cached = image_cached.unwrap_or_else(|| cached.saturating_sub(text_cached)).min(image_in);
    Some(PictureTokens {
        text_in: text_in - text_cached,
        text_cached_in: text_cached,
        image_in: image_in - image_cached,
        image_cached_in: image_cached,
        image_out,
        text_out,
    })
}

/// Tokens as Gemini's `usageMetadata` tells them. Thoughts are text that was written, and are not among the
/// candidates' tokens.
pub fn gemini(json: &Json<'_>) -> Option<PictureTokens> {
    let usage = json.get("usageMetadata")?;
    let at = |key: &str| usage.get(key).and_then(count);
    let images = |key: &str| of_images(usage.get(key));
    let (read, made) = (at("promptTokenCount"), at("candidatesTokenCount"));
    if read.is_none() && made.is_none() {
        return None;
    }
    let (read, made) = (read.unwrap_or(0), made.unwrap_or(0));
    let image_in = images("promptTokensDetails").unwrap_or(0).min(read);
    let image_out = images("candidatesTokensDetails").unwrap_or(made).min(made);
    let cached = at("cachedContentTokenCount").unwrap_or(0).min(read);
    let text_in = read - image_in;
    let image_cached = images("cacheTokensDetails").unwrap_or_else(|| cached.saturating_sub(text_in));
    let image_cached = image_cached.min(image_in).min(cached);
    let text_cached = (cached - image_cached).min(text_in);
    Some(PictureTokens {
        text_in: text_in - text_cached,
        text_cached_in: text_cached,
        image_in: image_in - image_cached,
        image_cached_in: image_cached,
        image_out,
        text_out: (made - image_out).saturating_add(at("thoughtsTokenCount").unwrap_or(0)),
    })
}

/// The pictures' tokens in a list by modality; `None` where there is no list.
fn of_images(list: Option<&Json<'_>>) -> Option<u64> {
    let images = list?.items().iter().filter(|item| item.text_at("modality") == Some("IMAGE"));
    Some(images.filter_map(|item| item.get("tokenCount").and_then(count)).fold(0, u64::saturating_add))
}

/// A count of tokens. Nonsense is none; no call has a trillion.
fn count(json: &Json<'_>) -> Option<u64> {
    match json {
        Json::Number(count) if (0.0..1e12).contains(count) => Some(*count as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai_of(usage: &str) -> Option<[u64; 6]> {
        let body = format!(r#"{{"usage":{usage}}}"#);
        openai(&Json::read(body.as_bytes()).unwrap()).map(listed)
    }

    fn gemini_of(usage: &str) -> Option<[u64; 6]> {
        let body = format!(r#"{{"usageMetadata":{usage}}}"#);
        gemini(&Json::read(body.as_bytes()).unwrap()).map(listed)
    }

    fn listed(tokens: PictureTokens) -> [u64; 6] {
        let PictureTokens { text_in, text_cached_in, image_in, image_cached_in, image_out, text_out } = tokens;
        [text_in, text_cached_in, image_in, image_cached_in, image_out, text_out]
    }

    #[test]
    fn openais_tokens_are_told_apart_by_kind() {
        let usage = r#"{"input_tokens":350,"output_tokens":4200,"input_tokens_details":{"text_tokens":50,
            "image_tokens":300,"cached_tokens":140,"cached_tokens_details":{"text_tokens":40,"image_tokens":100}},
            "output_tokens_details":{"image_tokens":4160,"text_tokens":40}}"#;
        assert_eq!(openai_of(usage), Some([10, 40, 200, 100, 4160, 40]));
        assert_eq!(openai_of(r#"{"input_tokens":50,"output_tokens":4160}"#), Some([50, 0, 0, 0, 4160, 0]));
        let whole = r#"{"input_tokens":60,"output_tokens":1,"input_tokens_details":{"text_tokens":10,
            "image_tokens":50,"cached_tokens":30}}"#;
        assert_eq!(openai_of(whole), Some([0, 10, 30, 20, 1, 0]));
    }

    #[test]
    fn googles_tokens_are_told_apart_by_modality_and_thoughts_are_written_text() {
        let usage = r#"{"promptTokenCount":266,"candidatesTokenCount":1300,"thoughtsTokenCount":77,
            "cachedContentTokenCount":6,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8},
            {"modality":"IMAGE","tokenCount":258}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}"#;
        assert_eq!(gemini_of(usage), Some([2, 6, 258, 0, 1290, 87]));
        assert_eq!(gemini_of(r#"{"promptTokenCount":8,"candidatesTokenCount":1290}"#), Some([8, 0, 0, 0, 1290, 0]));
    }

    #[test]
    fn what_counts_nothing_is_not_taken_for_zero() {
        for usage in ["null", "{}", r#"{"input_tokens":"many","output_tokens":-3}"#, "[]"] {
            assert_eq!(openai_of(usage), None, "{usage}");
            assert_eq!(gemini_of(&usage.replace("input_tokens", "promptTokenCount")), None, "{usage}");
        }
    }
}
