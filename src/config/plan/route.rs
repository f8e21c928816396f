//! `routes:` as they run.

use std::sync::Arc;
use std::time::Duration;

use crate::capabilities::SizeTolerance;
use crate::config::plan::hedge::Hedge;
use crate::config::plan::learn::Learn;
use crate::config::plan::model::{Model, TextModel};
use crate::config::plan::money::Budget;
use crate::config::plan::near::NearEmbedding;
use crate::config::plan::provider::Provider;
use crate::config::plan::quality::QualityGate;
use crate::config::plan::strategy::{AskWhen, Strategy};
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::request::{Quality, ResponseFormat};

/// Which requests go where, and under what conditions.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name in the config; part of the cache key.
    pub name: String,
    /// Model names it answers to; empty answers to every name.
    pub models: Vec<ModelPattern>,
    /// Headers a request must carry, lower-case name and exact value.
    pub headers: Vec<(String, String)>,
    /// Who may draw, as listed.
    pub offers: Vec<Offer>,
    /// In which order they are asked.
    pub strategy: Strategy,
    /// No picture dearer than this.
    pub max_usd_per_image: Option<Usd>,
    /// No request dearer than this.
    pub max_usd_per_request: Option<Usd>,
    /// What may be spent here.
    pub budgets: Vec<Budget>,
    /// How long a client waits.
    pub deadline: Duration,
    /// What it gets when that is over.
    pub on_deadline: OnDeadline,
    /// Failed calls after which a request gives up.
    pub max_failures: u32,
    /// Failed calls after which a request stops asking the same offer.
    pub max_failures_per_offer: u32,
    /// How long an offer that failed is left alone before the same request asks it again, the first time.
    pub backoff: Duration,
    /// When another offer is asked besides one that is late; `None` is never.
    pub hedge: Option<Hedge>,
    /// A refusal goes to the next offer instead of back to the caller.
    pub refusals_go_on: bool,
    /// What becomes of the prompt before it is drawn.
    pub prompt: Prompt,
    /// Filled in where the request is silent.
    pub defaults: Defaults,
    /// How far a size may be bent.
    pub size_tolerance: SizeTolerance,
    /// Offers that would drop a wish are skipped.
    pub strict: bool,
    /// What a picture must be to be accepted; `None` looks at none.
    pub quality: Option<Arc<QualityGate>>,
    /// Reuse of pictures; `None` is off.
    pub cache: Option<RouteCache>,
    /// Who is asked whether two words mean the same; `None` is nobody.
    pub learn: Option<Learn>,
    /// How pictures are found by embeddings as well; `None` where they are not.
    pub near_embedding: Option<Arc<NearEmbedding>>,
}

/// A model name a route answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPattern {
    /// Exactly this name.
    Exact(String),
    /// Any name that begins so (`mockup-*`).
    Prefix(String),
}

impl ModelPattern {
    /// Whether `model` is meant.
    pub fn matches(&self, model: &str) -> bool {
        match self {
            ModelPattern::Exact(name) => name == model,
            ModelPattern::Prefix(prefix) => model.starts_with(prefix),
        }
    }
}

/// What a client gets when its deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    /// The pictures there are, if any.
    Partial,
    /// An error.
    Fail,
}

/// One provider's model as a route offers it.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model.
    pub model: Arc<Model>,
    /// `provider/model`, the name in logs, metrics and headers.
    pub name: String,
    /// No picture of this offer dearer than this.
    pub max_usd_per_image: Option<Usd>,
    /// When it may be asked; empty is at any time.
    pub when: Vec<AskWhen>,
}

/// What becomes of the prompt before it is drawn.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// Put before it.
    pub prefix: String,
    /// Put after it.
    pub suffix: String,
    /// Who rewrites it; `None` is nobody.
    pub enrich: Option<Enrich>,
}

impl Prompt {
    /// `words` between the prefix and the suffix.
    pub fn with_prefix_and_suffix(&self, words: &str) -> String {
        format!("{}{words}{}", self.prefix, self.suffix)
    }

    /// All of it that decides which picture is right: the pictures of other words are other pictures. What a rewriting
    /// costs, how long it may take and whether it is kept is not among it.
    pub fn meaning(&self) -> Vec<String> {
        let Prompt { prefix, suffix, enrich } = self;
        if prefix.is_empty() && suffix.is_empty() && enrich.is_none() {
            return Vec::new();
        }
        let enrich = enrich.iter().flat_map(Enrich::meaning);
        [prefix.clone(), suffix.clone()].into_iter().chain(enrich).collect()
    }
}

/// Who rewrites prompts, and how.
#[derive(Clone, Debug)]
pub struct Enrich {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model.
    pub writer: Arc<TextModel>,
    /// `provider/model`, the name in logs, metrics and headers.
    pub name: String,
    /// What the model is told to do.
    pub system: String,
    /// Longest wait for it.
    pub timeout: Duration,
    /// Its longest answer.
    pub max_tokens: u32,
    /// How long what it wrote is kept; `None` is not at all.
    pub keep: Option<Duration>,
}

impl Enrich {
    /// All of it that decides what is written: who is asked, what the model is told, and with which options. The
    /// options come last, because there may be any number of them.
    pub fn meaning(&self) -> Vec<String> {
        let Enrich { provider, writer, name, system, timeout: _, max_tokens, keep: _ } = self;
        let TextModel { name: _, price: _, rate: _, options } = &**writer;
        let told = [name.clone(), provider.account.base_url.to_string(), system.clone(), max_tokens.to_string()];
        let options = options.iter().flat_map(|(key, value)| [key.clone(), value.to_string()]);
        told.into_iter().chain(options).collect()
    }
}

/// Filled in where the request is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Size.
    pub size: Option<Size>,
    /// Quality.
    pub quality: Option<Quality>,
    /// File format.
    pub output_format: Option<Format>,
    /// Link or base64.
    pub response_format: Option<ResponseFormat>,
}

/// The most pictures that are kept for one request: as many as one may ask for.
pub const MOST_VARIANTS: u8 = 10;

/// Reuse of pictures on one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteCache {
    /// How long a picture is reused.
    pub ttl: Duration,
    /// Whether a picture that was drawn for other words is served where every difference between them is explained.
    pub near: bool,
    /// So many different pictures are drawn before one is served again; 1 to 10.
    pub variants: u8,
    /// Whether what was drawn from a caller's own pictures is reused.
    pub edits: bool,
    /// The most of the cache's memory that its pictures may take, in parts per million.
    pub share_ppm: Option<u32>,
}
