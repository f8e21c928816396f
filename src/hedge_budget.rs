//! How many calls of a route may be hedges, and what they may cost: a share of its other calls, and dollars in any 60 minutes.
//!
//! A hedge asks a second offer for what a first is late with, so both may be paid for. Where everything is late, hedging
//! without a bound doubles traffic and invoice for nothing. The share is a token bucket that begins empty: every other call
//! earns a part of a hedge and every hedge spends a whole one. Money is counted from the moment a hedge is reserved until 60
//! minutes after its end, at what was reserved for it and then at what it came to; so neither the hedges that began in any
//! 60 minutes nor those that ended in them cost more than the bound, unless a vendor charges more than was estimated.
//! Plain arithmetic that is handed the time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::plan::Hedge;
use crate::money::{self, Usd};

/// A hedge, in the unit that is counted in; a share of one is a number of parts per million.
const HEDGE: u64 = 1_000_000;

/// So many hedges are kept at most where nothing is late. A vendor's hiccup makes some calls late at once, and these may
/// all be hedged; an hour of peace must not pay for a storm in which everything is late and a hedge helps nobody.
const MOST_KEPT: u64 = 10 * HEDGE;

/// The time of which the dollars are.
pub const HEDGE_WINDOW: Duration = Duration::from_secs(3600);

/// Money is summed up by the minute.
const BUCKET_SECONDS: u64 = 60;

/// A minute that ended up to so many minutes ago may have hedges in it that ended in the last 60 minutes.
const BUCKETS: u64 = HEDGE_WINDOW.as_secs() / BUCKET_SECONDS;

/// What a hedge would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HedgeBudgetExceeded {
    /// The route's calls have not earned one (`at_most`).
    Share,
    /// It might cost more than is left of the hour (`max_usd_per_hour`).
    Dollars,
}

impl HedgeBudgetExceeded {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            HedgeBudgetExceeded::Share => "share",
            HedgeBudgetExceeded::Dollars => "dollars",
        }
    }
}

/// The budgets by route. They survive reloads; new bounds hold from the next call on.
#[derive(Debug, Default)]
pub struct HedgeBudgets {
    routes: Mutex<HashMap<String, Arc<Mutex<RouteHedges>>>>,
}

/// What one route's calls have earned, and what its hedges cost lately.
#[derive(Debug)]
struct RouteHedges {
    /// In millionths of a hedge.
    earned: u64,
    /// What is reserved for those under way.
    reserved: Usd,
    /// What those came to that ended lately, by the minute; at most [`BUCKETS`] and one.
    ended: VecDeque<(u64, Usd)>,
    began: Instant,
}

impl HedgeBudgets {
    /// A call was started that is no hedge.
    pub fn earn(&self, route: &str, hedge: &Hedge, now: Instant) {
        let known = self.of(route, now);
        let mut known = lock(&known);
        known.earned = known.earned.saturating_add(hedge.at_most_ppm.into()).min(MOST_KEPT);
    }

    /// What a hedge that may cost `usd` would pass now.
    pub fn exceeded(&self, route: &str, hedge: &Hedge, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        lock(&self.of(route, now)).exceeded(hedge, usd, now)
    }

    /// Sets aside a hedge that may cost `usd`, or says what it would pass.
    ///
    /// # Errors
    /// The bound that has too little left.
    pub fn reserve(
        &self,
        route: &str,
        hedge: &Hedge,
        usd: Usd,
        now: Instant,
    ) -> Result<HedgeReservation, HedgeBudgetExceeded> {
        let known = self.of(route, now);
        let mut of_route = lock(&known);
        if let Some(exceeded) = of_route.exceeded(hedge, usd, now) {
            return Err(exceeded);
        }
        of_route.earned = of_route.earned.saturating_sub(HEDGE);
        of_route.reserved = of_route.reserved.saturating_add(usd);
        drop(of_route);
        Ok(HedgeReservation { route: Some(known), usd })
    }

    /// Hedges of an earlier process came to `usd` in the last 60 minutes. They count for 60 minutes more.
    pub fn recall(&self, route: &str, usd: Usd, now: Instant) {
        lock(&self.of(route, now)).settle(Usd::ZERO, usd, now);
    }

    /// Forgets the routes that are not among these. What is under way is settled all the same.
    pub fn keep_only(&self, routes: impl Fn(&str) -> bool) {
        lock(&self.routes).retain(|route, _| routes(route));
    }

    fn of(&self, route: &str, now: Instant) -> Arc<Mutex<RouteHedges>> {
        let mut routes = lock(&self.routes);
        if let Some(known) = routes.get(route) {
            return known.clone();
        }
        let new = RouteHedges { earned: 0, reserved: Usd::ZERO, ended: VecDeque::new(), began: now };
        routes.entry(route.to_owned()).or_insert(Arc::new(Mutex::new(new))).clone()
    }
}

impl RouteHedges {
    fn exceeded(&mut self, hedge: &Hedge, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        if self.earned < HEDGE {
            return Some(HedgeBudgetExceeded::Share);
        }
        self.forget(now);
        let counted = self.ended.iter().map(|(_, usd)| *usd).chain([self.reserved, usd]);
        // An amount that does not fit is more than any bound.
        let within = money::sum(counted).is_some_and(|all| all <= hedge.max_usd_per_hour);
        (!within).then_some(HedgeBudgetExceeded::Dollars)
    }

    /// Forgets what ended more than 60 minutes ago.
    fn forget(&mut self, now: Instant) {
        let minute = self.minute(now);
        while self.ended.front().is_some_and(|(ended, _)| *ended + BUCKETS < minute) {
            self.ended.pop_front();
        }
    }

    fn settle(&mut self, reserved: Usd, usd: Usd, now: Instant) {
        self.reserved = self.reserved.checked_sub(reserved).unwrap_or(Usd::ZERO);
        self.forget(now);
        let minute = self.minute(now);
        match self.ended.back_mut() {
            // Two that end at once may come in the other order.
            Some((last, sum)) if *last >= minute => *sum = sum.saturating_add(usd),
            _ => self.ended.push_back((minute, usd)),
        }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / BUCKET_SECONDS
    }
}

/// A hedge that is set aside. Dropped, it was never sent, and is given back.
#[derive(Debug)]
pub struct HedgeReservation {
    /// `None` once it is settled.
    route: Option<Arc<Mutex<RouteHedges>>>,
    usd: Usd,
}

impl HedgeReservation {
    /// The hedge has ended and came to `usd`, paid for in advance or not, or may have.
    pub fn settle(mut self, usd: Usd, now: Instant) {
        if let Some(route) = self.route.take() {
            lock(&route).settle(self.usd, usd, now);
        }
    }
}

impl Drop for HedgeReservation {
    fn drop(&mut self) {
        if let Some(route) = self.route.take() {
            let mut route = lock(&route);
            route.reserved = route.reserved.checked_sub(self.usd).unwrap_or(Usd::ZERO);
            route.earned = route.earned.saturating_add(HEDGE).min(MOST_KEPT);
        }
    }
}

/// No code panics while it holds one of these locks, and each value is whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
