//! Who may ask, for what, and for how much.

use std::num::NonZeroU32;

use crate::config::plan::money::Budget;
use crate::money::Usd;

/// One caller with a key of its own: a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The name in logs, metrics and the ledger.
    pub name: String,
    /// SHA-256 of each of its keys; several while one is being replaced.
    pub keys: Vec<[u8; 32]>,
    /// The routes it may use by name; `None` is all.
    pub routes: Option<Vec<String>>,
    /// What may be spent for it.
    pub budgets: Vec<Budget>,
    /// No picture for it dearer than this.
    pub max_usd_per_image: Option<Usd>,
    /// No request of its dearer than this.
    pub max_usd_per_request: Option<Usd>,
    /// How much it may ask for.
    pub rate: Rate,
}

impl Client {
    /// Whether it may use the route of this name.
    pub fn may_use(&self, route: &str) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.iter().any(|name| name == route))
    }
}

/// How much a client may ask for; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Pictures in a minute, those from the cache included.
    pub images_per_minute: Option<NonZeroU32>,
    /// Requests in a minute.
    pub requests_per_minute: Option<NonZeroU32>,
}
