//! Golden wire samples: `tests/golden/<kind>/<case>.json` says what one provider is sent and what its reply means.
//!
//! No network and no provider's code is repeated here: a case is data, read by eye against PROVIDERS.md. Every case is
//! run before anything is reported, so that one change shows all it touches. A form is taken apart by the reader the
//! server uses, not by the writer's own ideas.
//!
//! A sample's name begins with what it shows, and `golden_minimum.rs` fails where one of these is missing:
//!
//! - `plain`: the least that can be asked, and its pictures
//! - `n`, such as `n4` or `n_one_a_call`: several wanted, by one call or one by one
//! - `every_parameter`: every wish that is sent on, in the vendor's words; seed and negative prompt where taken
//! - `edit`: a picture to start from, and one with a mask; where there are such
//! - `refusal`, `rate_limit`, `quota`, `malformed`: how each is told
//! - `partial`: fewer pictures than wanted, where a call can draw several
//!
//! A preset's samples begin with `preset_NAME_` and have the same. There `plain` has every parameter, and `quota` is
//! for vendors that have an address of their own, so an account at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use bytes::Bytes;
use easel::internals::calendar::Moment;
use easel::internals::capabilities::SizeTolerance;
use easel::internals::config::plan::{
    Account, CapabilityOverrides, Credentials, Dialect, Model, Rate, SizeFormat, Via,
};
use easel::internals::failure::Failure;
use easel::internals::image::{Encoded, Format, Size};
use easel::internals::pricing::Price;
use easel::internals::provider::{
    ALL, Adapter, Call, Job, JobResult, PictureSource, Reply, Reported, Step, by_kind, capabilities,
};
use easel::internals::request::{Edit, Input, Mask};
use easel::internals::secret::Secret;
use easel::{ImageRequest, Picture, Usd};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::world::plan;

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
    /// The model behind an Azure deployment.
    family: Option<String>,
    api_version: Option<String>,
    /// Google: asked through Vertex AI, with a token.
    #[serde(default)]
    vertex: bool,
    /// Azure: asked with a token of Entra's.
    #[serde(default)]
    entra: bool,
    /// OpenRouter: asked through a chat.
    #[serde(default)]
    chat: bool,
    /// How a compatible server differs.
    dialect: Option<Accent>,
    /// The provider's entry in the config, read as a user's is; its model has whatever that says. Instead of `dialect`.
    provider: Option<Map<String, Value>>,
    /// File formats the config says the model writes.
    formats: Option<Vec<String>>,
    request: Value,
    /// What an edit starts from. Its pictures are written `<image 0>` and so on in the call, its mask `<mask clear>`
    /// where transparent is to change and `<mask white>` where white is.
    edit: Option<Start>,
    /// Pictures of this call; the request's own n when absent.
    n: Option<u8>,
    time_left_s: Option<u64>,
    /// The reply is to a poll of this address.
    polled: Option<String>,
    /// The cents that the reply before noted.
    noted_cents: Option<String>,
    /// What must be sent; absent in cases that are about the reply alone.
    call: Option<Sent>,
    reply: HeldReply,
    outcome: Value,
    /// Words the failure's message must hold.
    says: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    images: usize,
    #[serde(default)]
    mask: bool,
    fidelity: Option<String>,
}

impl Start {
    fn edit(&self) -> Edit {
        let input = |stand_in: String| Input::new(Bytes::from(stand_in), Format::Png, Size::new(1024, 1024));
        Edit {
            images: (0..self.images).map(|number| input(format!("<image {number}>"))).collect(),
            mask: self
                .mask
                .then(|| Mask { clear: input("<mask clear>".to_owned()), white: Bytes::from_static(b"<mask white>") }),
            fidelity: self.fidelity.as_ref().map(|word| word.parse().unwrap()),
        }
    }
}

