//! Anthropic's Messages API: language models (PROVIDERS.md section 11). It draws nothing.
//!
//! Two pure functions like any provider's, but not an [`Adapter`](crate::provider::adapter::Adapter): what goes out is words
//! and what comes back is words and a count of tokens.

use http::HeaderValue;
use http::header::HeaderName;
use serde_json::{Map, Value, json};

use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::pricing::TextTokens;
use crate::provider::adapter::{Call, Reply};
use crate::provider::common;
use crate::provider::common::addresses;
use crate::provider::common::chat::{ChatReply, ChatRequest, NoText};
use crate::provider::common::headers;
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::vendor_error::VendorError;

/// The `kind` in the config.
pub const NAME: &str = "anthropic";

/// Where the vendor lives.
pub const DEFAULT_BASE_URL: &str = "https://api.anthropic.com/v1/";

/// Model names worth suggesting.
pub const KNOWN_MODELS: &[&str] = &["claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-7"];

/// The version of the API that is spoken.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// The vendor's words for errors. A request it finds invalid is ours, not the caller's: the caller gave words only.
const CLASSES: &[(&str, Class)] = &[
    ("authentication_error", Class::Auth),
    ("permission_error", Class::Auth),
    ("billing_error", Class::Quota),
    ("not_found_error", Class::ModelGone),
    ("request_too_large", Class::CallerInvalid),
    ("rate_limit_error", Class::RateLimited),
    ("api_error", Class::Server),
    ("timeout_error", Class::TimeoutAmbiguous),
    ("overloaded_error", Class::Server),
    ("invalid_request_error", Class::AdapterBug),
];

/// The call that asks for `wish`.
///
/// # Errors
/// When the account's address or key cannot be used.
pub fn chat(wish: &ChatRequest<'_>) -> Result<Call, Failure> {
    let url = addresses::address(&wish.account.base_url, ["messages"])?;
    let mut headers = headers::call_headers(wish.account, "x-api-key", "")?;
    headers.insert(HeaderName::from_static(VERSION.0), HeaderValue::from_static(VERSION.1));
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(wish.model.name));
    body.insert("max_tokens".to_owned(), json!(wish.max_tokens));
    body.insert("system".to_owned(), json!(wish.system));
    body.insert("messages".to_owned(), json!([{"role": "user", "content": wish.user}]));
    // The config has the last word, as with models that draw.
    body.extend(wish.model.options.iter().map(|(field, value)| (field.clone(), value.clone())));
    Ok(Call::post_json(url, headers, &Value::Object(body)))
}

/// What `reply` to that call means.
///
/// # Errors
/// When nothing was written. Whether something is charged all the same, the failure tells by its class.
pub fn read_chat(wish: &ChatRequest<'_>, reply: &Reply) -> Result<ChatReply, Failure> {
    if !(200..300).contains(&reply.status) {
        return Err(failure(wish, reply, &VendorError::read(&reply.body)));
    }
    let malformed = |what: &str| {
        let head = String::from_utf8_lossy(&reply.body[..reply.body.len().min(500)]).into_owned();
        Failure::new(Class::Malformed, told(wish, &format!("HTTP 200 {what}: {head}")))
    };
    let json = Json::read(&reply.body).map_err(|_| malformed("is not JSON"))?;
    if json.text_at("type") == Some("error") {
        return Err(failure(wish, reply, &VendorError::from_json(&json)));
    }
    let tokens = tokens(&reply.body).ok_or_else(|| malformed("does not say what it used"))?;
    let text = match json.text_at("stop_reason") {
        Some("end_turn" | "stop_sequence") => words(&json),
        Some("refusal") => Err(NoText::Refused),
        Some("max_tokens") => Err(NoText::MaxTokens),
        // Whatever it is, its tokens are told and charged.
        Some(_) | None => Err(NoText::Stopped),
    };
    Ok(ChatReply { text, tokens: Some(tokens) })
}

/// The text blocks, one after the other. Other blocks (thinking, tools) are not for the reader.
fn words(json: &Json<'_>) -> Result<String, NoText> {
    let blocks = json.get("content").map_or(&[][..], Json::items);
    let blocks = blocks.iter().filter(|block| block.text_at("type") == Some("text"));
    let text: String = blocks.filter_map(|block| block.text_at("text")).collect();
    match text.trim() {
        "" => Err(NoText::Empty),
        text => Ok(text.to_owned()),
    }
}

/// What was used; `None` when the two counts that are always there are not.
fn tokens(body: &[u8]) -> Option<TextTokens> {
    let count = |name: &str| number_at(body, &format!("usage.{name}"))?.parse::<u64>().ok();
    let kept = count("cache_creation_input_tokens").unwrap_or(0);
    let kept_1h = count("cache_creation.ephemeral_1h_input_tokens").unwrap_or(0).min(kept);
    Some(TextTokens {
        input: count("input_tokens")?,
        output: count("output_tokens")?,
        kept_5m: kept - kept_1h,
        kept_1h,
        reused: count("cache_read_input_tokens").unwrap_or(0),
    })
}

