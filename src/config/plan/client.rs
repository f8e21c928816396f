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
    /// Whether somebody waits for its pictures.
    pub priority: Priority,
    /// The most of the cache's memory that its pictures may take, in parts per million.
    pub cache_share_ppm: Option<u32>,
}

impl Client {
    /// Whether it may use the route of this name.
    pub fn may_use(&self, route: &str) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.iter().any(|name| name == route))
    }
}

/// Whether somebody waits for a picture: the class in which its calls wait for a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Somebody waits at a screen.
    #[default]
    Live,
    /// A job that may take its time.
    Batch,
}

impl Priority {
    /// Both.
    pub const ALL: [Priority; 2] = [Priority::Live, Priority::Batch];

    /// The word for config, header, log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Live => "live",
            Priority::Batch => "batch",
        }
    }

    /// The lower of two: nobody gets more than either says.
    pub fn lowered_to(self, wished: Priority) -> Priority {
        match (self, wished) {
            (Priority::Live, Priority::Live) => Priority::Live,
            _ => Priority::Batch,
        }
    }
}

/// How much a client may ask for, or a provider or model may be asked for; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Pictures in a minute: for a client, those from the cache included.
    pub images_per_minute: Option<NonZeroU32>,
    /// Requests in a minute: of a client, or calls to a provider.
    pub requests_per_minute: Option<NonZeroU32>,
}
