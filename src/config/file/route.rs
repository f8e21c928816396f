//! `routes:` as written: which request goes to whom, and under what conditions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::hedge::Hedge;
use crate::config::file::learn::Learn;
use crate::config::file::money::Budgets;
use crate::config::file::near::Near;
use crate::config::file::quality::RouteQuality;
use crate::config::file::scalar::{Delivery, Dollars, FileFormat, NAME, OFFER, Percent, Pixels, Quality, Time};
use crate::config::file::strategy::{AskWhen, Strategy};

/// Which requests go to whom, and under what conditions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Route {
    /// The route's name in logs, metrics and headers. Required.
    #[schemars(extend("pattern" = NAME))]
    pub(in crate::config) name: Option<String>,
    /// Which requests the route takes. Default: all.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Match,
    /// Who may draw, in the order in which Easel asks unless `strategy` says otherwise. Required.
    pub(in crate::config) offers: Vec<Offer>,
    /// In which order the offers that can draw a request are asked. Default order.
    pub(in crate::config) strategy: Option<Strategy>,
    /// What a picture and a request may cost.
    pub(in crate::config) price: Limit,
    /// How long a client waits: a time, or a time and what happens then. Default 180s, partial.
    pub(in crate::config) deadline: Option<Deadline>,
    /// After how many failed calls a request gives up.
    pub(in crate::config) attempts: Attempts,
    /// Ask another offer for the same pictures when a call takes unusually long, and take what comes first. Both calls are
    /// paid for. Default: never.
    pub(in crate::config) hedge: Option<Hedge>,
    /// What happens when a provider refuses the prompt for its content. Default fail.
    pub(in crate::config) refusals: Option<Refusals>,
    /// What becomes of the prompt before it is drawn.
    pub(in crate::config) prompt: Prompt,
    /// What Easel fills in where a request says nothing.
    pub(in crate::config) defaults: Defaults,
    /// How far a size may be bent to what a model draws.
    pub(in crate::config) size: SizeTolerance,
    /// Skip offers that would bend a size or drop a wish (quality, style, output_compression). Default false.
    pub(in crate::config) strict: Option<bool>,
    /// Which pictures are accepted: `true` makes the usual checks, `false` none, a section sets them. Default: only what does
    /// not decode is rejected.
    pub(in crate::config) quality: Option<RouteQuality>,
    /// Reuse of pictures; `false` turns it off. Default on, for 30d.
    pub(in crate::config) cache: Option<RouteCache>,
}

/// Which requests are meant; all conditions must hold.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Match {
    /// Model names a client may send; a `*` at the end stands for anything. Default: every name.
    pub(in crate::config) models: Option<Vec<String>>,
    /// Headers a request must carry, with exactly these values.
    pub(in crate::config) headers: BTreeMap<String, String>,
}

/// provider/model, alone or with conditions.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Offer {
    /// provider/model.
    #[schemars(extend("pattern" = OFFER))]
    Name(String),
    /// provider/model with conditions.
    Limited(LimitedOffer),
}

/// provider/model with conditions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct LimitedOffer {
    /// provider/model. Required.
    #[schemars(extend("pattern" = OFFER))]
    pub(in crate::config) offer: Option<String>,
    /// The most that a picture of this offer may cost.
    pub(in crate::config) max_usd_per_image: Option<Dollars>,
    /// When it may be asked; of several reasons one is enough. Default: at any time.
    pub(in crate::config) when: Option<Vec<AskWhen>>,
}

/// What a picture and a request may cost.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{"max_usd_per_image": 0.06}]))]
pub(in crate::config) struct Limit {
    /// The most that a picture may cost.
    pub(in crate::config) max_usd_per_image: Option<Dollars>,
    /// The most that a request may cost.
    pub(in crate::config) max_usd_per_request: Option<Dollars>,
    /// What may be spent on this route.
    pub(in crate::config) budget: Option<Budgets>,
}

/// How long a client waits.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Deadline {
    /// This long.
    After(Time),
    /// This long, and what happens then.
    Then(DeadlineThen),
}

