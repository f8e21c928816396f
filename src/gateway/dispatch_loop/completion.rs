//! What a call that has ended means for its drawing: pictures to keep, places to draw again, money to count.
//!
//! It starts no call and decides nothing about who is asked next; that is the drawing's own loop.

use tokio::time::Instant;

use crate::cache::Placed;
use crate::failure::{Class, Failure};
use crate::gateway::attempt::Report;
use crate::gateway::dispatch_loop::{Completed, DispatchLoop, Order, now};
use crate::gateway::explain;
use crate::gateway::in_flight::PendingCall;
use crate::money::Usd;

impl DispatchLoop {
    /// Takes in what a call brought.
    pub(super) fn complete(&mut self, completed: Completed) {
        let Completed { call, report, pass } = completed;
        let Some(ended) = self.in_flight.end(call) else { return };
        let candidate = ended.candidate;
        self.tried[candidate].took = ended.took(Instant::now());
        let limits = self.offer(candidate).map(|offer| offer.provider.breaker);
        match (&report.failure, limits) {
            (Some(failure), Some(limits)) => {
                let cooling = pass.failed(failure, limits, fastrand::u32(0..=1000), now());
                cooling.into_iter().for_each(|cooling| self.obstacles.note_cooling(cooling));
            }
            _ => pass.succeeded(now()),
        }
        self.settle(candidate, &report, ended.n);
        self.deliver(&ended, &report);
        if report.refused > 0 || report.failure.as_ref().is_some_and(|failure| failure.class == Class::Policy) {
            self.refused(candidate, report.failure.as_ref(), ended.given_up);
        } else if let Some(failure) = report.failure {
            // Who lists none has drawn none; its price stays set aside, and a budget allows another call or does not.
            let open = !failure.drew_none && (report.open || report.uncertain > Usd::ZERO);
            self.failed(candidate, failure, open, ended.given_up);
        }
    }

    /// Finds a place for each picture, delivers and caches it at once, so that whatever happens later it is not lost, and
    /// gives back the places that stayed empty.
    ///
    /// With a seed a picture is the one of its own place, whoever was asked for that meanwhile; one that is not known to
    /// be wanted is neither delivered nor kept, since no place is known that it is right for. Without a seed a call that
    /// was given up fills what nobody draws yet, and what is not needed is kept for the next request.
    fn deliver(&mut self, ended: &PendingCall, report: &Report) {
        let seeded = self.order.request.seed.is_some();
        let (mut delivered, mut kept) = (Vec::new(), Vec::new());
        for (at, picture) in report.at.iter().zip(&report.pictures) {
            let own = ended.places.get(usize::from(*at)).copied().filter(|_| seeded || !ended.given_up);
            let place = self.places.fill(own);
            let placed = Placed { place: place.unwrap_or(u8::MAX), kept: picture.clone() };
            if place.is_some() || !seeded {
                kept.push(placed.clone());
            }
            delivered.extend(place.map(|_| placed));
        }
        if !ended.given_up {
            self.places.give_back(&ended.places);
        }
        self.keep(ended.candidate, &kept);
        self.flight.update(|progress| {
            progress.pictures.extend(delivered);
            progress.cost = progress.cost.saturating_add(report.cost);
        });
    }

    /// Puts what a call cost, or may have cost, in place of what was promised for it.
    fn settle(&mut self, candidate: usize, report: &Report, n: u8) {
        let estimate = self.candidates[candidate].usd.checked_mul(u32::from(n)).unwrap_or(Usd::ZERO);
        let paid = report.promised.saturating_add(report.uncertain);
        let settled = self.promised.checked_sub(estimate).and_then(|rest| rest.checked_add(paid));
        self.promised = settled.unwrap_or(self.promised);
    }

    /// Caches pictures that a candidate drew.
    fn keep(&self, candidate: usize, pictures: &[Placed]) {
        let Order { live, matched, keep, shared, .. } = &self.order;
        let way = self.candidates.get(candidate).and_then(|chosen| live.way(matched.index, chosen.offer));
        let (Some(canonical), Some(cache), Some(way), false) = (keep, matched.route.cache, way, pictures.is_empty())
        else {
            return;
        };
        if let Err(oversized) = shared.exact.keep(canonical, pictures, way, cache.ttl, now()) {
            log::warn!("not all pictures of route {} are kept: {oversized}", matched.route.name);
        }
    }

    fn refused(&mut self, candidate: usize, failure: Option<&Failure>, given_up: bool) {
        self.tried[candidate].failures += u32::from(!given_up);
        self.tried[candidate].out = true;
        if self.order.matched.route.refusals_go_on {
            self.obstacles.refused = true;
            return;
        }
        self.stop.get_or_insert_with(|| explain::refused(failure));
    }

    /// Nobody is asked again who may be drawing it already or may have been paid for it (`open`), or whose answer would
    /// be the same. What was given up has been counted then.
    fn failed(&mut self, candidate: usize, failure: Failure, open: bool, given_up: bool) {
        let name = self.offer(candidate).map(|offer| offer.name.clone()).unwrap_or_default();
        log::warn!("{name} failed: {failure}");
        if failure.is_the_callers() {
            self.stop.get_or_insert_with(|| explain::caller_invalid(&failure));
            return;
        }
        self.tried[candidate].failures += u32::from(!given_up);
        let same_again = matches!(
            failure.class,
            Class::Auth
                | Class::Quota
                | Class::RateLimited
                | Class::ModelGone
                | Class::CallerInvalid
                | Class::AdapterBug
                | Class::Unlike
                | Class::TimeoutAmbiguous
                | Class::Unrecorded
        );
        self.tried[candidate].out |= open || same_again;
        self.obstacles.note_failure(failure);
    }
}
