//! What became of a prompt that was to be rewritten.

use crate::breaker::Pause;
use crate::failure::Class;
use crate::provider::anthropic::NoRewrite;

/// What became of a prompt that was to be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enriched {
    /// It was, just now.
    Written,
    /// It had been before.
    Cached,
    /// The model answered, with nothing to use.
    Unwritten(NoRewrite),
    /// An offer that could draw the caller's own prompt could not read what was written.
    TooLong,
    /// The call failed, or took too long.
    Failed(Class),
    /// The model is paused after trouble.
    Paused(Pause),
    /// No slot was free in time.
    AtCapacity,
    /// With what it may cost, an offer would be over the request's threshold.
    OverPrice,
    /// A budget would be passed.
    OverBudget,
    /// The ledger cannot be written.
    LedgerUnwritable,
}

impl Enriched {
    /// The word for log, metric and header.
    pub fn as_str(self) -> &'static str {
        match self {
            Enriched::Written => "written",
            Enriched::Cached => "cached",
            Enriched::Unwritten(NoRewrite::Refused) => "refused",
            Enriched::Unwritten(NoRewrite::MaxTokens) => "max_tokens",
            Enriched::Unwritten(NoRewrite::Stopped) => "stopped",
            Enriched::Unwritten(NoRewrite::Empty) => "empty",
            Enriched::TooLong => "too_long",
            Enriched::Failed(class) => class.as_str(),
            Enriched::Paused(pause) => pause.as_str(),
            Enriched::AtCapacity => "at_capacity",
            Enriched::OverPrice => "over_price",
            Enriched::OverBudget => "over_budget",
            Enriched::LedgerUnwritable => "ledger_unwritable",
        }
    }
}
