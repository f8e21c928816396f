//! How many calls of a route may be hedges, and what they may cost: a share of its other calls, and dollars in any 60 minutes.
//!
//! A hedge asks a second offer for what a first is late with, so both may be paid for. Where everything is late, hedging
//! without a bound doubles traffic and invoice for nothing. The share is a token bucket that begins empty: every other call
//! earns a part of a hedge and every hedge spends a whole one. Money is counted as [`SpendWindow`] does. Plain arithmetic that
//! is handed the time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::plan::Hedge;
use crate::money::Usd;
use crate::spend_window::SpendWindow;

/// A hedge, in the unit that is counted in; a share of one is a number of parts per million.
const HEDGE: u64 = 1_000_000;

/// So many hedges are kept at most where nothing is late. A vendor's hiccup makes some calls late at once, and these may
/// all be hedged; an hour of peace must not pay for a storm in which everything is late and a hedge helps nobody.
const MOST_KEPT: u64 = 10 * HEDGE;

/// The time of which the dollars are.
pub const HEDGE_WINDOW: Duration = Duration::from_secs(3600);

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
    /// Another process has the budgets now.
    handed_over: AtomicBool,
    routes: Mutex<HashMap<String, Arc<Mutex<RouteHedges>>>>,
}

/// What one route's calls have earned, and what its hedges cost lately.
#[derive(Debug)]
struct RouteHedges {
    /// In millionths of a hedge.
    earned: u64,
    /// What they cost lately, or may.
    spent: SpendWindow,
}

impl HedgeBudgets {
    /// A call was started that is no hedge.
    pub fn earn(&self, route: &str, hedge: &Hedge, now: Instant) {
        let known = self.of(route, now);
        let mut known = lock(&known);
        known.earned = known.earned.saturating_add(hedge.at_most_ppm.into()).min(MOST_KEPT);
    }

    /// Whether another process has the budgets from now on: then nothing is hedged here.
    pub fn set_handed_over(&self, handed_over: bool) {
        self.handed_over.store(handed_over, Ordering::Release);
    }

    /// What a hedge that may cost `usd` would pass now.
    pub fn exceeded(&self, route: &str, hedge: &Hedge, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        if self.handed_over.load(Ordering::Acquire) {
            return Some(HedgeBudgetExceeded::Share);
        }
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
        if self.handed_over.load(Ordering::Acquire) {
            return Err(HedgeBudgetExceeded::Share);
        }
        let known = self.of(route, now);
        let mut of_route = lock(&known);
        if let Some(exceeded) = of_route.exceeded(hedge, usd, now) {
            return Err(exceeded);
        }
        of_route.earned = of_route.earned.saturating_sub(HEDGE);
        of_route.spent.reserve(usd);
        drop(of_route);
        Ok(HedgeReservation { route: Some(known), usd })
    }

    /// Hedges of an earlier process came to `usd` in the last 60 minutes. They count for 60 minutes more.
    pub fn recall(&self, route: &str, usd: Usd, now: Instant) {
        lock(&self.of(route, now)).spent.settle(Usd::ZERO, usd, now);
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
        let new = RouteHedges { earned: 0, spent: SpendWindow::new(HEDGE_WINDOW, now) };
        routes.entry(route.to_owned()).or_insert(Arc::new(Mutex::new(new))).clone()
    }
}

impl RouteHedges {
    fn exceeded(&mut self, hedge: &Hedge, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        if self.earned < HEDGE {
            return Some(HedgeBudgetExceeded::Share);
        }
        let within = self.spent.has_room(usd, hedge.max_usd_per_hour, now);
        (!within).then_some(HedgeBudgetExceeded::Dollars)
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
            lock(&route).spent.settle(self.usd, usd, now);
        }
    }
}

impl Drop for HedgeReservation {
    fn drop(&mut self) {
        if let Some(route) = self.route.take() {
            let mut route = lock(&route);
            route.spent.release(self.usd);
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
