//! Why and until when an offer must not be asked.

use std::time::Instant;

/// Why an offer is paused. The word goes to log, metric and header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pause {
    /// The provider said "too many requests".
    RateLimited,
    /// What the config lets the provider or the model be asked for in a minute (`rate`) is spent. No breaker says so; it is
    /// a pause that Easel keeps before the provider has to ask for one.
    RateSpent,
    /// The provider has trouble and said when to come back.
    Overloaded,
    /// Too many failures in a row of time.
    Failing,
    /// The account is out of money or quota.
    Quota,
    /// The credentials were refused.
    Auth,
    /// The model does not exist.
    ModelGone,
    /// The pause is over and a probe is out.
    Probing,
}

impl Pause {
    /// The word for log, metric and header.
    pub fn as_str(self) -> &'static str {
        match self {
            Pause::RateLimited => "rate_limited",
            Pause::RateSpent => "rate_spent",
            Pause::Overloaded => "overloaded",
            Pause::Failing => "failing",
            Pause::Quota => "quota",
            Pause::Auth => "auth",
            Pause::ModelGone => "model_gone",
            Pause::Probing => "probing",
        }
    }

    /// Whether the account or the model is used up for now, and nothing is broken.
    pub fn is_a_limit(self) -> bool {
        matches!(self, Pause::RateLimited | Pause::RateSpent | Pause::Quota)
    }

    /// Whether one probe must prove that it is over. Where the vendor named the time, its word is enough.
    pub(super) fn wants_proof(self) -> bool {
        !matches!(self, Pause::RateLimited | Pause::RateSpent | Pause::Overloaded)
    }
}

/// An offer that must not be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PausedUntil {
    /// Why.
    pub pause: Pause,
    /// Until when, as everybody is told who asks meanwhile.
    pub until: Instant,
    /// When it may be asked again at the latest: a little later than is told, or, while a probe is out, when another
    /// may go.
    pub opens: Instant,
}
