//! `alerts:` as written: what is watched, and who is told.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Hidden, NAME, Time, When};

/// What Easel watches, and whom it tells.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Alert {
    /// The alert's name in logs, metrics and messages. Required.
    #[schemars(extend("pattern" = NAME))]
    pub(in crate::config) name: Option<String>,
    /// What must hold: a measure, a comparison and a number. Measures are cost_per_accepted_usd, acceptance_rate,
    /// spend_usd_per_hour, budget_share and error_rate. Required.
    pub(in crate::config) when: Option<When>,
    /// How long Easel looks back. Default 1h.
    pub(in crate::config) over: Option<Time>,
    /// With fewer pictures in that time, delivered and rejected, the alert neither begins nor ends. Default 0.
    pub(in crate::config) min_images: Option<u64>,
    /// For error_rate: with fewer calls in that time, the alert neither begins nor ends. Default 0.
    pub(in crate::config) min_attempts: Option<u64>,
    /// Looks at each of these by itself. Default: everything together.
    pub(in crate::config) by: Option<Dimension>,
    /// How long the condition must have held before Easel tells anybody. Default 0s.
    #[serde(rename = "for")]
    pub(in crate::config) hold: Option<Time>,
    /// Where Easel posts it as JSON; the chat services' incoming webhooks take it. Default: log and metrics only.
    pub(in crate::config) webhook: Option<Hidden>,
}

/// What is looked at one by one.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Dimension {
    /// Each provider.
    Provider,
    /// Each model of each provider.
    Model,
    /// Each route.
    Route,
    /// Each client.
    Tenant,
    /// Each offer of each route.
    Offer,
}
