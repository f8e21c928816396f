//! What the dispatch asks about the world, looked up in breakers, ledger and lanes. Nothing here changes anything.

use std::time::{Duration, Instant};

use crate::breaker::{Pause, PausedUntil};
use crate::config::plan::{HedgeAfter, Offer};
use crate::dispatch::{DispatchFacts, SlotForecast};
use crate::gateway::call_rates::RatedCall;
use crate::gateway::dispatch_loop::slot_forecast;
use crate::gateway::routed_request::RoutedRequest;
use crate::hedge_budget::HedgeBudgetExceeded;
use crate::ledger::BudgetExceeded;
use crate::money::Usd;

/// What the dispatch of a request asks about.
pub struct GatewayFacts<'a>(pub &'a RoutedRequest);

impl GatewayFacts<'_> {
    fn offer(&self, offer: usize) -> Option<&Offer> {
        self.0.matched.route.offers.get(offer)
    }
}

impl DispatchFacts for GatewayFacts<'_> {
    fn paused_until(&self, offer: usize, pictures: u8, now: Instant) -> Option<PausedUntil> {
        let offer = self.offer(offer)?;
        let call = RatedCall::draw(&offer.provider, &offer.model, pictures.into(), self.0.priority);
        paused_until(self.0, offer, call, now)
    }

    fn may_pay(&self) -> bool {
        self.0.shared.durable_ledger.may_pay()
    }

    fn short(&self, offer: usize, usd: Usd) -> Option<BudgetExceeded> {
        let offer = self.offer(offer)?;
        let budgets = self.0.budgets(offer);
        if budgets.iter().all(|budgets| budgets.is_empty()) {
            return None;
        }
        let owner = self.0.owner(&offer.provider.name, &offer.model.name);
        self.0.shared.ledger.short(&owner, budgets, usd, self.0.shared.clock.now())
    }

    fn may_retry(&self, offer: usize, now: Instant) -> bool {
        self.offer(offer).is_some_and(|offer| {
            self.0.shared.retry_budgets.left(&offer.provider.name, offer.provider.retry_budget, now) > 0
        })
    }

    fn slot_forecast(&self, offer: usize, calls: u8, now: Instant) -> Option<SlotForecast> {
        slot_forecast::slot_forecast(self.0, self.offer(offer)?, (self.0.priority, calls.into(), &[]), now)
    }

    fn max_wait(&self, offer: usize) -> Duration {
        self.offer(offer).map_or(Duration::ZERO, |offer| offer.provider.concurrency.max_wait)
    }

    fn has_room(&self, offer: usize) -> bool {
        self.offer(offer).is_some_and(|offer| self.0.shared.lane(&offer.provider).has_room(&offer.model.name, &[]))
    }

    fn has_free_slot(&self, offer: usize) -> bool {
        self.has_room(offer)
    }

    fn hedge_after(&self, offer: usize, now: Instant) -> Option<Duration> {
        match self.0.hedge()?.after {
            HedgeAfter::Time(time) => Some(time),
            HedgeAfter::Percentile(percent) => {
                let edits = self.0.request.edit.is_some();
                self.0.shared.service_times.percentile(&self.offer(offer)?.name, edits, f64::from(percent), now)
            }
        }
    }

    fn hedge_exceeds(&self, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        let route = &self.0.matched.route;
        self.0.shared.hedge_budgets.exceeded(&route.name, route.hedge.as_ref()?, usd, now)
    }
}

/// Why `offer` must not be asked for `call`, and until when: its circuit breaker's pause, or the time until its rates have so
/// much left, whichever is over later.
pub fn paused_until(spec: &RoutedRequest, offer: &Offer, call: RatedCall<'_>, now: Instant) -> Option<PausedUntil> {
    let paused = spec.shared.breakers.paused_until(spec.breaker_target(offer), now);
    let wait = call.ready_in(&spec.shared.call_rates, now);
    let spent = (!wait.is_zero()).then(|| rate_spent(wait, now));
    [paused, spent].into_iter().flatten().max_by_key(|paused| paused.opens)
}

/// A rate that has nothing left for so long.
pub fn rate_spent(wait: Duration, now: Instant) -> PausedUntil {
    PausedUntil { pause: Pause::RateSpent, until: now + wait, opens: now + wait }
}
