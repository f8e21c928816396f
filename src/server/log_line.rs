//! What is told of one request: a line of the access log, which is also what is remembered of it.
//!
//! Keys are never in it, and prompts only where the config says so. Everything in it is bounded: texts by what a request
//! or a config may have, lists by what a request may lead to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::config::plan::QualityCheck;
use crate::gateway::outcome::{CallRecord, Outcome};
use crate::gateway::outside_judge::signature::prompt_hash;
use crate::idempotency::KeyUse;
use crate::money::Usd;
use crate::request::ImageRequest;

/// Characters of a prompt in a line: enough to know it again, and no novel in every log.
const PROMPT_CHARS: usize = 1_000;

/// Digits of a prompt's hash: one in 2^64 others has the same.
const HASH_DIGITS: usize = 16;

/// What one line says; absent parts are left out.
#[derive(Debug, Default, Serialize)]
pub struct LogLine<'a> {
    /// When the request was answered, RFC 3339 in UTC.
    pub time: LogTime,
    /// The request's own id.
    pub request_id: &'a str,
    /// Its trace's id, where the config has `server.tracing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    /// HTTP method.
    pub method: &'a str,
    /// Path without the query, which may hold a signature.
    pub path: &'a str,
    /// HTTP status; 0 when nothing was answered.
    pub status: u16,
    /// From the first byte to the last, in microseconds.
    pub duration_us: u64,
    /// Body bytes sent.
    pub bytes: usize,
    /// Number of the config that served it.
    pub config_version: u64,
    /// What happened to an image request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image<'a>>,
}

/// What an image request asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The client, or `default` where the config lists none.
    pub client: Arc<str>,
    /// The model, in the client's words.
    pub model: Option<String>,
    /// Pictures wanted.
    pub n: Option<u8>,
    /// Their size, where the client says one.
    pub size: Option<String>,
    /// Their quality, where the client says one.
    pub quality: Option<&'static str>,
    /// The seed, where the client says one.
    pub seed: Option<u32>,
    /// Whether a picture came with it that is to be changed.
    pub edit: bool,
    /// A name for the prompt: equal ones have the same for as long as this process lives, and nobody else can guess one by it.
    pub prompt_hash: String,
    /// The prompt itself, where the config says so.
    pub prompt: Option<String>,
}

impl Asked {
    /// A request of `client` that could not be read any further.
    pub fn by(client: &Arc<str>) -> Asked {
        let (size, quality, prompt_hash, prompt) = (None, None, String::new(), None);
        let (model, n, seed, edit) = (None, None, None, false);
        Asked { client: client.clone(), model, n, size, quality, seed, edit, prompt_hash, prompt }
    }

    /// What `request` asks for. `hash_seed` is secret.
    pub fn of(client: &Arc<str>, request: &ImageRequest, hash_seed: u64, with_prompt: bool) -> Asked {
        let mut hash = prompt_hash(hash_seed, &request.prompt);
        hash.truncate(HASH_DIGITS);
        Asked {
            client: client.clone(),
            model: request.model.clone(),
            n: Some(request.n),
            size: request.size.map(|size| size.to_string()),
            quality: request.quality.map(|quality| quality.as_str()),
            seed: request.seed,
            edit: request.edit.is_some(),
            prompt_hash: hash,
            prompt: with_prompt.then(|| request.prompt.chars().take(PROMPT_CHARS).collect()),
        }
    }
}

/// What happened to an image request.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    /// The client that asks, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a str>,
    /// The model that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// Pictures wanted, where all of the request could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u8>,
    /// The size that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<&'a str>,
    /// The quality that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<&'static str>,
    /// Whether it is an edit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub edit: bool,
    /// A name for its prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_hash: Option<&'a str>,
    /// Its prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<&'a str>,
    /// The route.
    pub route: &'a str,
    /// `ok`, `partial`, or the error's code.
    pub outcome: &'a str,
    /// The field that an error is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<&'a str>,
    /// How the cache took part.
    pub cache: &'a str,
    /// The caller's words that differ from those that the pictures were drawn for.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub near: &'a [String],
    /// The request that drew for this one as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<&'a str>,
    /// How its idempotency key took part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<&'static str>,
    /// Dollars, exact.
    #[serde(serialize_with = "as_text")]
    pub cost_usd: Usd,
    /// Calls made.
    pub attempts: u32,
    /// Those of them that have ended: whom, why, what came of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<LoggedCall<'a>>,
    /// The offers of the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under_way: Vec<&'a str>,
    /// Who drew how many pictures.
    pub served_by: BTreeMap<&'a str, usize>,
    /// The pictures' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_ids: Vec<&'a str>,
    /// Offers not asked, and why.
    pub skipped: &'a [(String, &'static str)],
    /// Offers whose turn did not come.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub not_needed: &'a [String],
    /// Who was to rewrite the prompt, and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enriched: Option<&'a (String, &'static str)>,
    /// Wishes that were changed.
    pub adjusted: Vec<&'a str>,
    /// What the quality gate says of pictures that it accepted, by their places in the answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flagged: BTreeMap<usize, Vec<&'static str>>,
    /// Pictures that it rejected and that are delivered all the same, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<usize, Vec<&'static str>>,
}

