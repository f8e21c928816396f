//! `hedge:` of a route as it runs: when another offer is asked besides, and how much of that there may be.

use std::time::Duration;

use crate::money::Usd;

/// When another offer is asked for the same pictures, and how much of that there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// How late a call must be.
    pub after: HedgeAfter,
    /// Of a million other calls of the route, the most that may be hedges.
    pub at_most_ppm: u32,
    /// The most that hedges may cost in any 60 minutes.
    pub max_usd_per_hour: Usd,
}

/// How late a call must be before another offer is asked besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// As so many of a hundred recent calls of its offer are not.
    Percentile(u8),
    /// So late.
    Time(Duration),
}
