//! `alerts:` as written: what is watched, and who is told.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Hidden, Time, When};

/// What is watched, and who is told.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Alert {
    /// Its name in logs, metrics and messages. Required.
    pub(in crate::config) name: Option<String>,
    /// What must hold: a measure, a comparison and a number. Measures are cost_per_accepted_usd, acceptance_rate,
    /// spend_usd_per_hour, budget_share and error_rate. Required.
    pub(in crate::config) when: Option<When>,
    /// The time looked back over. Default 1h.
    pub(in crate::config) over: Option<Time>,
    /// Fewer pictures delivered in that time prove nothing. Default 0.
    pub(in crate::config) min_images: Option<u64>,
    /// For error_rate: fewer calls in that time prove nothing. Default 0.
    pub(in crate::config) min_attempts: Option<u64>,
    /// What is looked at one by one. Default: everything together.
    pub(in crate::config) by: Option<By>,
    /// How long the condition must have held before anybody is told. Default 0s.
    #[serde(rename = "for")]
    pub(in crate::config) hold: Option<Time>,
    /// Where it is posted as JSON; the chat services' incoming webhooks take it. Default: log and metrics only.
    pub(in crate::config) webhook: Option<Hidden>,
}

/// What is looked at one by one.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum By {
    /// Each provider.
    Provider,
    /// Each model of each provider.
    Model,
    /// Each route.
    Route,
    /// Each client.
    Tenant,
}
