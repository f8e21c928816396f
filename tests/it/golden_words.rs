//! Golden wire samples of the kind that writes prompts: `tests/golden/anthropic/<case>.json`.
//!
//! Apart from `golden.rs`, because words go out and words come back: there is no picture to fit, to find or to inspect.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use easel::Usd;
use easel::internals::calendar::Moment;
use easel::internals::config::plan::{Account, Dialect, Rate, TextModel};
use easel::internals::failure::Failure;
use easel::internals::pricing::{TextTokenPrice, TextTokens};
use easel::internals::provider::anthropic::{self, NoRewrite, RewriteReply, RewriteRequest};
use easel::internals::provider::{Call, Reply};
use easel::internals::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const KEY: &str = "key-0123456789abcdef";

/// One case as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows, in a sentence.
    about: String,
    model: String,
    #[serde(default)]
    options: BTreeMap<String, Value>,
    system: String,
    max_tokens: u32,
    prompt: String,
    base_url: Option<String>,
    /// What must be sent; absent in cases that are about the reply alone.
    call: Option<Value>,
    reply: HeldReply,
    outcome: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldReply {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// JSON, or a string that is the body itself.
    body: Value,
}

#[test]
fn every_sample_of_words_is_sent_and_read_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(anthropic::NAME);
    let (mut cases, mut wrong) = (0, String::new());
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (what, expected, actual) in case.differences() {
            let about = &case.about;
            wrong += &format!("\n== {}: {what}\n   ({about})\n{expected:#}\n-- was\n{actual:#}\n", path.display());
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 8, "too few samples to mean anything");
}

impl Case {
    /// What this case expects and does not get.
    fn differences(&self) -> Vec<(&'static str, Value, Value)> {
        let account = Account {
            base_url: self.base_url.as_deref().unwrap_or(anthropic::DEFAULT_BASE_URL).parse().unwrap(),
            api_key: Some(Secret::new(KEY)),
            organization: None,
            project: None,
            location: None,
            credentials: None,
            api_version: None,
            poll_hosts: Vec::new(),
            dialect: Dialect::default(),
        };
        let price = TextTokenPrice { text_in: Usd::ZERO, text_out: Usd::ZERO, markup_ppm: 0 };
        let writer =
            TextModel { name: self.model.clone(), price, rate: Rate::default(), options: self.options.clone() };
        let Case { system, max_tokens, prompt, .. } = self;
        let wish = RewriteRequest { account: &account, writer: &writer, system, max_tokens: *max_tokens, prompt };
        let mut differences = Vec::new();
        if let Some(call) = &self.call {
            differences.push(("the call", call.clone(), sent(&anthropic::ask(&wish).unwrap())));
        }
        let told = match anthropic::read(&wish, &self.reply()) {
            Ok(written) => self::written(&written),
            Err(failure) => failed(&failure),
        };
        differences.push(("the outcome", self.outcome.clone(), told));
        differences.retain(|(_, expected, actual)| expected != actual);
        differences
    }

    fn reply(&self) -> Reply {
        let body = match &self.reply.body {
            Value::String(text) => text.replace("<key>", KEY),
            json => json.to_string().replace("<key>", KEY),
        };
        let headers = self.reply.headers.iter();
        let headers: HeaderMap = headers
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();
        Reply { status: self.reply.status, headers, body: Bytes::from(body), at: Moment::default() }
    }
}

/// A call with every header, so that none is sent that no case shows.
fn sent(call: &Call) -> Value {
    let shown = |value: &HeaderValue| value.to_str().unwrap().replace(KEY, "<key>");
    assert!(!call.url.as_str().contains(KEY) && !String::from_utf8_lossy(&call.body).contains(KEY));
    assert!(call.headers.values().all(|value| !shown(value).contains("<key>") || value.is_sensitive()));
    let headers: BTreeMap<&str, String> =
        call.headers.iter().map(|(name, value)| (name.as_str(), shown(value))).collect();
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    json!({"method": call.method.as_str(), "url": call.url.as_str(), "headers": headers, "body": body})
}

fn written(written: &RewriteReply) -> Value {
    let mut told = match &written.text {
        Ok(text) => json!({"text": text}),
        Err(NoRewrite::Refused) => json!({"unwritten": "refused"}),
        Err(NoRewrite::MaxTokens) => json!({"unwritten": "max_tokens"}),
        Err(NoRewrite::Stopped) => json!({"unwritten": "stopped"}),
        Err(NoRewrite::Empty) => json!({"unwritten": "empty"}),
    };
    let TextTokens { input, output, kept_5m, kept_1h, reused } = written.tokens;
    let counts = [("input", input), ("output", output), ("kept_5m", kept_5m), ("kept_1h", kept_1h), ("reused", reused)];
    let counts: Map<String, Value> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect();
    told["tokens"] = Value::Object(counts);
    told
}

fn failed(failure: &Failure) -> Value {
    assert!(!failure.message.contains(KEY), "{failure}");
    let mut told = json!({"failed": failure.class.as_str()});
    if let Some(after) = failure.retry_after {
        told["retry_after_ms"] = json!(after.as_millis() as u64);
    }
    told
}
