//! Why no other offer is asked besides a call that is unusually late.

use crate::hedge_budget::HedgeBudgetExceeded;

/// Why a late call is not hedged. The word goes to log and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HedgeRefusal {
    /// No other offer that could draw the same has a free slot and nothing against it: pauses, limits, budgets.
    NoOffer,
    /// The route's bound for hedges is reached.
    Exceeded(HedgeBudgetExceeded),
}

impl HedgeRefusal {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            HedgeRefusal::NoOffer => "no_offer",
            HedgeRefusal::Exceeded(exceeded) => exceeded.as_str(),
        }
    }
}
