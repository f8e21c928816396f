//! Why a call is made to this offer and no other.

/// Why an offer was asked. The word goes to log, ledger and what explains a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChoiceReason {
    /// It came first by the route's strategy.
    First,
    /// It came first to learn what it is worth.
    Explore,
    /// All before it are at their limits.
    Spill,
    /// All before it stand aside for another reason: paused, too dear, over budget.
    NextAble,
    /// Another offer's call failed, or its picture was rejected.
    Fallback,
    /// Its own call failed before.
    Repeat,
    /// A call takes too long.
    Late,
    /// A call is later than its offer's calls usually are. It is waited for all the same.
    Hedge,
    /// Its slot came first of those that were waited for.
    Queued,
}

impl ChoiceReason {
    /// The word for log, ledger and header.
    pub fn as_str(self) -> &'static str {
        match self {
            ChoiceReason::First => "first",
            ChoiceReason::Explore => "explore",
            ChoiceReason::Spill => "spill",
            ChoiceReason::NextAble => "next_able",
            ChoiceReason::Fallback => "fallback",
            ChoiceReason::Repeat => "repeat",
            ChoiceReason::Late => "late",
            ChoiceReason::Hedge => "hedge",
            ChoiceReason::Queued => "queued",
        }
    }
}
