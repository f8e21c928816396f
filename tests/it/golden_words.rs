//! Golden wire samples of the kinds that write: `tests/golden/<kind>/<case>.json`.
//!
//! Apart from `golden.rs`, because words go out, and words or vectors come back: there is no picture to fit, to find or to
//! inspect.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use easel::Usd;
use easel::internals::calendar::Moment;
use easel::internals::config::plan::{Account, Dialect, Rate, TextModel};
use easel::internals::failure::Failure;
use easel::internals::pricing::{TextTokenPrice, TextTokens};
use easel::internals::provider::openai_text::{EmbedReply, EmbedRequest, embed, read_embeddings};
use easel::internals::provider::text::{self, TextKind};
use easel::internals::provider::{Call, ChatReply, ChatRequest, Reply};
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
    #[serde(default)]
    system: String,
    #[serde(default)]
    max_tokens: u32,
    #[serde(default)]
    prompt: String,
    /// Texts that are to become vectors; then nothing is written.
    inputs: Option<Vec<String>>,
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
    for kind in text::KINDS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind.name);
        let (mut cases, mut wrong) = (0, String::new());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for (what, expected, actual) in case.differences(kind) {
                let about = &case.about;
                wrong += &format!("\n== {}: {what}\n   ({about})\n{expected:#}\n-- was\n{actual:#}\n", path.display());
            }
            cases += 1;
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert!(cases >= 8, "{}: too few samples to mean anything", kind.name);
    }
}

impl Case {
    /// What this case expects and does not get.
    fn differences(&self, kind: &TextKind) -> Vec<(&'static str, Value, Value)> {
        let account = Account {
            base_url: self.base_url.as_deref().unwrap_or(kind.default_base_url).parse().unwrap(),
            api_key: Some(Secret::new(KEY)),
            organization: None,
            project: None,
            location: None,
            credentials: None,
            api_version: None,
            poll_hosts: Vec::new(),
            dialect: Dialect::default(),
        };
        let price = TextTokenPrice { text_in: Usd::ZERO, text_cached_in: None, text_out: None, markup_ppm: 0 };
        let model = TextModel { name: self.model.clone(), price, rate: Rate::default(), options: self.options.clone() };
        let reply = self.reply();
        let (call, told) = match &self.inputs {
            Some(inputs) => {
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let wish = EmbedRequest { account: &account, model: &model, inputs: &inputs };
                (embed(&wish), read_embeddings(&wish, &reply).map(|embedded| self::embedded(&embedded)))
            }
            None => {
                let Case { system, max_tokens, prompt: user, .. } = self;
                let wish = ChatRequest { account: &account, model: &model, system, user, max_tokens: *max_tokens };
                let told = text::read_chat(kind.name, &wish, &reply).map(|written| self::written(&written));
                (text::chat(kind.name, &wish), told)
            }
        };
        let mut differences = Vec::new();
        if let Some(expected) = &self.call {
            differences.push(("the call", expected.clone(), sent(&call.unwrap())));
        }
        let told = told.unwrap_or_else(|failure| failed(&failure));
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

fn written(written: &ChatReply) -> Value {
    let told = match &written.text {
        Ok(text) => json!({"text": text}),
        Err(why) => json!({"unwritten": why.as_str()}),
    };
    with_tokens(told, written.tokens)
}

fn embedded(embedded: &EmbedReply) -> Value {
    with_tokens(json!({"vectors": embedded.vectors}), embedded.tokens)
}

fn with_tokens(mut told: Value, tokens: Option<TextTokens>) -> Value {
    let Some(TextTokens { input, output, kept_5m, kept_1h, reused }) = tokens else { return told };
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
