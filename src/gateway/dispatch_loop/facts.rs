//! What the dispatch asks about the world, looked up in breakers, ledger and lanes. Nothing here changes anything.

use std::time::{Duration, Instant};

use crate::breaker::{Pause, PausedUntil, WaitingPlace};
use crate::config::plan::{HedgeAfter, Offer};
use crate::dispatch::{DispatchFacts, SlotForecast};
use crate::gateway::call_rates::RatedCall;
use crate::gateway::dispatch_loop::slot_forecast;
use crate::gateway::routed_request::RoutedRequest;
use crate::hedge_budget::HedgeBudgetExceeded;
use crate::ledger::BudgetExceeded;
use crate::money::Usd;

/// What the dispatch of a request asks about.
#[derive(Clone, Copy)]
pub struct GatewayFacts<'a> {
    /// The request.
    pub spec: &'a RoutedRequest,
    /// Its place among those that wait for a provider.
    pub place: Option<&'a WaitingPlace>,
}

impl GatewayFacts<'_> {
    fn offer(&self, offer: usize) -> Option<&Offer> {
        self.spec.matched.route.offers.get(offer)
    }
}

impl DispatchFacts for GatewayFacts<'_> {
    fn paused_until(&self, offer: usize, pictures: u8, now: Instant) -> Option<PausedUntil> {
        let offer = self.offer(offer)?;
        paused_until(*self, offer, (pictures.into(), (0, 0)), now)
    }

    fn may_pay(&self) -> bool {
        self.spec.shared.durable_ledger.may_pay()
    }

    fn short(&self, offer: usize, usd: Usd) -> Option<BudgetExceeded> {
        let offer = self.offer(offer)?;
        let budgets = self.spec.budgets(offer);
        if budgets.iter().all(|budgets| budgets.is_empty()) {
            return None;
        }
        let owner = self.spec.owner(&offer.provider.name, &offer.model.name);
        self.spec.shared.ledger.short(&owner, budgets, usd, self.spec.shared.clock.now())
    }

    fn may_retry(&self, offer: usize, now: Instant) -> bool {
        self.offer(offer).is_some_and(|offer| {
            self.spec.shared.retry_budgets.left(&offer.provider.name, offer.provider.retry_budget, now) > 0
        })
    }

    fn slot_forecast(&self, offer: usize, calls: u8, now: Instant) -> Option<SlotForecast> {
        slot_forecast::slot_forecast(self.spec, self.offer(offer)?, (self.spec.priority, calls.into(), &[]), now)
    }

    fn max_wait(&self, offer: usize) -> Duration {
        self.offer(offer).map_or(Duration::ZERO, |offer| offer.provider.concurrency.max_wait)
    }

    fn has_free_slot(&self, offer: usize) -> bool {
        self.offer(offer).is_some_and(|offer| self.spec.shared.lane(&offer.provider).has_room(&offer.model.name, &[]))
    }

    fn hedge_after(&self, offer: usize, now: Instant) -> Option<Duration> {
        match self.spec.hedge()?.after {
            HedgeAfter::Time(time) => Some(time),
            HedgeAfter::Percentile(percent) => {
                let edits = self.spec.request.edit.is_some();
                self.spec.shared.service_times.percentile(&self.offer(offer)?.name, edits, percent, now)
            }
        }
    }

    fn hedge_exceeds(&self, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        let route = &self.spec.matched.route;
        self.spec.shared.hedge_budgets.exceeded(&route.name, route.hedge.as_ref()?, usd, now)
    }
}

/// Why `offer` must not be asked for so many pictures, after so many other calls of this request with so many pictures, and
/// until when: its circuit breaker's pause, or the time until its rates have so much left, whichever is over later. What
/// comes back of a rate is for those first who wait for it already.
pub fn paused_until(
    GatewayFacts { spec, place }: GatewayFacts<'_>,
    offer: &Offer,
    (pictures, planned): (u32, (u32, u32)),
    now: Instant,
) -> Option<PausedUntil> {
    let (shared, provider) = (&spec.shared, &offer.provider);
    let paused = shared.breakers.paused_until(spec.breaker_target(offer), now);
    let call = RatedCall::draw(provider, &offer.model, pictures, spec.priority);
    let waiting =
        || u32::try_from(shared.waiting_requests.before(&provider.name, &spec.waiter(), place)).unwrap_or(u32::MAX);
    let waiting = if call.is_rated() { waiting() } else { 0 };
    // As many pictures each, for nobody knows better.
    let before = (planned.0.saturating_add(waiting), planned.1.saturating_add(waiting.saturating_mul(pictures)));
    let wait = call.after(before).ready_in(&shared.call_rates, now);
    let spent = (!wait.is_zero()).then(|| rate_spent(wait, now));
    [paused, spent].into_iter().flatten().max_by_key(|paused| paused.opens)
}

/// A rate that has nothing left for so long.
pub fn rate_spent(wait: Duration, now: Instant) -> PausedUntil {
    PausedUntil { pause: Pause::RateSpent, until: now + wait, opens: now + wait }
}
