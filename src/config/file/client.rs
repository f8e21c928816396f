//! `clients:` as written: who may ask, by which keys, for how much.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::money::Budgets;
use crate::config::file::scalar::{Dollars, Hidden, NAME, Percent};

/// Who may ask.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Clients {
    /// Whoever reaches the address.
    Anyone(Anyone),
    /// Only these.
    Listed(Vec<Client>),
}

impl Default for Clients {
    fn default() -> Clients {
        Clients::Listed(Vec::new())
    }
}

/// The word for whoever reaches the address.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Anyone {
    /// Anyone may ask.
    Anyone,
}

/// One caller with a key of its own. Nothing is shared between clients.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Client {
    /// The client's name in logs, metrics and the ledger. Required.
    #[schemars(extend("pattern" = NAME))]
    pub(in crate::config) name: Option<String>,
    /// SHA-256 of the key in hex: `printf %s "$KEY" | sha256sum`. A list while a key is being replaced. Required.
    pub(in crate::config) key_sha256: Option<Keys>,
    /// The routes that the client may use. Default: all.
    pub(in crate::config) routes: Option<Vec<String>>,
    /// What may be spent for the client.
    pub(in crate::config) budget: Option<Budgets>,
    /// The most that a picture for the client may cost.
    pub(in crate::config) max_usd_per_image: Option<Dollars>,
    /// The most that a request of the client may cost.
    pub(in crate::config) max_usd_per_request: Option<Dollars>,
    /// How much the client may ask for. Default: without limit.
    pub(in crate::config) rate: Rate,
    /// Whether somebody waits for the client's pictures: `live`, or `batch` for jobs that may take their time and give way.
    /// Default live. A request may lower itself with `x-easel-priority: batch`.
    pub(in crate::config) priority: Option<Priority>,
    /// The most of `cache.memory` that the client's pictures may take. Default: all.
    pub(in crate::config) cache_share: Option<Percent>,
}

/// Whether somebody waits for a client's pictures.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Priority {
    /// Somebody waits at a screen.
    Live,
    /// A job that may take its time.
    Batch,
}

/// One key's hash or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Keys {
    /// One.
    One(Hidden),
    /// Several that are all good.
    Many(Vec<Hidden>),
}

/// How much a client may ask for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Rate {
    /// Pictures in a minute, those from the cache included.
    pub(in crate::config) images_per_minute: Option<u64>,
    /// Requests in a minute.
    pub(in crate::config) requests_per_minute: Option<u64>,
}
