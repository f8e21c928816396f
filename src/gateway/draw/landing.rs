//! What a call that has ended means for its drawing: pictures to keep, places to draw again, money to count.
//!
//! It starts no call and decides nothing about who is asked next; that is the drawing's own loop.

use tokio::time::Instant;

use crate::failure::{Class, Failure};
use crate::gateway::attempt::Report;
use crate::gateway::draw::{Drawing, Landed, now};
use crate::gateway::explain;
use crate::money::Usd;

impl Drawing {
    /// Takes in what a call brought.
    pub(super) fn land(&mut self, landed: Landed) {
        let Landed { call, report, pass } = landed;
        let Some(ended) = self.aloft.end(call) else { return };
        let candidate = ended.candidate;
        self.tried[candidate].took = ended.took(Instant::now());
        let limits = self.offer(candidate).map(|offer| offer.provider.breaker);
        match (&report.failure, limits) {
            (Some(failure), Some(limits)) => pass.failed(failure, limits, now()),
            _ => pass.succeeded(),
        }
        self.settle(candidate, &report, ended.n);
        self.fill(&ended.places, report.pictures.len());
        self.keep(&report);
        if report.refused > 0 || report.failure.as_ref().is_some_and(|failure| failure.class == Class::Policy) {
            self.refused(candidate, report.failure.as_ref());
        } else if let Some(failure) = report.failure {
            self.failed(candidate, failure, report.open || report.uncertain > Usd::ZERO);
        }
    }

    /// Gives back the places a call left empty. Pictures beyond its own places (it drew more than asked, or was given
    /// up and came after all) take places that are open.
    fn fill(&mut self, places: &[u8], pictures: usize) {
        self.open.extend(places.iter().skip(pictures));
        for _ in places.len()..pictures {
            self.open.pop_first();
        }
    }

    /// Puts what a call cost, or may have cost, in place of what was promised for it.
    fn settle(&mut self, candidate: usize, report: &Report, n: u8) {
        let estimate = self.candidates[candidate].usd.checked_mul(u32::from(n)).unwrap_or(Usd::ZERO);
        let paid = report.promised.saturating_add(report.uncertain);
        let settled = self.promised.checked_sub(estimate).and_then(|rest| rest.checked_add(paid));
        self.promised = settled.unwrap_or(self.promised);
    }

    /// Delivers and caches at once, so that whatever happens later these pictures are not lost.
    fn keep(&mut self, report: &Report) {
        let route = &self.order.matched.route;
        if let (Some(canonical), Some(cache), false) = (&self.order.keep, route.cache, report.pictures.is_empty())
            && !self.order.shared.exact.keep(canonical, &report.pictures, cache.ttl, now())
        {
            log::warn!("pictures of route {} are larger than the cache's share", route.name);
        }
        self.flight.update(|progress| {
            progress.pictures.extend(report.pictures.iter().cloned());
            progress.cost = progress.cost.saturating_add(report.cost);
        });
    }

    fn refused(&mut self, candidate: usize, failure: Option<&Failure>) {
        self.tried[candidate].failures += 1;
        self.tried[candidate].out = true;
        if self.order.matched.route.refusals_go_on {
            self.obstacles.refused = true;
            return;
        }
        let param = failure.and_then(|failure| failure.param.clone());
        self.stop.get_or_insert_with(|| explain::refused(param));
    }

    /// Nobody is asked again who may be drawing it already or may have been paid for it (`open`), or whose answer would
    /// be the same.
    fn failed(&mut self, candidate: usize, failure: Failure, open: bool) {
        let name = self.offer(candidate).map(|offer| offer.name.clone()).unwrap_or_default();
        log::warn!("{name} failed: {failure}");
        if failure.class == Class::CallerInvalid {
            self.stop.get_or_insert_with(|| explain::caller_invalid(&failure));
            return;
        }
        self.tried[candidate].failures += 1;
        let same_again = matches!(
            failure.class,
            Class::Auth
                | Class::Quota
                | Class::RateLimited
                | Class::ModelGone
                | Class::AdapterBug
                | Class::TimeoutAmbiguous
                | Class::Unrecorded
        );
        self.tried[candidate].out |= open || same_again;
        self.obstacles.last_failure = Some(failure);
    }
}