/// One call of an image request.
#[derive(Debug, Serialize)]
pub struct LoggedCall<'a> {
    /// `provider/model`.
    pub offer: &'a str,
    /// Why it was asked.
    pub reason: &'a str,
    /// `ok`, or the failure's word.
    pub outcome: &'a str,
    /// Milliseconds.
    pub ms: u128,
    /// Dollars, exact.
    #[serde(serialize_with = "as_text")]
    pub usd: Usd,
}

impl<'a> Image<'a> {
    /// What the line says of this outcome of what was `asked`.
    pub fn of(outcome: &'a Outcome, asked: Option<&'a Asked>) -> Image<'a> {
        let pictures = outcome.result.iter().flatten();
        Image {
            client: asked.map(|asked| &*asked.client),
            model: asked.and_then(|asked| asked.model.as_deref()),
            n: asked.and_then(|asked| asked.n),
            size: asked.and_then(|asked| asked.size.as_deref()),
            quality: asked.and_then(|asked| asked.quality),
            edit: asked.is_some_and(|asked| asked.edit),
            prompt_hash: asked.map(|asked| asked.prompt_hash.as_str()).filter(|hash| !hash.is_empty()),
            prompt: asked.and_then(|asked| asked.prompt.as_deref()),
            route: outcome.route.as_deref().unwrap_or("none"),
            outcome: outcome.as_str(),
            param: outcome.result.as_ref().err().and_then(|error| error.param.as_deref()),
            cache: outcome.cache.as_str(),
            near: &outcome.near,
            joined: outcome.joined.as_deref(),
            idempotency: outcome.idempotency.map(KeyUse::as_str),
            cost_usd: outcome.cost,
            attempts: outcome.attempts,
            tried: outcome.calls.iter().map(logged).collect(),
            under_way: outcome.under_way.iter().map(|call| call.offer.as_str()).collect(),
            served_by: outcome.served_by(),
            image_ids: pictures.map(|kept| &*kept.id).collect(),
            skipped: &outcome.skipped,
            not_needed: &outcome.not_needed,
            enriched: outcome.enriched.as_ref(),
            adjusted: outcome.adjusted(),
            flagged: words(outcome.flagged()),
            rejected: words(outcome.rejected()),
        }
    }
}

fn words(checks: Vec<(usize, &[QualityCheck])>) -> BTreeMap<usize, Vec<&'static str>> {
    checks.into_iter().map(|(nth, checks)| (nth, checks.iter().map(|check| check.as_str()).collect())).collect()
}

fn logged(call: &CallRecord) -> LoggedCall<'_> {
    let CallRecord { offer, reason, outcome, took, usd, .. } = call;
    LoggedCall { offer, reason, outcome, ms: took.as_millis(), usd: *usd }
}

/// A moment; the present one by default.
#[derive(Clone, Copy, Debug)]
pub struct LogTime(SystemTime);

impl Default for LogTime {
    fn default() -> LogTime {
        LogTime(SystemTime::now())
    }
}

impl std::fmt::Display for LogTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

impl Serialize for LogTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(self, serializer)
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl LogLine<'_> {
    /// The line as JSON, in place of what `text` holds.
    pub fn write_json(&self, text: &mut String) {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.clear();
        // A line of texts and numbers always becomes JSON, which is always text.
        let _ = serde_json::to_writer(&mut bytes, self);
        *text = String::from_utf8(bytes).unwrap_or_default();
    }

    /// The line for people, behind what `text` holds: what every request has, then `name=value` with what is not a plain word in
    /// quotation marks.
    pub fn write_text(&self, text: &mut String) {
        let LogLine { time, request_id, method, path, status, duration_us, bytes, .. } = self;
        let ms = duration_us / 1_000;
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{time} {status} {method} {} {ms}ms {bytes}B request={request_id}", quoted(path));
        if let Some(trace_id) = self.trace_id {
            let _ = write!(text, " trace={trace_id}");
        }
        let Some(image) = &self.image else { return };
        let mut say = |name: &str, value: &dyn std::fmt::Display| {
            let _ = write!(text, " {name}={}", quoted(&value.to_string()));
        };
        let named =
            [("client", image.client), ("model", image.model), ("size", image.size), ("quality", image.quality)];
        for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            say(name, &value);
        }
        if let Some(n) = image.n {
            say("n", &n);
        }
        say("route", &image.route);
        say("outcome", &image.outcome);
        say("cache", &image.cache);
        say("cost_usd", &image.cost_usd);
        let tried = image.tried.iter().map(|call| {
            let LoggedCall { offer, reason: _, outcome, ms, usd } = call;
            format!("{offer}:{outcome}:{ms}ms:{usd}")
        });
        let skipped = image.skipped.iter().map(|(offer, why)| format!("{offer}:{why}"));
        let served_by = image.served_by.iter().map(|(offer, count)| format!("{offer}:{count}"));
        let lists = [
            ("tried", tried.collect::<Vec<_>>()),
            ("skipped", skipped.collect()),
            ("served_by", served_by.collect()),
            ("joined", image.joined.iter().map(|id| (*id).to_owned()).collect()),
            ("param", image.param.iter().map(|param| (*param).to_owned()).collect()),
            ("prompt", image.prompt.iter().map(|prompt| (*prompt).to_owned()).collect()),
        ];
        for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            say(name, &list.join(","));
        }
    }
}

