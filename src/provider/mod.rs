//! Each image API as two pure functions: a request becomes a call, a reply becomes pictures or the next step.
//!
//! Nothing here opens a socket, waits, or knows of routes, caches or money. Polling is data: [`Step::Again`] says what
//! to send and how long to wait, and `gateway/attempt.rs` owns the loop. A new provider is one file, one line in
//! [`ALL`], and one folder of golden wire samples in `tests/golden`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::abilities::{Abilities, Frame};
use crate::config::plan::{Account, Model};
use crate::failure::Failure;
use crate::image::{Encoded, Format, Size};
use crate::request::{ImageRequest, Quality};

pub mod compatible;
pub mod openai;
pub mod replicate;
pub mod stability;
mod wire;

/// Every wire format, by the `kind` the config uses.
pub static ALL: &[&dyn Provider] =
    &[&openai::OpenAi, &compatible::Compatible, &stability::Stability, &replicate::Replicate];

/// The provider of this `kind`.
pub fn by_kind(kind: &str) -> Option<&'static dyn Provider> {
    ALL.iter().copied().find(|provider| provider.name() == kind)
}

/// One image API.
pub trait Provider: Sync {
    /// The `kind` in the config.
    fn name(&self) -> &'static str;

    /// Where the vendor lives, when the config gives no `base_url`; `None` when it must.
    fn default_base_url(&self) -> Option<&'static str>;

    /// Hosts from which result links may be downloaded; `*.` in front means any host below.
    fn download_hosts(&self) -> &'static [&'static str];

    /// What `model` can do, before the config's overrides.
    fn abilities(&self, account: &Account, model: &str) -> Abilities;

    /// The call that starts `job`.
    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure>;

    /// What `reply` to the job's latest call means.
    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step;
}

/// What a model can do, with the config's overrides applied.
pub fn abilities(provider: &dyn Provider, account: &Account, model: &Model) -> Abilities {
    let mut abilities = provider.abilities(account, &model.name);
    let over = &model.abilities;
    if let Some(max_n) = over.max_n {
        abilities.max_n = max_n;
    }
    if let Some(sizes) = &over.sizes {
        abilities.sizes = sizes.clone();
    }
    if let Some(formats) = &over.formats {
        abilities.formats = formats.clone();
    }
    if let Some(chars) = over.prompt_chars {
        abilities.prompt_chars = chars;
    }
    if let Some(seed) = over.seed {
        abilities.seed = seed;
    }
    if let Some(negative_prompt) = over.negative_prompt {
        abilities.negative_prompt = negative_prompt;
    }
    abilities
}

/// One call's worth of work, already fitted to the model's abilities.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Where to call and with which key.
    pub account: &'a Account,
    /// The model and its fixed options.
    pub model: &'a Model,
    /// The caller's request; size, quality and n below take precedence.
    pub request: &'a ImageRequest,
    /// Pictures of this call, at most the model's `max_n`.
    pub n: u8,
    /// The size to ask for.
    pub frame: Frame,
    /// The quality to ask for; `None` sends no such wish.
    pub quality: Option<Quality>,
    /// Time left for the whole job, for vendors that can bound it on their side.
    pub time_left: Duration,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// Absolute address; its host is the account's own.
    pub url: Url,
    /// Headers, credentials included; `host` and `content-length` are the sender's business.
    pub headers: HeaderMap,
    /// The body; empty for GET.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// The whole body, bounded.
    pub body: Bytes,
}

/// What a reply means.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The job is finished.
    Done(Drawn),
    /// Not yet: wait, then send `call` and read its reply. `cancel` stops the job and its cost.
    Again {
        /// What to send next.
        call: Call,
        /// How long to wait first.
        after: Duration,
        /// What to send when nobody waits any more.
        cancel: Option<Call>,
    },
    /// No pictures.
    Failed(Failure),
}

/// The result of a finished job.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Drawn {
    /// The pictures found, at most as many as asked.
    pub images: Vec<Found>,
    /// Pictures the vendor withheld for their content.
    pub refused: u8,
    /// How many of `refused` are charged all the same.
    pub refused_billed: u8,
    /// What the vendor says about the work.
    pub usage: Usage,
}

/// One picture in a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Where its bytes are.
    pub source: Source,
    /// The prompt as the vendor rewrote it.
    pub revised_prompt: Option<String>,
}

/// Where a picture's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the reply.
    Inline(Encoded),
    /// Behind a link; the gateway downloads it, without credentials.
    Link(Url),
}

/// What the vendor says about the work, used to settle the price.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Usage {
    /// The size really drawn, where echoed.
    pub size: Option<Size>,
    /// The quality really drawn, where echoed.
    pub quality: Option<Quality>,
    /// The file format, where echoed.
    pub format: Option<Format>,
    /// The price of the call in dollars, as the vendor wrote it.
    pub reported_cost: Option<String>,
}

impl Call {
    /// A POST of JSON.
    pub fn post_json(url: Url, headers: HeaderMap, body: &serde_json::Value) -> Call {
        let mut headers = headers;
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Call { method: Method::POST, url, headers, body: Bytes::from(body.to_string()) }
    }

    /// A GET without a body.
    pub fn get(url: Url, headers: HeaderMap) -> Call {
        Call { method: Method::GET, url, headers, body: Bytes::new() }
    }
}

impl Reply {
    /// A header as text, where it is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
