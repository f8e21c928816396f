//! What a hedge takes beyond what every call takes, and what is told of hedges and of late calls that have none.

use crate::dispatch::{ChoiceReason, Disposition, HedgeRefusal};
use crate::gateway::dispatch_loop::state::{DispatchLoop, now};
use crate::hedge_budget::{HedgeBudgetExceeded, HedgeReservation};
use crate::money::Usd;

/// What became of a hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HedgeOutcome {
    /// A picture of it was delivered.
    Won,
    /// Its pictures came, and those of the first call had come before.
    Lost,
    /// It brought none.
    Failed,
}

impl HedgeOutcome {
    /// By what its call brought: whether it failed, and what became of its pictures.
    pub(super) fn of(failed: bool, dispositions: &[Disposition]) -> HedgeOutcome {
        if dispositions.iter().any(|disposition| matches!(disposition, Disposition::Deliver(_))) {
            return HedgeOutcome::Won;
        }
        if failed || dispositions.is_empty() { HedgeOutcome::Failed } else { HedgeOutcome::Lost }
    }

    fn as_str(self) -> &'static str {
        match self {
            HedgeOutcome::Won => "won",
            HedgeOutcome::Lost => "lost",
            HedgeOutcome::Failed => "failed",
        }
    }
}

impl DispatchLoop {
    /// What a hedge takes of its route's hedge budget; other calls take nothing.
    pub(super) fn reserve_hedge(
        &self,
        candidate: usize,
        pictures: usize,
        reason: ChoiceReason,
    ) -> Result<Option<HedgeReservation>, HedgeBudgetExceeded> {
        let route = &self.spec.matched.route;
        let Some(hedge) = route.hedge.as_ref().filter(|_| reason == ChoiceReason::Hedge) else { return Ok(None) };
        let pictures = u32::try_from(pictures).unwrap_or(u32::MAX);
        // What does not fit into an amount is more than any bound.
        let usd = self.dispatch.candidate(candidate).usd.checked_mul(pictures).unwrap_or(Usd::from_nanos(i64::MAX));
        self.spec.shared.hedge_budgets.reserve(&route.name, hedge, usd, now()).map(Some)
    }

    /// Counts why a late call is not hedged.
    pub(super) fn tell_not_hedged(&self, candidate: usize, refusal: HedgeRefusal) {
        log::debug!("{} is late, and nobody is asked besides: {}", self.name(candidate), refusal.as_str());
        self.count(refusal.as_str());
    }

    pub(super) fn count_hedge(&self, outcome: HedgeOutcome) {
        self.count(outcome.as_str());
    }

    fn count(&self, outcome: &str) {
        let route = self.spec.matched.route.name.as_str();
        self.spec.shared.metrics.hedges.with_label_values(&[route, outcome]).inc();
    }
}