/// A value as it stands if it is a plain word, else with quotation marks around it, on one line.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'=';
    let shown = !value.is_empty() && value.bytes().all(plain);
    if shown { value.to_owned() } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Error;

    fn asked(with_prompt: bool) -> Asked {
        let body = br#"{"model":"m x","prompt":"a red fox\nby \"night\"","n":2,"size":"1024x1024","quality":"low"}"#;
        Asked::of(&"web".into(), &ImageRequest::from_json(body).unwrap(), 7, with_prompt)
    }

    fn outcome() -> Outcome {
        let call = |outcome, usd: &str| CallRecord {
            offer: "stability/core".into(),
            reason: "first",
            outcome,
            took: std::time::Duration::from_millis(120),
            usd: usd.parse().unwrap(),
            began: tokio::time::Instant::now(),
            asked: 1,
            seed: None,
            size: crate::capabilities::OutputSize::Default,
            quality: None,
            gate: None,
        };
        Outcome {
            route: Some("r".into()),
            cost: "0.040000001".parse().unwrap(),
            attempts: 2,
            calls: vec![call("server_error", "0"), call("ok", "0.040000001")],
            skipped: vec![("openai/x".to_owned(), "over_price")],
            not_needed: vec!["fal/y".to_owned()],
            ..Outcome::failed(1, Error::invalid("n", "no"))
        }
    }

    fn json_of(outcome: &Outcome, asked: &Asked) -> Value {
        let mut text = String::new();
        let line = LogLine { request_id: "r1", image: Some(Image::of(outcome, Some(asked))), ..LogLine::default() };
        line.write_json(&mut text);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_says_who_asked_for_what_which_offers_were_tried_and_why_not_the_others() {
        let line = json_of(&outcome(), &asked(false));
        let time = line["time"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok() && time.ends_with('Z') && time.len() == 24, "{time}");
        let image = &line["image"];
        assert_eq!((&image["client"], &image["model"], &image["n"]), (&json!("web"), &json!("m x"), &json!(2)));
        assert_eq!((&image["size"], &image["quality"]), (&json!("1024x1024"), &json!("low")));
        assert_eq!(image["cost_usd"], "0.040000001");
        assert_eq!(image["skipped"], json!([["openai/x", "over_price"]]));
        assert_eq!(image["not_needed"], json!(["fal/y"]));
        let first =
            json!({"offer": "stability/core", "reason": "first", "outcome": "server_error", "ms": 120, "usd": "0"});
        assert_eq!((&image["tried"][0], image["tried"].as_array().unwrap().len()), (&first, 2));
    }

    #[test]
    fn a_prompt_is_a_hash_in_the_log_unless_the_config_says_otherwise_and_long_ones_are_cut() {
        let hashed = json_of(&outcome(), &asked(false));
        assert_eq!(hashed["image"].get("prompt"), None);
        let hash = hashed["image"]["prompt_hash"].as_str().unwrap();
        assert!(hash.len() == 16 && !hashed.to_string().contains("fox"), "{hashed}");
        assert_eq!(json_of(&outcome(), &asked(true))["image"]["prompt"], "a red fox\nby \"night\"");
        let long = json!({"prompt": "\u{e9}".repeat(PROMPT_CHARS + 1)}).to_string();
        let long = Asked::of(&"web".into(), &ImageRequest::from_json(long.as_bytes()).unwrap(), 7, true);
        assert_eq!(long.prompt.unwrap().chars().count(), PROMPT_CHARS);
    }

    #[test]
    fn a_line_for_people_is_one_line_whatever_a_client_writes() {
        let (outcome, asked) = (outcome(), asked(true));
        let mut text = String::new();
        let image = Some(Image::of(&outcome, Some(&asked)));
        LogLine { request_id: "r1", method: "POST", path: "/\"\n x", status: 504, image, ..LogLine::default() }
            .write_text(&mut text);
        assert!(
            text.contains(" 504 POST \"/\\\"\\n x\" 0ms 0B request=r1 client=web model=\"m x\" size=1024x1024"),
            "{text}"
        );
        assert!(
            text.contains(" tried=stability/core:server_error:120ms:0,stability/core:ok:120ms:0.040000001"),
            "{text}"
        );
        assert!(text.contains(" skipped=openai/x:over_price") && text.contains(" param=n"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}
