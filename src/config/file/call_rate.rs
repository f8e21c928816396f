//! `rate:` of a provider and of a model as written.

use schemars::JsonSchema;
use serde::Deserialize;

/// What may be asked for in a minute, as vendors state it in their limits. It is spent before a call is sent: a minute's worth
/// may go at once, and comes back evenly. Batch calls leave the share of live calls (`concurrency.shares`) of it untouched.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct CallRate {
    /// Pictures in a minute. A call asks for no more than so many at once.
    pub(in crate::config) images_per_minute: Option<u64>,
    /// Calls for pictures in a minute; questions how a job stands are not counted.
    pub(in crate::config) requests_per_minute: Option<u64>,
}
