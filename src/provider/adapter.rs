//! What every vendor's adapter is, and the words it speaks with whoever calls: a job, a call, a reply, the next step.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::calendar::Moment;
use crate::capabilities::{Capabilities, FittedRequest, ModelDefaults, OutputSize, Tier};
use crate::config::plan::{Account, Model};
use crate::failure::Failure;
use crate::image::{Encoded, Format};
pub use crate::pricing::{Reported, Usage};
use crate::provider::common::model_end::ModelEnd;
use crate::provider::common::token_source::TokenSource;
use crate::request::{ImageRequest, Quality};
use crate::secret::Secret;

/// One image API.
pub trait Adapter: Sync {
    /// The `kind` in the config.
    fn name(&self) -> &'static str;

    /// Where the vendor lives, when the config gives no `base_url`; `None` when it must.
    fn default_base_url(&self) -> Option<&'static str>;

    /// Whether a config without an `api_key` is a mistake.
    fn needs_key(&self) -> bool;

    /// Model names worth suggesting when a config misspells one. Others are allowed.
    fn known_models(&self) -> &'static [&'static str];

    /// Hosts from which result links may be downloaded; `*.` in front means any host below.
    fn download_hosts(&self) -> &'static [&'static str];

    /// What `model` can do, before the config's overrides.
    fn capabilities(&self, account: &Account, model: &str) -> Capabilities;

    /// The same by all that the config says of the model, for kinds to which its name alone does not say enough.
    fn capabilities_of(&self, account: &Account, model: &Model) -> Capabilities {
        self.capabilities(account, &model.name)
    }

    /// What `model` does with wishes that are left out, and which size it is billed by.
    fn usual(&self, _account: &Account, _model: &Model) -> ModelDefaults {
        ModelDefaults::default()
    }

    /// When the vendor shuts `model` down, where that is known.
    fn ends(&self, _account: &Account, _model: &Model) -> Option<&'static ModelEnd> {
        None
    }

    /// Where a token comes from that goes with every call; `None` where the key itself does.
    fn token(&self, _account: &Account) -> Option<TokenSource> {
        None
    }

    /// The call that starts `job`.
    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure>;

    /// The unfinished picture in an event of a reply that is a stream; `None` for any other event.
    fn partial(&self, _event: &str) -> Option<Partial> {
        None
    }

    /// Whether an event of such a stream brings a finished picture.
    fn finishes(&self, _event: &str) -> bool {
        false
    }

    /// What `reply` to the job's latest call means.
    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step;
}

/// One call's worth of work, already fitted to the model's capabilities.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Where to call and with which key.
    pub account: &'a Account,
    /// The model and its fixed options.
    pub model: &'a Model,
    /// The short-lived token for vendors that take one instead of a key.
    pub bearer: Option<&'a Secret>,
    /// The caller's request; size, quality, format and n below take precedence.
    pub request: &'a ImageRequest,
    /// Pictures of this call, at most the model's `max_n`.
    pub n: u8,
    /// The size to ask for.
    pub output_size: OutputSize,
    /// The resolution to ask for, where the model has tiers.
    pub tier: Option<Tier>,
    /// The quality to ask for; `None` sends no such wish.
    pub quality: Option<Quality>,
    /// The file format to ask for; `None` leaves it to the vendor.
    pub format: Option<Format>,
    /// Unfinished pictures to ask for; 0 asks for none, and for no stream.
    pub partials: u8,
    /// Time left for the whole job, for vendors that can bound it on their side.
    pub time_left: Duration,
    /// What the latest [`Step::Again`] noted.
    pub noted: Option<&'a Reported>,
    /// Where that step's call went; `None` until there was one.
    pub polled: Option<&'a Url>,
}

impl<'a> Job<'a> {
    /// `n` pictures of `request`, as it was fitted to `model`; nothing was sent for it yet.
    pub fn new(
        account: &'a Account,
        model: &'a Model,
        request: &'a ImageRequest,
        fitted: &FittedRequest,
        n: u8,
        time_left: Duration,
    ) -> Job<'a> {
        let FittedRequest { output_size, tier, quality, format, partials, adjusted: _ } = fitted;
        Job {
            account,
            model,
            bearer: None,
            request,
            n,
            output_size: *output_size,
            tier: *tier,
            quality: *quality,
            format: *format,
            partials: *partials,
            time_left,
            noted: None,
            polled: None,
        }
    }
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
    /// The whole body, bounded. Of a stream of events, their data, one after the other, without unfinished pictures.
    pub body: Bytes,
    /// When it came, by our clock.
    pub at: Moment,
}

/// What a reply means.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one exists per reply, and it is taken apart at once")]
pub enum Step {
    /// The job is finished.
    Done(JobResult),
    /// Not yet: wait, then send `call` and read its reply. `cancel` stops the job and its cost.
    Again {
        /// What to send next.
        call: Call,
        /// How long to wait first.
        after: Duration,
        /// What to send when nobody waits any more.
        cancel: Option<Call>,
        /// What the vendor said of the cost and will not say again; the job has it when the next reply is read.
        noted: Option<Reported>,
    },
    /// No pictures. In the middle of a job it is only the end of it where the failure says so; else the job is asked
    /// about again, or given up as lost.
    Failed(Failure),
    /// The job was taken on, but can't be followed to its end: it may be drawn and charged.
    Lost {
        /// Why not.
        failure: Failure,
        /// What the vendor said of the cost.
        noted: Option<Reported>,
    },
}

/// The result of a finished job.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct JobResult {
    /// The pictures found, more than asked where the vendor sends more: those are charged as well, and are kept.
    pub images: Vec<ReplyPicture>,
    /// Pictures the vendor withheld for their content.
    pub refused: u8,
    /// How many of `refused` are charged all the same.
    pub refused_billed: u8,
    /// What the vendor says about the work.
    pub usage: Usage,
}

/// One picture in a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyPicture {
    /// Where its bytes are.
    pub source: PictureSource,
    /// The prompt as the vendor rewrote it.
    pub revised_prompt: Option<String>,
}

/// Where a picture's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum PictureSource {
    /// In the reply.
    Inline(Encoded),
    /// Behind a link; the gateway downloads it, without credentials.
    Link(Url),
}

/// An unfinished picture that a vendor shows while it draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The file, in base64.
    pub base64: Bytes,
    /// Which one of its picture's, from 0.
    pub index: u8,
    /// Its file format's word, where told.
    pub format: Option<&'static str>,
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
