//! What became of a prompt that was to be rewritten.

use crate::failure::Class;
use crate::gateway::text_call::NoTextCall;
use crate::provider::NoText;

/// What became of a prompt that was to be rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enriched {
    /// It was, just now.
    Written,
    /// It had been before.
    Cached,
    /// The model answered, with nothing to use.
    Unwritten(NoText),
    /// An offer that could draw the caller's own prompt could not read what was written.
    TooLong,
    /// Another request was having it rewritten, for too long.
    TimedOut,
    /// The model did not answer, or was not asked.
    Unanswered(NoTextCall),
}

impl Enriched {
    /// The word for log, metric and header.
    pub fn as_str(&self) -> &'static str {
        match self {
            Enriched::Written => "written",
            Enriched::Cached => "cached",
            Enriched::Unwritten(why) => why.as_str(),
            Enriched::TooLong => "too_long",
            Enriched::TimedOut => Class::TimeoutAmbiguous.as_str(),
            Enriched::Unanswered(why) => why.as_str(),
        }
    }
}
