//! A call has ended: its breaker and the dispatch are told, its pictures are delivered and cached at once, so that whatever
//! happens later they are not lost.

use tokio::time::Instant;

use crate::cache::{Kept, PlacedPicture};
use crate::concurrency_limit::Occupancy;
use crate::dispatch::{CallEnd, Disposition};
use crate::failure::{Class, Failure};
use crate::gateway::attempt::AttemptReport;
use crate::gateway::breaker_log::log_breaker_changes;
use crate::gateway::dispatch_loop::hedging::HedgeOutcome;
use crate::gateway::dispatch_loop::state::{Completed, DispatchLoop, now};
use crate::gateway::outcome::{CALL_OK, CallRecord, MOST_CALL_RECORDS};
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::words_embedding::WordsEmbedding;

impl DispatchLoop {
    /// Takes in what a call brought.
    pub(super) fn complete(&mut self, completed: Completed) {
        let Completed { call, report, pass, timing, reason, began, hedge, slot } = completed;
        let AttemptReport {
            pictures,
            at,
            cost,
            promised,
            uncertain,
            refused,
            rejected,
            best_effort,
            failure,
            gate,
            open,
        } = report;
        self.arrivals.retain(|(other, _)| *other != call);
        let Some(candidate) = self.dispatch.candidate_of(call) else { return };
        let drew = |failure: &Failure| matches!(failure.class, Class::TimeoutAmbiguous | Class::Rejected);
        if failure.as_ref().is_none_or(drew) {
            timing.count(now());
        }
        let fitted = &self.dispatch.candidate(candidate).fitted;
        let mut call_record = CallRecord {
            offer: self.name(candidate).to_owned(),
            reason: reason.as_str(),
            outcome: failure.as_ref().map_or(CALL_OK, |failure| failure.class.as_str()),
            took: began.elapsed(),
            usd: cost,
            began,
            asked: 0,
            seed: None,
            size: fitted.output_size,
            quality: fitted.quality,
            gate,
        };
        self.tell_lane(candidate, slot.sent(), began, failure.as_ref());
        let limits = self.offer(candidate).map(|offer| offer.provider.breaker);
        let paused_until = match (&failure, limits) {
            (Some(failure), Some(limits)) => pass.failed(failure, limits, fastrand::u32(0..=1000), now()),
            _ => {
                pass.succeeded(now());
                None
            }
        };
        log_breaker_changes(&self.spec.shared.breakers);
        drop(slot);
        if let Some(failure) = failure.as_ref().filter(|failure| refused == 0 && failure.class != Class::Policy) {
            log::warn!("{} failed: {failure}", self.name(candidate));
        }
        let end = CallEnd {
            at,
            promised,
            uncertain,
            refused: refused > 0,
            rejected: rejected > 0,
            failure,
            open,
            paused_until,
        };
        let failed = end.failure.is_some();
        let Some(ended) = self.dispatch.ended(call, end, now()) else { return };
        call_record.asked = ended.places.len();
        call_record.seed = self.seed_for(&ended.places);
        let placed = |place: u8, kept: &_| PlacedPicture { place, generated: std::sync::Arc::clone(kept) };
        let (mut delivered, mut kept) = (Vec::new(), Vec::new());
        for (disposition, picture) in ended.dispositions.iter().zip(&pictures) {
            match disposition {
                Disposition::Deliver(place) => {
                    kept.push(placed(*place, picture));
                    delivered.push(placed(*place, picture));
                }
                Disposition::Keep => kept.push(placed(u8::MAX, picture)),
                Disposition::Discard => {}
            }
        }
        self.keep(candidate, &kept);
        let seeded = self.spec.request.seed.is_some();
        self.flight.update(|progress| {
            for placed in delivered {
                // What is there now is better than what nothing better had come for.
                progress.best_effort.forget(placed.place);
                progress.pictures.push(placed);
            }
            best_effort.into_iter().for_each(|best| progress.best_effort.keep(best, &ended.places, seeded));
            progress.cost = progress.cost.saturating_add(cost);
            if let Some(nth) = progress.under_way.iter().position(|call| call.offer == call_record.offer) {
                progress.under_way.swap_remove(nth);
            }
            if progress.calls.len() < MOST_CALL_RECORDS {
                progress.calls.push(call_record);
            }
            progress.charged = progress.charged.saturating_add(promised).saturating_add(uncertain);
            progress.hedging = self.dispatch.hedging_usd();
        });
        if let Some(hedge) = hedge {
            hedge.settle(promised.saturating_add(uncertain), now());
            self.count_hedge(HedgeOutcome::of(failed, &ended.dispositions));
        }
    }

    /// Tells the concurrency limit how a call went.
    fn tell_lane(&self, candidate: usize, sent: &Occupancy, began: Instant, failure: Option<&Failure>) {
        let Some(offer) = self.offer(candidate) else { return };
        let lane = self.spec.shared.lane(&offer.provider);
        match failure {
            Some(failure) if failure.too_many() => {
                let before = lane.limit_of(&offer.model.name);
                lane.refused(sent, failure.scope, began.into_std(), now());
                let cap = lane.limit_of(&offer.model.name);
                if cap < before {
                    log::warn!("{} is asked too much: at most {cap} calls at once from now on", offer.name);
                }
            }
            Some(failure) if failure.class != Class::Rejected => {}
            _ => lane.went_well(sent, began.into_std(), now()),
        }
    }

    /// Caches pictures that a candidate drew.
    fn keep(&self, candidate: usize, pictures: &[PlacedPicture]) {
        let RoutedRequest { snapshot, matched, keep, shared, .. } = &self.spec;
        let offer_digest = snapshot.offer_digest(matched.index, self.dispatch.candidate(candidate).offer);
        let (Some(canonical), Some(reuse), Some(offer_digest), false) =
            (keep, matched.route.cache, offer_digest, pictures.is_empty())
        else {
            return;
        };
        let kept = Kept { canonical, pictures, offer_digest, ttl: reuse.ttl, now: now() };
        let near = reuse.near.then_some(&snapshot.word_lists);
        let drawn_for = (reuse.variants > 1).then_some(self.spec.drawn_for);
        if let Err(oversized) = shared.cache.keep(&kept, near, drawn_for) {
            log::warn!("not all pictures of route {} are kept: {oversized}", matched.route.name);
        }
        if let Some(WordsEmbedding { embedding, embedder }) = &self.spec.embedding {
            shared.cache.embed(canonical, *embedder, embedding);
        }
    }
}