/// The class by the vendor's word, else by the status.
fn failure(wish: &ChatRequest<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let broke = matches!(reply.status, 400 | 402 | 403) && vendor_error.mentions(&["credit balance is too low"]);
    let finding = match vendor_error.by_word(CLASSES, reply.status) {
        _ if broke => Classification::stated(Class::Quota),
        // It is one on a model or a feature.
        Some(Class::Auth) if reply.status == 403 => Classification::stated(Class::Auth).at(FailureScope::Model),
        Some(class) => Classification::stated(class),
        None => vendor_error.by_status(reply.status),
    };
    let words = format!("HTTP {} {}: {}", reply.status, vendor_error.words.join(" "), vendor_error.message);
    let failure = Failure::found(finding, told(wish, &words));
    match finding.class {
        Class::RateLimited | Class::Server => failure.with_retry_after(vendor_error.come_back(finding.class, reply)),
        _ => failure,
    }
}

/// Words for the operator's log, without the key.
fn told(wish: &ChatRequest<'_>, words: &str) -> String {
    common::vendor_error::short(&headers::without_key(wish.account, words))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::Moment;
    use crate::config::plan::{Rate, TextModel};
    use crate::money::Usd;
    use crate::pricing::TextTokenPrice;
    use crate::provider::common::fixture::account;

    const KEY: &str = "sk-ant-0123456789abcdef";

    fn with_request<T>(run: impl FnOnce(&ChatRequest<'_>) -> T) -> T {
        let account = account(DEFAULT_BASE_URL, KEY);
        let price = TextTokenPrice { text_in: Usd::ZERO, text_cached_in: None, text_out: None, markup_ppm: 0 };
        let writer =
            TextModel { name: "claude-haiku-4-5".to_owned(), price, rate: Rate::default(), options: BTreeMap::new() };
        run(&ChatRequest { account: &account, model: &writer, system: "s", max_tokens: 400, user: "a fox" })
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            at: Moment::default(),
        }
    }

    #[test]
    fn every_error_of_the_vendor_has_its_class() {
        for (status, word, class) in [
            (400, "invalid_request_error", Class::AdapterBug),
            (401, "authentication_error", Class::Auth),
            (402, "billing_error", Class::Quota),
            (403, "permission_error", Class::Auth),
            (404, "not_found_error", Class::ModelGone),
            (413, "request_too_large", Class::CallerInvalid),
            (429, "rate_limit_error", Class::RateLimited),
            (500, "api_error", Class::Server),
            (504, "timeout_error", Class::TimeoutAmbiguous),
            (529, "overloaded_error", Class::Server),
        ] {
            let body = json!({"type": "error", "error": {"type": word, "message": "m"}, "request_id": "req_1"});
            for body in [body.to_string(), String::new(), "<html>".to_owned()] {
                let failure = with_request(|wish| read_chat(wish, &reply(status, &body))).unwrap_err();
                // What is not the vendor's own word is judged by its status, which says less of a 400.
                let expected = if status == 400 && !body.starts_with('{') { Class::CallerInvalid } else { class };
                assert_eq!(failure.class, expected, "{status} {body}");
            }
        }
    }

    #[test]
    fn an_account_without_credit_is_out_of_money_whatever_the_status() {
        let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":
            "Your credit balance is too low to access the Anthropic API."}}"#;
        let failure = with_request(|wish| read_chat(wish, &reply(400, body))).unwrap_err();
        assert_eq!((failure.class, failure.billed), (Class::Quota, 0));
    }

    #[test]
    fn a_waiting_time_is_kept_and_a_key_is_not() {
        let body = format!(r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"slow down {KEY}"}}}}"#);
        let failure = with_request(|wish| read_chat(wish, &reply(429, &body).with("retry-after", "7"))).unwrap_err();
        assert_eq!(failure.retry_after.map(|after| after.as_secs()), Some(7));
        assert!(failure.message.contains("slow down ***"), "{failure}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            status in 0u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let reply = Reply { status, headers: HeaderMap::new(), body: Bytes::from(body), at: Moment::default() };
            let read = with_request(|wish| read_chat(wish, &reply));
            prop_assert!(read.is_ok() || read.is_err());
        }

        #[test]
        fn no_odd_counts_make_the_reader_panic(count in prop_oneof![Just("-1".to_owned()), Just("1e99".to_owned()),
            Just("null".to_owned()), any::<u64>().prop_map(|n| n.to_string())]) {
            let body = format!(r#"{{"stop_reason":"end_turn","content":[{{"type":"text","text":" x "}}],"usage":
                {{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":{count},
                "cache_creation":{{"ephemeral_1h_input_tokens":{count}}},"cache_read_input_tokens":{count}}}}}"#);
            let written = with_request(|wish| read_chat(wish, &reply(200, &body))).unwrap();
            prop_assert_eq!(written.text.as_deref(), Ok("x"));
        }
    }
}
