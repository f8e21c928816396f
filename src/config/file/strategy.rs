//! `strategy:` and `when:` of a route as written: in which order its offers are asked, and which wait for a reason.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Percent, Time};

/// In which order offers are asked: a word, or a mapping for what needs more than a word.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Strategy {
    /// A word.
    Word(StrategyWord),
    /// With numbers.
    With(StrategyMapping),
}

/// In which order offers are asked.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum StrategyWord {
    /// As they are listed.
    Order,
    /// The lowest price of the request first, with volume tiers, add-ons and fees; what an unspent commitment pays for
    /// costs nothing.
    Cheapest,
    /// The lowest price of an accepted picture first.
    CheapestAccepted,
    /// The shortest time to a picture first: the median of the last minutes, and the wait for a slot.
    Fastest,
}

/// In which order offers are asked, with numbers; one of the two.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct StrategyMapping {
    /// In turn, each as often as its share says: provider/model and whole percents, 100 together. An offer that is not named
    /// is asked only after the others.
    pub(in crate::config) weighted: Option<BTreeMap<String, Percent>>,
    /// The lowest price of an accepted picture first.
    pub(in crate::config) cheapest_accepted: Option<CheapestAccepted>,
}

/// How an offer's acceptance is estimated: accepted pictures among all that were judged on this route.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct CheapestAccepted {
    /// What every offer is held to have had before its first picture.
    pub(in crate::config) prior: AcceptancePrior,
    /// The part of the requests that try another offer first, one that may prove cheaper. Default 5%.
    pub(in crate::config) explore: Option<Percent>,
    /// The time looked back over, up to 31d. Default 7d.
    pub(in crate::config) over: Option<Time>,
}

/// What every offer is held to have had before its first picture.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct AcceptancePrior {
    /// Accepted pictures. Default 1.
    pub(in crate::config) accepted: Option<u64>,
    /// Rejected pictures. Default 1.
    pub(in crate::config) rejected: Option<u64>,
}

/// When an offer may be asked; of several reasons one is enough.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AskWhen {
    /// No call of the request has failed or been given up, and no picture was rejected.
    First,
    /// A picture of the request was rejected.
    Rejected,
    /// No offer without `when` can be asked: each is paused, has failed, costs too much or cannot draw it.
    Unavailable,
    /// No offer without `when` can be asked, and at least one of them because its provider is at its limit.
    Saturated,
    /// A call takes more than half of the time that was left, or is late enough to be hedged.
    Late,
}
