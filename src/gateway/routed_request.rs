//! A request whose route is known, as it is prepared and dispatched: what is to be drawn, for whom, at what price.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{BreakerTarget, ModelOperation, Waiter};
use crate::canonical::Canonical;
use crate::concurrency_limit::Claim;
use crate::config::plan::{Budget, Hedge, Offer, OnDeadline, Priority};
use crate::dispatch::DispatchRules;
use crate::gateway::call_rates::most_pictures;
use crate::gateway::caller::Caller;
use crate::gateway::shared::Shared;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::words_embedding::WordsEmbedding;
use crate::ledger::entry::Owner;
use crate::money::Usd;
use crate::request::ImageRequest;
use crate::routing::{self, Candidate, Caps, RouteMatch, Skip};

/// What is to be drawn, and for whom.
pub struct RoutedRequest {
    /// Everything that outlives a config.
    pub shared: Arc<Shared>,
    /// The config in force when the request came.
    pub snapshot: Arc<Snapshot>,
    /// The route and the pinned offer.
    pub matched: RouteMatch,
    /// The request's own id.
    pub request_id: Arc<str>,
    /// The client that asks.
    pub caller: Caller,
    /// The class in which its calls wait for slots. Followers of the flight may raise it
    /// ([`Flight::priority`](crate::gateway::single_flight::Flight::priority)).
    pub priority: Priority,
    /// What the request may cost.
    pub caps: Caps,
    /// The request, route defaults filled in.
    pub request: Arc<ImageRequest>,
    /// Where finished pictures are kept; `None` keeps nothing.
    pub keep: Option<Canonical>,
    /// The embedding of its words, by which they are found as well.
    pub embedding: Option<WordsEmbedding>,
    /// Who gets them, as the cache tells callers apart.
    pub drawn_for: u64,
    /// The prompt, where it is not the caller's own any more.
    pub revised_prompt: Option<Arc<str>>,
    /// What was paid for it, in advance or not, or may have been.
    pub spent: Usd,
    /// Which of the wanted pictures are to be bought; the others are there already.
    pub open: BTreeSet<u8>,
    /// When the leader's client stops waiting. Followers of the flight may wait longer.
    pub deadline: Instant,
    /// How long it waits in all.
    pub deadline_after: Duration,
}

impl RoutedRequest {
    /// What the dispatch goes by.
    pub fn rules(&self) -> DispatchRules {
        let route = &self.matched.route;
        DispatchRules {
            wanted: self.request.n,
            open: self.open.clone(),
            seeded: self.request.seed.is_some(),
            spent: self.spent,
            caps: self.caps,
            deadline: self.deadline.into_std(),
            deadline_after: self.deadline_after,
            all_or_none: route.on_deadline == OnDeadline::Fail,
            explores: false,
            max_failures: route.max_failures,
            max_failures_per_offer: route.max_failures_per_offer,
            backoff: route.backoff,
            chance: fastrand::u32(0..=1000),
            refusals_go_on: route.refusals_go_on,
        }
    }

    /// The offers that could draw it within its caps, and why not the others.
    pub fn evaluate_candidates(&self) -> (Vec<Candidate>, Vec<(usize, Skip)>) {
        let capabilities = self.snapshot.capabilities(self.matched.index);
        let pictures = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        let tiered = |offer: &Offer, listed: Usd| {
            let whose = (&*offer.provider, &*offer.model);
            self.shared.ledger.tiered(whose, &self.request, listed, pictures, self.shared.clock.now())
        };
        let evaluated = routing::evaluate_candidates(&self.matched, capabilities, &self.request, &self.caps, &tiered);
        let (mut candidates, refused) = evaluated;
        for candidate in &mut candidates {
            let offer = self.matched.route.offers.get(candidate.offer);
            let most = offer.and_then(|offer| most_pictures(&offer.provider, &offer.model));
            candidate.max_n = candidate.max_n.min(most.and_then(|most| most.try_into().ok()).unwrap_or(u8::MAX));
        }
        (candidates, refused)
    }

    /// What the circuit breakers of a call to `offer` are kept for.
    pub fn breaker_target<'a>(&self, offer: &'a Offer) -> BreakerTarget<'a> {
        let operation = if self.request.edit.is_some() { ModelOperation::Edit } else { ModelOperation::Generate };
        let account = offer.provider.account.fingerprint();
        BreakerTarget { provider: &offer.provider.name, account, model: &offer.model.name, operation }
    }

    /// Whom a slot for a call of `model` in this class is for.
    pub fn claim(&self, priority: Priority, model: &str) -> Claim {
        Claim { priority, tenant: self.caller.tenant.clone(), model: model.into() }
    }

    /// As whom it waits where it does nothing else.
    pub fn waiter(&self) -> Waiter {
        Waiter { priority: self.priority, tenant: self.caller.tenant.clone() }
    }

    /// Whose an attempt with `model` of `provider` is.
    pub fn owner(&self, provider: &str, model: &str) -> Owner {
        Owner {
            tenant: self.caller.tenant.clone(),
            route: self.matched.route.name.as_str().into(),
            provider: provider.into(),
            model: model.into(),
        }
    }

    /// How its route hedges. A batch job is not hedged: nobody sits before a screen for it, and a night of them would leave
    /// nothing for those who do.
    pub fn hedge(&self) -> Option<&Hedge> {
        self.matched.route.hedge.as_ref().filter(|_| self.priority == Priority::Live)
    }

    /// The budgets of its client, its route and its provider.
    pub fn budgets<'a>(&'a self, offer: &'a Offer) -> [&'a [Budget]; 3] {
        [self.caller.budgets(), &self.matched.route.budgets, &offer.provider.budgets]
    }
}
