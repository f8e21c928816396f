//! `alerts:` as they run: what is watched, and when it is told.
//!
//! Numbers are whole: a threshold is nano-dollars or millionths, by its measure. How they are compared is
//! `alert_evaluator`'s business; nothing here looks at a single amount.

use std::time::Duration;

use crate::money::Usd;
use crate::secret::Secret;

/// The longest window that an alert may look over.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(31 * 86_400);

/// What sums are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Everything together.
    All,
    /// Each provider.
    Provider,
    /// Each `provider/model`.
    Model,
    /// Each route.
    Route,
    /// Each tenant.
    Tenant,
    /// Each offer of each route, `route/provider/model`.
    Offer,
}

impl Dimension {
    /// What has a name of its own, thus all but [`Dimension::All`].
    pub const NAMED: [Dimension; 5] =
        [Dimension::Provider, Dimension::Model, Dimension::Route, Dimension::Tenant, Dimension::Offer];

    /// The word in config, metrics and webhooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Dimension::All => "all",
            Dimension::Provider => "provider",
            Dimension::Model => "model",
            Dimension::Route => "route",
            Dimension::Tenant => "tenant",
            Dimension::Offer => "offer",
        }
    }
}

/// What an alert watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Everything paid over the pictures that were accepted.
    CostPerAccepted,
    /// Accepted pictures among those delivered.
    AcceptanceRate,
    /// Money over time.
    SpendPerHour,
    /// The part of a budget that is used.
    BudgetShare,
    /// Failed calls among all.
    ErrorRate,
}

/// What a measure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Dollars, in nano-dollars.
    Usd,
    /// A share, in millionths.
    Percent,
}

impl Unit {
    /// A number of this unit as the config would have it: `0.012`, `40%`.
    pub fn written(self, number: i64) -> String {
        match self {
            Unit::Usd => Usd::from_nanos(number).to_string(),
            // A millionth is a ten-thousandth of a percent; money's exact decimals print it.
            Unit::Percent => format!("{}%", Usd::from_nanos(number.saturating_mul(100_000))),
        }
    }
}

impl Measure {
    /// Every measure.
    pub const ALL: [Measure; 5] = [
        Measure::CostPerAccepted,
        Measure::AcceptanceRate,
        Measure::SpendPerHour,
        Measure::BudgetShare,
        Measure::ErrorRate,
    ];

    /// The word in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::CostPerAccepted => "cost_per_accepted_usd",
            Measure::AcceptanceRate => "acceptance_rate",
            Measure::SpendPerHour => "spend_usd_per_hour",
            Measure::BudgetShare => "budget_share",
            Measure::ErrorRate => "error_rate",
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> Unit {
        match self {
            Measure::CostPerAccepted | Measure::SpendPerHour => Unit::Usd,
            Measure::AcceptanceRate | Measure::BudgetShare | Measure::ErrorRate => Unit::Percent,
        }
    }
}

/// How a measure and a threshold must stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Comparison {
    /// Every comparison, the longer signs first, so that the first one a text begins with is the one meant.
    pub const ALL: [Comparison; 4] = [Comparison::AtLeast, Comparison::AtMost, Comparison::Above, Comparison::Below];

    /// The sign in the config.
    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
        }
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What is watched.
    pub measure: Measure,
    /// How it stands to the threshold.
    pub comparison: Comparison,
    /// The threshold, in the measure's unit.
    pub threshold: i64,
}

/// An alert. Two that are equal are the same alert, and a reload goes on with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name in logs, metrics and webhooks.
    pub name: String,
    /// What must hold.
    pub when: Condition,
    /// The time looked back over. Budgets have a period of their own.
    pub over: Duration,
    /// Fewer pictures delivered in that time, or calls where the measure is a rate of errors, prove nothing.
    pub least: u64,
    /// What is looked at one by one.
    pub by: Dimension,
    /// How long the condition must have held.
    pub hold: Duration,
    /// Where it is told besides log and metrics: a URL of http or https. Whoever knows it can write there.
    pub webhook: Option<Secret>,
}