/// How long a client waits, and what happens then.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct DeadlineThen {
    /// How long. Default 180s.
    pub(in crate::config) after: Option<Time>,
    /// What the client gets then. Default partial.
    pub(in crate::config) then: Option<OnDeadline>,
}

/// What a client gets when its deadline passes.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnDeadline {
    /// The pictures there are, if any.
    Partial,
    /// An error.
    Fail,
}

/// After how many failed calls a request gives up.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{"max": 6}]))]
pub(in crate::config) struct Attempts {
    /// Failed calls after which a request gives up. Default 6.
    pub(in crate::config) max: Option<u64>,
    /// Failed calls after which a request stops asking the same offer. Default 2.
    pub(in crate::config) per_offer: Option<u64>,
    /// How long a request leaves an offer alone that failed it before it asks the same one again; twice as long after
    /// each failure, up to 16 times. Chance shortens it by up to a half. Another offer is asked at once. Default 500ms.
    pub(in crate::config) backoff: Option<Time>,
}

/// What happens when a provider refuses the prompt for its content.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Refusals {
    /// The refusal goes back to the caller.
    Fail,
    /// The next offer is asked.
    Next,
}

/// What becomes of the prompt before it is drawn.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{"prefix": "A studio photo of "}]))]
pub(in crate::config) struct Prompt {
    /// Put before the prompt exactly so; end it with a space.
    pub(in crate::config) prefix: Option<String>,
    /// Put after the prompt exactly so; begin it with a space.
    pub(in crate::config) suffix: Option<String>,
    /// A language model rewrites the caller's prompt. Where it cannot, the caller's own words are drawn.
    pub(in crate::config) enrich: Option<Enrich>,
}

/// Who rewrites prompts, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Enrich {
    /// provider/model, the provider being of kind anthropic or openai_text. Required.
    #[schemars(extend("pattern" = OFFER))]
    pub(in crate::config) offer: Option<String>,
    /// What the model is told to do with a prompt. Required.
    pub(in crate::config) system: Option<String>,
    /// Longest wait for it; never more than half of the time that is left. Default 3s.
    pub(in crate::config) timeout: Option<Time>,
    /// The model's longest answer, in tokens. Easel does not use one that is cut off. Default 400.
    pub(in crate::config) max_tokens: Option<u64>,
    /// Whether Easel keeps the rewritten prompt as long as the route's pictures. Default true.
    pub(in crate::config) cache: Option<bool>,
}

/// What Easel fills in where a request says nothing.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Defaults {
    /// Pixels across and down.
    pub(in crate::config) size: Option<Pixels>,
    /// How much effort.
    pub(in crate::config) quality: Option<Quality>,
    /// File format.
    pub(in crate::config) output_format: Option<FileFormat>,
    /// How pictures are handed out: as base64, or as links, which DALL-E's clients expect. A stream has base64 in any
    /// case. Default b64_json.
    pub(in crate::config) response_format: Option<Delivery>,
}

/// How far a size may be bent to what a model draws.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SizeTolerance {
    /// Largest change of the shape. Default 15%.
    pub(in crate::config) tolerance: Option<Percent>,
    /// Refuse instead of bending. Default false.
    pub(in crate::config) strict: Option<bool>,
}

/// Reuse of pictures.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum RouteCache {
    /// On or off.
    Switch(bool),
    /// On, with conditions.
    On(Box<RouteCacheOn>),
}

/// Reuse of pictures, with conditions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RouteCacheOn {
    /// How long a picture is reused. Default 30d.
    pub(in crate::config) ttl: Option<Time>,
    /// Which other words may mean the same picture. Default off.
    pub(in crate::config) near: Option<Near>,
    /// Learns pairs of words that mean the same, with `near: verified`. Default: it does not.
    pub(in crate::config) learn: Option<Learn>,
    /// So many different pictures are drawn for a prompt before one is served again; then they take turns, 1 to 10.
    /// Default 1.
    pub(in crate::config) variants: Option<u64>,
    /// Reuse what was drawn from a caller's own pictures. Default false.
    pub(in crate::config) edits: Option<bool>,
    /// The most of `cache.memory` that the route's pictures may take. Default: all.
    pub(in crate::config) share: Option<Percent>,
}
