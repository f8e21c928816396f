//! Why an offer was not asked.

use crate::breaker::Pause;
use crate::capabilities::Unsupported;
use crate::money::Usd;
use crate::routing::price_caps::{Cap, CapExceeded};

/// Why an offer was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// The model cannot draw this.
    Unsupported(Unsupported),
    /// The price table has no such picture.
    Unpriced,
    /// Dearer than a threshold allows.
    OverPrice {
        /// The price of one picture, or of the request where that is the limit.
        usd: Usd,
        /// The threshold.
        cap: Cap,
    },
    /// A budget would be passed.
    OverBudget,
    /// The ledger cannot be written, and nothing is paid for that is not written down.
    LedgerUnwritable,
    /// Paused after trouble.
    Paused(Pause),
    /// No slot free, and no room to wait.
    AtCapacity,
    /// No slot free, and none expected in time.
    WouldBeLate,
    /// Failed this request, and its provider has had its share of repeats.
    RetryBudget,
    /// Failed this request already.
    Failed,
    /// It is asked for a reason alone (`when`), and none has come true.
    ConditionNotMet,
}

impl From<CapExceeded> for Skip {
    fn from(CapExceeded { usd, cap }: CapExceeded) -> Skip {
        Skip::OverPrice { usd, cap }
    }
}

impl Skip {
    /// The word for log, metric and header.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::Unsupported(unable) => unable.as_str(),
            Skip::Unpriced => "unpriced",
            Skip::OverPrice { .. } => "over_price",
            Skip::OverBudget => "over_budget",
            Skip::LedgerUnwritable => "ledger_unwritable",
            Skip::Paused(pause) => pause.as_str(),
            Skip::AtCapacity => "at_capacity",
            Skip::WouldBeLate => "would_be_late",
            Skip::RetryBudget => "retry_budget",
            Skip::Failed => "failed",
            Skip::ConditionNotMet => "condition_not_met",
        }
    }
}
