//! The checked form of the config: what runs.
//!
//! Everything here is resolved: names exist, units are applied, secrets are read and hidden. It is built only by
//! `config::load`, shared as one `Arc`, and replaced as a whole on reload.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::diff::Outline;
use crate::config::report::Problems;

mod alert;
mod client;
mod dialect;
mod hedge;
mod hosts;
mod learn;
mod model;
mod money;
mod near;
mod provider;
mod quality;
mod route;
mod server;
mod strategy;

pub use crate::config::plan::model::{CapabilityOverrides, EditOverride, Model, TextModel, Via};
pub use crate::config::plan::provider::{Account, Breaker, Concurrency, Credentials, Provider, RetryBudget, Shares};
pub use crate::config::plan::route::{
    Defaults, Enrich, MOST_VARIANTS, ModelPattern, Offer, OnDeadline, Prompt, Route, RouteCache,
};
pub use crate::config::plan::server::{
    Cache, CacheWords, DiskCache, Idempotency, LedgerRules, Limits, LogFormat, LogLevel, LogRules, OnLedgerError,
    Server, Tls, Tracing,
};
pub use alert::{Alert, Comparison, Condition, Dimension, LONGEST_WINDOW, Measure, Unit};
pub use client::{Client, Priority, Rate};
pub use dialect::{AskAt, CostUnit, Dialect, EditAs, Poll, SizeFormat};
pub use hedge::{Hedge, HedgeAfter};
pub use hosts::{HostRule, NoHost};
pub use learn::{EquivalenceJudge, Learn};
pub use money::{Billing, Budget};
pub use near::NearEmbedding;
pub use quality::{
    Brand, CheckSet, KeepRejected, OnJudgeError, OutsideJudge, QualityCheck, QualityGate, QualityPool,
    QualityThresholds,
};
pub use strategy::{AcceptanceRules, AskWhen, Strategy};

/// A whole config, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Addresses and limits of the server itself. Changing `listen`, `admin`, `tls` or `threads` needs a restart.
    pub server: Server,
    /// The cache's bounds.
    pub cache: Cache,
    /// Where pictures and links are kept over a restart. Changing its directory needs a restart.
    pub disk_cache: Option<DiskCache>,
    /// How pictures are looked at, for all routes.
    pub quality: QualityPool,
    /// Who may ask; with nobody listed, everybody may, as tenant `default`.
    pub clients: Vec<Arc<Client>>,
    /// Whether the config says in so many words that anyone may ask.
    pub anyone: bool,
    /// The problem that other machines reach the address and are not served, since there are no clients and `anyone` is
    /// not said. It is for people to read: who is served is told by the address that asks.
    pub remote_refused: Option<Problems>,
    /// What is allowed and hardly meant. It is for people to read.
    pub warnings: Option<Problems>,
    /// Providers by name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// Routes in the order they are tried.
    pub routes: Vec<Arc<Route>>,
    /// What is watched; no two have the same name.
    pub alerts: Vec<Arc<Alert>>,
    /// What the file said, to tell what another one changes.
    pub written: Outline,
    /// The file's text without its secrets, for people.
    pub shown: ShownText,
}

/// A config's text without its secrets.
#[derive(Clone, Default)]
pub struct ShownText(Arc<str>);

impl ShownText {
    /// `text` has no secret in it.
    pub(in crate::config) fn new(text: &str) -> ShownText {
        ShownText(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ShownText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownText")
    }
}

impl Plan {
    /// The longest window that an alert or a strategy looks over; sums must be kept for as long.
    pub fn longest_window(&self) -> Option<Duration> {
        let alerts = self.alerts.iter().map(|alert| alert.over);
        let strategies = self.routes.iter().filter_map(|route| match &route.strategy {
            Strategy::CheapestAccepted(rules) => Some(rules.over),
            _ => None,
        });
        alerts.chain(strategies).max()
    }
}
