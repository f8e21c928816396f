//! `strategy:` and `when:` of a route as they run: in which order its offers are asked, and which wait for a reason.

use std::time::Duration;

/// In which order the offers that can draw a request are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// As they are listed.
    Order,
    /// The lowest price of the request first.
    Cheapest,
    /// The lowest price of an accepted picture first.
    CheapestAccepted(AcceptanceRules),
    /// The shortest time to a picture first.
    Fastest,
    /// In turn, each as often as its share says: percent for each listed offer, 100 together.
    Weighted(Vec<u8>),
}

impl Strategy {
    /// The word in config and log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Strategy::Order => "order",
            Strategy::Cheapest => "cheapest",
            Strategy::CheapestAccepted(_) => "cheapest_accepted",
            Strategy::Fastest => "fastest",
            Strategy::Weighted(_) => "weighted",
        }
    }
}

/// How an offer's acceptance is estimated, and how often another than the best is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptanceRules {
    /// Accepted pictures that every offer is held to have had before the first.
    pub prior_accepted: u32,
    /// Rejected ones.
    pub prior_rejected: u32,
    /// Of a million requests, how many try another offer that may prove better.
    pub explore_ppm: u32,
    /// The time looked back over.
    pub over: Duration,
}

impl Default for AcceptanceRules {
    /// One of each is Laplace's rule of succession: whoever knows nothing holds every rate for equally likely. A twentieth
    /// of the requests finds out within some hundreds of them what an offer is worth; only offers that may prove cheaper
    /// are tried, so it costs less than that. A week has all of a business's days in it and forgets what a model was
    /// before the vendor changed it.
    fn default() -> AcceptanceRules {
        AcceptanceRules {
            prior_accepted: 1,
            prior_rejected: 1,
            explore_ppm: 50_000,
            over: Duration::from_secs(7 * 86_400),
        }
    }
}

/// What must have happened to a request before an offer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskWhen {
    /// Nothing yet: no call has failed or been given up, and no picture was rejected.
    First,
    /// A picture was rejected.
    Rejected,
    /// No offer without `when` can be asked, and waiting for a slot would not help.
    Unavailable,
    /// No offer without `when` can be asked, and at least one of them for want of a slot.
    Saturated,
    /// A call takes longer than it should.
    Late,
}

impl AskWhen {
    /// The word in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            AskWhen::First => "first",
            AskWhen::Rejected => "rejected",
            AskWhen::Unavailable => "unavailable",
            AskWhen::Saturated => "saturated",
            AskWhen::Late => "late",
        }
    }
}
