//! Whose a prompt is, what became of it, and the route's prefix and suffix around it.

use std::sync::Arc;

use crate::breaker::Pause;
use crate::config::plan::Prompt;
use crate::failure::Class;
use crate::provider::anthropic::NoRewrite;

/// The tenant that wrote a prompt, and whether its rewritten form may be remembered.
#[derive(Clone, Debug)]
pub struct Author {
    /// Nothing is shared between tenants, rewritten prompts included.
    pub tenant: Arc<str>,
    /// Whether what is written for this caller may be kept, and taken from what was kept.
    pub remember: bool,
}

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
    pub fn word(self) -> &'static str {
        match self {
            Enriched::Written => "written",
            Enriched::Cached => "cached",
            Enriched::Unwritten(NoRewrite::Refused) => "refused",
            Enriched::Unwritten(NoRewrite::MaxTokens) => "max_tokens",
            Enriched::Unwritten(NoRewrite::Stopped) => "stopped",
            Enriched::Unwritten(NoRewrite::Empty) => "empty",
            Enriched::TooLong => "too_long",
            Enriched::Failed(class) => class.word(),
            Enriched::Paused(pause) => pause.word(),
            Enriched::AtCapacity => "at_capacity",
            Enriched::OverPrice => "over_price",
            Enriched::OverBudget => "over_budget",
            Enriched::LedgerUnwritable => "ledger_unwritable",
        }
    }
}

/// `words` between the route's prefix and suffix.
pub fn with_prefix_and_suffix(prompt: &Prompt, words: &str) -> String {
    let Prompt { prefix, suffix, enrich: _ } = prompt;
    format!("{prefix}{words}{suffix}")
}
