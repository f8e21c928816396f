//! `learn:` of a route's cache as written: who is asked whether two words mean the same, and what that may cost.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::near::NearEmbedding;
use crate::config::file::scalar::{Dollars, OFFER, Time};

/// Who is asked, off the request's path, about prompts that differ in one pair of words from one whose pictures are kept. A pair
/// that is approved is reused from then on, for the client whose prompts they were.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Learn {
    /// A model that writes, `provider/model`, or one that embeds and a certified threshold. Required.
    pub(in crate::config) judge: Option<EquivalenceJudge>,
    /// The most that its answers may cost in any 24 hours. Required.
    pub(in crate::config) max_usd_per_day: Option<Dollars>,
    /// Questions in a minute. Default 10.
    pub(in crate::config) per_minute: Option<u64>,
    /// How long an answer holds. Default 30d.
    pub(in crate::config) ttl: Option<Time>,
    /// How long an answer is waited for. Default 30s.
    pub(in crate::config) timeout: Option<Time>,
}

/// Who says whether two words mean the same.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum EquivalenceJudge {
    /// A model that writes, `provider/model`: it is asked.
    #[schemars(extend("pattern" = OFFER))]
    Model(String),
    /// A model that embeds: they do where both prompts are so alike as `easel calibrate` certified.
    Embedding(NearEmbedding),
}
