//! Reserving: a call needs a free slot, a breaker that lets it pass, rates that are not spent, and money that is set aside
//! for it.
//!
//! What is missing is an answer, an [`Obstacle`]; nothing is held back then. It sends nothing and waits for nothing.

use crate::breaker::Pass;
use crate::concurrency_limit::Slot;
use crate::config::plan::Offer;
use crate::dispatch::{ChoiceReason, Obstacle};
use crate::gateway::call_rates::RatedCall;
use crate::gateway::dispatch_loop::facts::rate_spent;
use crate::gateway::dispatch_loop::state::{DispatchLoop, now};
use crate::gateway::durable_ledger::OpenedAttempt;
use crate::hedge_budget::HedgeReservation;
use crate::ledger::entry::Purpose;
use crate::ledger::{BilledModel, Intent};
use crate::provider::Adapter;
use crate::routing::Candidate;

/// All that a call takes.
pub(super) struct Reserved {
    pub(super) offer: Offer,
    pub(super) provider: &'static dyn Adapter,
    pub(super) slot: Slot,
    pub(super) pass: Pass,
    pub(super) opened: OpenedAttempt,
    /// Set aside before the rest, for a hedge.
    pub(super) hedge: Option<HedgeReservation>,
}

impl DispatchLoop {
    /// All that a call to a candidate takes for so many places, with the slot it was granted, if it waited for one.
    pub(super) fn reserve(
        &self,
        candidate: usize,
        places: &[u8],
        reason: ChoiceReason,
        granted: Option<Slot>,
    ) -> Result<Reserved, Obstacle> {
        let Candidate { usd, offer: index, .. } = *self.dispatch.candidate(candidate);
        let (spec, shared) = (&self.spec, &self.spec.shared);
        let offer = self.offer(candidate).ok_or(Obstacle::Failed)?;
        // Every offer of the plan in force has an adapter; without one nothing could be sent.
        let provider = spec.snapshot.provider(spec.matched.index, index).ok_or(Obstacle::Failed)?;
        let free = || shared.lane(&offer.provider).try_slot(&self.claim(offer));
        let slot = granted.or_else(free).ok_or(Obstacle::AtCapacity)?;
        let pass = shared.breakers.pass(spec.breaker_target(offer), now()).map_err(Obstacle::PausedUntil)?;
        let pictures = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let estimate = usd.checked_mul(pictures).ok_or(Obstacle::Unpriced)?;
        let (rates, sent_at) = (&shared.call_rates, now());
        let rated = RatedCall::draw(&offer.provider, &offer.model, pictures, self.flight.priority());
        rated.take(rates, sent_at).map_err(|wait| Obstacle::PausedUntil(rate_spent(wait, sent_at)))?;
        let retry = self.dispatch.is_retry(candidate);
        let (name, budget) = (&offer.provider.name, offer.provider.retry_budget);
        if retry && !shared.retry_budgets.spend(name, budget, now()) {
            rated.give_back(rates, sent_at);
            return Err(Obstacle::RetryBudget);
        }
        let intent = Intent {
            request: spec.request_id.clone(),
            owner: spec.owner(&offer.provider.name, &offer.model.name),
            purpose: Purpose::Draw,
            pictures,
            estimate,
            chosen: reason.as_str(),
            billed_model: BilledModel { provider: offer.provider.clone(), model: Some(offer.model.clone()) },
            budgets: spec.budgets(offer),
        };
        let opened = shared.durable_ledger.open(intent).map_err(|exceeded| {
            rated.give_back(rates, sent_at);
            Obstacle::BudgetExceeded(exceeded)
        })?;
        if !retry {
            shared.retry_budgets.earn(name, budget, now());
        }
        if let Some(hedge) = spec.hedge().filter(|_| !retry && reason != ChoiceReason::Hedge) {
            shared.hedge_budgets.earn(&spec.matched.route.name, hedge, now());
        }
        Ok(Reserved { offer: offer.clone(), provider, slot, pass, opened, hedge: None })
    }
}
