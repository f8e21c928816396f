//! What a request comes to: of what the cache had, or of what its flight brought.

use crate::cache::{Found, Tier};
use crate::config::plan::OnDeadline;
use crate::dispatch;
use crate::gateway::outcome::{CacheUse, Outcome};
use crate::gateway::savings::Saving;
use crate::gateway::serve_request::ServeRequest;
use crate::gateway::single_flight::Progress;
use crate::gateway::timeline;
use crate::money::Usd;
use crate::request::ResponseFormat;

impl ServeRequest {
    pub(super) fn hit(&self, found: Found) -> Outcome {
        self.save(&found);
        let Found { pictures, tiers: _, differences, similarity, available: _ } = &found;
        let progress = Progress { pictures: pictures.clone(), ..Progress::default() };
        let (near, similarity) = (differences.clone(), *similarity);
        Outcome { near, similarity, ..self.outcome(progress, CacheUse::Hit(found.tier()), false) }
    }

    /// Writes down what was not paid for these pictures, by the tier that had them.
    pub(super) fn save(&self, found: &Found) {
        for tier in Tier::ALL {
            let of_tier = found.pictures.iter().zip(&found.tiers).filter(|(_, from)| **from == tier);
            let (pictures, usd) = of_tier.fold((0, Usd::ZERO), |(pictures, usd), (placed, _)| {
                (pictures + 1, usd.saturating_add(placed.generated.usd))
            });
            if pictures > 0 {
                let (tenant, route, tier) = (&self.caller.tenant, &self.matched.route.name, tier.as_str());
                self.shared.durable_ledger.saved(Saving { tenant, route, tier, pictures, usd });
            }
        }
    }

    /// The offers that nothing is said of, because others brought what was wanted or time ran out.
    fn not_needed(&self, progress: &Progress) -> Vec<String> {
        let offers = self.matched.route.offers.iter().map(|offer| &offer.name);
        let pinned = offers.filter(|name| self.matched.pinned.as_ref().is_none_or(|pinned| pinned == *name));
        let told = |name: &str| {
            progress.calls.iter().any(|call| call.offer == name)
                || progress.under_way.iter().any(|call| call.offer == name)
                || progress.skipped.iter().any(|(skipped, _)| skipped == name)
        };
        pinned.filter(|name| !told(name)).cloned().collect()
    }

    /// The outcome of what there is. A follower and a hit pay nothing.
    pub(super) fn outcome(&self, mut progress: Progress, cache: CacheUse, late: bool) -> Outcome {
        let led = cache != CacheUse::Joined;
        let not_needed = if led && progress.attempts > 0 { self.not_needed(&progress) } else { Vec::new() };
        progress.best_effort.fill(&mut progress.pictures, self.request.n, self.request.seed.is_some());
        progress.pictures.sort_by_key(|placed| placed.place);
        let complete = progress.pictures.len() == self.wanted();
        let partial_is_fine = !late || self.matched.route.on_deadline == OnDeadline::Partial;
        let result = if complete || (!progress.pictures.is_empty() && partial_is_fine) {
            Ok(progress.pictures.into_iter().map(|placed| placed.generated).collect())
        } else {
            Err(progress.error.unwrap_or_else(dispatch::no_picture_error::deadline))
        };
        if let Err(error) = &result
            && let Some(detail) = &error.detail
        {
            log::warn!("route {}: {}: {detail}", self.matched.route.name, error.code());
        }
        let drawn = if led { progress.cost.saturating_add(progress.hedging) } else { Usd::ZERO };
        Outcome {
            version: self.snapshot.version,
            route: Some(self.matched.route.name.clone()),
            cache,
            near: Vec::new(),
            similarity: None,
            joined: None,
            idempotency: None,
            cost: self.embedding.cost.saturating_add(drawn),
            attempts: if led { progress.attempts } else { 0 },
            calls: if led { progress.calls } else { Vec::new() },
            under_way: if led { progress.under_way } else { Vec::new() },
            skipped: progress.skipped,
            not_needed,
            enriched: progress.enriched,
            wanted: self.request.n,
            steps: timeline::both(&self.steps, if led { progress.steps } else { Vec::new() }),
            format: self.request.response_format.unwrap_or(ResponseFormat::B64Json),
            result,
        }
    }
}
