//! What the dispatch asks about the world, looked up in breakers, ledger and lanes. Nothing here changes anything.

use std::time::{Duration, Instant};

use crate::breaker::PausedUntil;
use crate::config::plan::{HedgeAfter, Offer};
use crate::dispatch::DispatchFacts;
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
    fn paused_until(&self, offer: usize, now: Instant) -> Option<PausedUntil> {
        self.0.shared.breakers.paused_until(self.0.breaker_target(self.offer(offer)?), now)
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

    fn max_wait(&self, offer: usize) -> Duration {
        self.offer(offer).map_or(Duration::ZERO, |offer| offer.provider.concurrency.max_wait)
    }

    fn has_room(&self, offer: usize) -> bool {
        self.offer(offer).is_some_and(|offer| self.0.shared.lane(&offer.provider).has_room())
    }

    fn has_free_slot(&self, offer: usize) -> bool {
        self.has_room(offer)
    }

    fn hedge_after(&self, offer: usize, now: Instant) -> Option<Duration> {
        match self.0.hedge()?.after {
            HedgeAfter::Time(time) => Some(time),
            HedgeAfter::Percentile(percent) => {
                let edits = self.0.request.edit.is_some();
                self.0.shared.service_times.percentile(&self.offer(offer)?.name, edits, percent, now)
            }
        }
    }

    fn hedge_exceeds(&self, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        let route = &self.0.matched.route;
        self.0.shared.hedge_budgets.exceeded(&route.name, route.hedge.as_ref()?, usd, now)
    }
}
