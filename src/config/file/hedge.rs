//! `hedge:` of a route as written: when another offer is asked besides, and how much of that there may be.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Dollars, HedgeAfter, Percent};

/// When another offer is asked for the same pictures, and how much of that there may be.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Hedge {
    /// How late a call must be: a percentile of its offer's own calls of the last minutes, p50 to p99, or a time. Default p95.
    pub(in crate::config) after: Option<HedgeAfter>,
    /// The most hedges for every hundred other calls of the route. Default 5%.
    pub(in crate::config) at_most: Option<Percent>,
    /// The most that hedges may cost in any 60 minutes. Required.
    pub(in crate::config) max_usd_per_hour: Option<Dollars>,
}