/// A text with the base64 of the stand-ins for pictures replaced by the stand-ins themselves.
fn with_stand_ins(text: &str) -> String {
    let numbered = (0..20).map(|number| format!("<image {number}>"));
    let stand_ins = numbered.chain(["<mask clear>".to_owned(), "<mask white>".to_owned()]);
    stand_ins.fold(text.to_owned(), |text, stand_in| {
        text.replace(&base64_simd::STANDARD.encode_to_string(&stand_in), &stand_in)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    method: String,
    url: String,
    /// Headers that must be there; others may be.
    headers: BTreeMap<String, String>,
    body: Value,
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

/// [`Dialect`] with what a case does not mention left at its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accent {
    path: Option<String>,
    edit_path: Option<String>,
    auth: Option<(String, String)>,
    #[serde(default)]
    rename: BTreeMap<String, String>,
    #[serde(default)]
    drop: BTreeSet<String>,
    #[serde(default)]
    constants: BTreeMap<String, Value>,
    size: Option<String>,
    /// The empty string sends no such field.
    response_format: Option<String>,
    list: Option<String>,
    base64: Option<String>,
    url: Option<String>,
    cost_header: Option<String>,
}

impl Accent {
    fn dialect(&self) -> Dialect {
        let usual = Dialect::default();
        let or = |mine: &Option<String>, usual: &String| mine.as_ref().unwrap_or(usual).clone();
        Dialect {
            path: or(&self.path, &usual.path),
            edit_path: self.edit_path.clone(),
            auth: self.auth.clone().unwrap_or_else(|| usual.auth.clone()),
            rename: self.rename.clone(),
            drop: self.drop.clone(),
            constants: self.constants.clone(),
            size: match self.size.as_deref() {
                None => usual.size,
                Some("width*height") => SizeFormat::WidthStarHeight,
                Some("two_fields") => SizeFormat::TwoFields,
                Some("aspect_ratio") => SizeFormat::AspectRatio,
                Some("omit") => SizeFormat::Omit,
                Some(other) => panic!("no size format {other}"),
            },
            response_format: match self.response_format.as_deref() {
                None => usual.response_format.clone(),
                Some("") => None,
                Some(word) => Some(word.to_owned()),
            },
            list: or(&self.list, &usual.list),
            base64: or(&self.base64, &usual.base64),
            url: or(&self.url, &usual.url),
            cost_header: self.cost_header.clone(),
            ..usual
        }
    }
}

/// Whether a preset knows the address, or the case itself.
fn has_address(entry: &Map<String, Value>) -> bool {
    let preset = entry.get("preset").and_then(Value::as_str).and_then(easel::internals::config::preset);
    entry.contains_key("base_url") || preset.is_some_and(|text| text.contains("\nbase_url:"))
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn every_sample_is_sent_and_read_as_written() {
    let mut wrong = String::new();
    for provider in ALL {
        let folder = folder().join(provider.name());
        for name in names_in(&folder) {
            let text = fs::read_to_string(folder.join(&name)).unwrap();
            let case: Case =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}/{name}: {error}", provider.name()));
            for (what, expected, actual) in case.differences(*provider).await {
                wrong += &format!(
                    "\n== {}/{name}: {what}\n   ({})\n-- expected\n{expected:#}\n-- but was\n{actual:#}\n",
                    provider.name(),
                    case.about
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

impl Case {
    /// What this case expects and does not get.
    async fn differences(&self, provider: &dyn Adapter) -> Vec<(&'static str, Value, Value)> {
        let (account, model) = self.configured().unwrap_or_else(|| (self.account(provider), self.model()));
        let token = Secret::new(KEY);
        let mut request = ImageRequest::from_json(self.request.to_string().as_bytes()).unwrap();
        request.edit = self.edit.as_ref().map(Start::edit);
        let size_tolerance = SizeTolerance { tolerance_ppm: 150_000, strict: false };
        let fitted = capabilities(provider, &account, &model).fit(&request, size_tolerance).unwrap();
        let noted = self.noted_cents.clone().map(Reported::Cents);
        let polled = self.polled.as_ref().map(|address| address.parse().unwrap());
        let (n, left) = (self.n.unwrap_or(request.n), Duration::from_secs(self.time_left_s.unwrap_or(120)));
        let job = Job {
            bearer: (self.vertex || self.entra).then_some(&token),
            noted: noted.as_ref(),
            polled: polled.as_ref(),
            ..Job::new(&account, &model, &request, &fitted, n, left)
        };
        let mut differences = Vec::new();
        if let Some(expected) = &self.call {
            let sent = expected.as_value();
            let actual = call_as_value(&provider.ask(&job).unwrap(), &expected.headers).await;
            differences.push(("the call", sent, actual));
        }
        let step = by_kind(provider.name()).unwrap().read(&job, &self.reply());
        if let (Some(words), Step::Failed(failure) | Step::Lost { failure, .. }) = (&self.says, &step) {
            assert!(failure.message.contains(words), "{}: {failure}", self.about);
        }
        differences.push(("the outcome", self.outcome.clone(), outcome(&step)));
        differences.retain(|(_, expected, actual)| expected != actual);
        differences
    }

    /// The provider and its model as the config makes them.
    fn configured(&self) -> Option<(Account, Model)> {
        let mut entry = self.provider.clone()?;
        entry.insert("kind".to_owned(), json!("openai_compatible"));
        entry.insert("api_key".to_owned(), json!(KEY));
        entry.insert("models".to_owned(), json!({ (self.model.as_str()): {"price": 1, "options": self.options} }));
        if !has_address(&entry) {
            entry.insert("base_url".to_owned(), json!("https://server.example/prefix/v1/"));
        }
        let offer = format!("p/{}", self.model);
        // JSON is YAML.
        let config = json!({"providers": {"p": entry}, "routes": [{"name": "r", "offers": [offer]}]}).to_string();
        let plan = plan(&config, "");
        let provider = &plan.providers["p"];
        Some((provider.account.clone(), Model::clone(&provider.models[&self.model])))
    }

    fn account(&self, provider: &dyn Adapter) -> Account {
        let base = provider.default_base_url().unwrap_or("https://server.example/prefix/v1/");
        let base = if self.vertex { "https://aiplatform.googleapis.com/" } else { base };
        let vertex = |word: &str| self.vertex.then(|| word.to_owned());
        Account {
            base_url: base.parse().unwrap(),
            api_key: (!self.vertex && !self.entra).then(|| Secret::new(KEY)),
            organization: None,
            project: vertex("p1"),
            location: vertex("global"),
            credentials: (self.vertex || self.entra).then_some(Credentials::Metadata),
            api_version: self.api_version.clone(),
            poll_hosts: Vec::new(),
            dialect: self.dialect.as_ref().map_or_else(Dialect::default, Accent::dialect),
        }
    }

    fn model(&self) -> Model {
        let formats = self.formats.as_ref().map(|words| words.iter().map(|word| word.parse().unwrap()).collect());
        Model {
            name: self.model.clone(),
            price: Price::flat(Usd::ZERO),
            volume: Vec::new(),
            rate: Rate::default(),
            capabilities: CapabilityOverrides { formats, ..CapabilityOverrides::default() },
            options: self.options.clone(),
            via: if self.chat { Via::Chat } else { Via::Images },
            family: self.family.clone(),
        }
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

impl Sent {
    fn as_value(&self) -> Value {
        json!({"method": self.method, "url": self.url, "headers": self.headers, "body": self.body})
    }
}

/// A call as a case writes it, with the headers the case asks about.
async fn call_as_value(call: &Call, asked: &BTreeMap<String, String>) -> Value {
    let shown = |value: &HeaderValue| value.to_str().unwrap().replace(KEY, "<key>");
    let mut headers: BTreeMap<&str, String> =
        call.headers.iter().map(|(name, value)| (name.as_str(), shown(value))).collect();
    headers.retain(|name, _| asked.contains_key(*name));
    let leaked = call.url.as_str().contains(KEY) || String::from_utf8_lossy(&call.body).contains(KEY);
    assert!(!leaked, "the key stands outside the headers");
    assert!(call.headers.values().all(|value| !shown(value).contains("<key>") || value.is_sensitive()));
    let kind = call.headers.get("content-type").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let body = match kind {
        "application/json" => serde_json::from_str(&with_stand_ins(str::from_utf8(&call.body).unwrap())).unwrap(),
        kind if kind.starts_with("multipart/form-data") => form(call).await,
        _ => Value::Null,
    };
    // The boundary is the writer's own business.
    if let Some(kind) = headers.get_mut("content-type") {
        *kind = kind.split(';').next().unwrap().to_owned();
    }
    json!({"method": call.method.as_str(), "url": call.url.as_str(), "headers": headers, "body": body})
}

/// A form's fields in order, read by another implementation than wrote them.
async fn form(call: &Call) -> Value {
    let request = http::Request::builder()
        .method(call.method.clone())
        .header("content-type", call.headers["content-type"].clone())
        .body(Body::from(call.body.clone()))
        .unwrap();
    let mut form = Multipart::from_request(request, &()).await.unwrap();
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        let name = field.name().unwrap().to_owned();
        // A file is shown with its name and type, a text alone.
        let file = field.file_name().map(|file| format!("{file} {}", field.content_type().unwrap_or("untyped")));
        let text = field.text().await.unwrap();
        fields.push(match file {
            Some(file) => json!([name, file, text]),
            None => json!([name, text]),
        });
    }
    Value::Array(fields)
}

/// A step in a few words; what is empty or zero is left out.
fn outcome(step: &Step) -> Value {
    match step {
        Step::Done(drawn) => done(drawn),
        Step::Failed(failure) => failed(failure),
        Step::Lost { failure, noted } => json!({"lost": failure.class.as_str(), "noted": noted.as_ref().map(reported)}),
        Step::Again { call, after, cancel, noted } => {
            let mut told = json!({"again": {
                "method": call.method.as_str(),
                "url": call.url.as_str(),
                "after_ms": after.as_millis() as u64,
                "cancel": cancel.as_ref().map(|call| format!("{} {}", call.method, call.url)),
            }});
            if let Some(noted) = noted {
                told["again"]["noted"] = json!(reported(noted));
            }
            told
        }
    }
}

fn reported(reported: &Reported) -> String {
    match reported {
        Reported::Dollars(text) => text.clone(),
        Reported::Cents(text) => format!("{text} cents"),
        Reported::Units(text) => format!("{text} units"),
    }
}

fn done(drawn: &JobResult) -> Value {
    let mut told = Map::new();
    let images: Vec<String> = drawn.images.iter().map(|found| source(&found.source)).collect();
    told.insert("images".to_owned(), json!(images));
    let prompts: Vec<&String> = drawn.images.iter().filter_map(|found| found.revised_prompt.as_ref()).collect();
    if !prompts.is_empty() {
        told.insert("revised_prompts".to_owned(), json!(prompts));
    }
    if drawn.refused > 0 {
        told.insert("refused".to_owned(), json!([drawn.refused, drawn.refused_billed]));
    }
    let usage = &drawn.usage;
    let said: Map<String, Value> = [
        ("size", usage.size.map(|size| size.to_string())),
        ("quality", usage.quality.map(|quality| quality.as_str().to_owned())),
        ("format", usage.format.map(|format| format.as_str().to_owned())),
        ("cost", usage.reported.as_ref().map(reported)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
    .collect();
    if !said.is_empty() {
        told.insert("usage".to_owned(), Value::Object(said));
    }
    Value::Object(told)
}

/// Where a picture is, and what it turns out to be.
fn source(source: &PictureSource) -> String {
    match source {
        PictureSource::Link(url) => format!("link {url}"),
        PictureSource::Inline(encoded) => {
            let form = if matches!(encoded, Encoded::Raw(_)) { "raw" } else { "base64" };
            match Picture::inspect(encoded.clone()) {
                Ok(picture) => format!("{form} {} {}", picture.format.as_str(), picture.size),
                Err(fault) => format!("{form} {fault}"),
            }
        }
    }
}

fn failed(failure: &Failure) -> Value {
    assert!(!failure.message.contains(KEY), "{failure}");
    let mut told = json!({"failed": failure.class.as_str()});
    if let Some(param) = &failure.param {
        told["param"] = json!(param);
    }
    if let Some(after) = failure.retry_after {
        told["retry_after_ms"] = json!(after.as_millis() as u64);
    }
    if failure.billed > 0 {
        told["billed"] = json!(failure.billed);
    }
    told
}
