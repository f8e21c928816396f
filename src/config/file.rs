//! The YAML exactly as written.
//!
//! Every field may be absent and every amount, time and size is still text: what they mean is `check`'s business. The
//! doc sentence of a field is its description in the JSON Schema, so it is written for whoever edits the YAML. Nothing
//! here is `Debug`, because it holds keys in the clear.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

mod alert;
mod call_rate;
mod client;
mod dialect;
mod hedge;
mod learn;
mod model;
mod money;
mod near;
mod price;
mod provider;
mod quality;
mod route;
mod scalar;
mod server;
mod strategy;

pub(super) use alert::{Alert, Dimension};
pub(super) use call_rate::CallRate;
pub(super) use client::{Client, Clients, Keys, Priority, Rate};
pub(super) use dialect::{CostUnit, Dialect, EditAs, Poll, SizeFormat};
pub(super) use hedge::Hedge;
pub(super) use learn::{EquivalenceJudge, Learn};
pub(super) use model::{Capabilities, Edit, EditBounds, Model, SizeRules, SizeWord, Sizes, Via};
pub(super) use money::{Billing, Budget, Budgets, Charged, Charges, Per, VolumeTier};
pub(super) use near::{CertifiedThreshold, Near, NearEmbedding, NearWord};
pub(super) use price::{Addons, Estimate, PerSecond, Price, PriceMapping, PriceRow, Round, TokensPerMillion};
pub(super) use provider::{Breaker, Concurrency, Entra, EntraApplication, Provider, RetryBudget, Shares};
pub(super) use quality::{
    Brand, Judge, KeepRejected, OnJudgeError, QualityGate, QualityPool, QualityThresholds, RouteQuality,
};
pub(super) use route::{
    Attempts, Deadline, DeadlineThen, Defaults, Enrich, Limit, LimitedOffer, Match, Offer, OnDeadline, Prompt,
    Refusals, Route, RouteCache, RouteCacheOn, SizeTolerance,
};
pub(super) use scalar::{
    Bytes, Color, Decimal, Delivery, Dollars, FileFormat, HeaderText, HedgeAfter, Hidden, NAME, Percent, Pixels,
    Quality, QualityCheck, ROW_SIZE, Ratio, RowSize, Time, When, ZoneName,
};
pub(super) use server::{
    Cache, Cors, Dashboard, DiskCache, Idempotency, Ledger, Limits, Log, LogFormat, LogLevel, OnLedgerError, Server,
    Tls, Tracing, Words,
};
pub(super) use strategy::{AskWhen, CheapestAccepted, Strategy, StrategyWord};

/// One Easel: where it listens, whom it may ask, and which request goes where.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("patternProperties" = {"^x-": true}))]
pub(super) struct File {
    /// Addresses and limits of Easel itself.
    pub(super) server: Server,
    /// Memory for pictures.
    pub(super) cache: Cache,
    /// How pictures are looked at, for all routes.
    pub(super) quality: QualityPool,
    /// Who may ask, each with a key of its own. Default: everybody on this machine, as one client named
    /// `default`; `anyone` serves whoever reaches `server.listen`.
    pub(super) clients: Clients,
    /// Who can draw: one entry for each account at a vendor, under a name of your choice.
    #[schemars(extend("propertyNames" = {"pattern": scalar::NAME}))]
    pub(super) providers: BTreeMap<String, Provider>,
    /// Which request goes to whom. The first route that matches is taken.
    pub(super) routes: Vec<Route>,
    /// What Easel watches, and whom it tells.
    pub(super) alerts: Vec<Alert>,
}
