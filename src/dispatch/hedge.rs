//! Hedging: a call that is later than its offer's calls usually are is waited for, and another candidate is asked for the
//! same pictures besides. Whichever comes first fills their places; what the other brings is kept for the next request.
//!
//! A hedge never makes anything worse for anybody else: it takes a slot that is free and waits for none, passes no price cap,
//! budget or breaker, and stays within what the route lets hedges be (`DispatchFacts::hedge_exceeds`). A call is hedged
//! once, a hedge never, and no place has two hedges under way. A candidate that has failed the request is no help and is
//! not asked.

use std::time::{Duration, Instant};

use crate::dispatch::choice_reason::ChoiceReason;
use crate::dispatch::hedge_refusal::HedgeRefusal;
use crate::dispatch::in_flight::PendingCall;
use crate::dispatch::interface::{Action, DispatchFacts, EventTime};
use crate::dispatch::state_machine::Dispatch;
use crate::hedge_budget::HedgeBudgetExceeded;
use crate::money::Usd;

/// How soon it is looked again whether somebody else can be asked for what is late.
const RECHECK: Duration = Duration::from_millis(500);

impl Dispatch {
    /// The hedge to start now. Why a late call is not hedged is told once.
    pub(super) fn hedge(&mut self, facts: &impl DispatchFacts, time: EventTime) -> Option<Action> {
        for call in self.late_calls(facts, time) {
            let Some(pending) = self.in_flight.call(call) else { continue };
            let places = self.to_hedge(pending);
            if places.is_empty() {
                continue;
            }
            match self.second_candidate(pending, &places, facts, time) {
                Ok(candidate) => {
                    self.hedging = Some(call);
                    return Some(Action::Start { candidate, places, granted: false, reason: ChoiceReason::Hedge });
                }
                Err(refusal) => self.note_not_hedged(call, refusal),
            }
        }
        None
    }

    /// The hedge that was to start may not: the route's bound was reached meanwhile.
    pub fn hedge_exceeded(&mut self, exceeded: HedgeBudgetExceeded) {
        self.hedge_refused(HedgeRefusal::Exceeded(exceeded));
    }

    /// The hedge that was to start does not, if it was one; it is looked at again after the next event.
    pub(super) fn hedge_refused(&mut self, refusal: HedgeRefusal) -> bool {
        let Some(call) = self.hedging.take() else { return false };
        self.in_flight.pass_over_hedge(call);
        self.note_not_hedged(call, refusal);
        true
    }

    /// When to look again whether a call is late, or whether one that is can be hedged.
    pub(super) fn next_hedge(&self, facts: &impl DispatchFacts, time: EventTime) -> Option<Instant> {
        let moments = self.hedgeable(facts, time).map(|(_, late_at)| late_at);
        moments.map(|late_at| if late_at > time.now { late_at } else { time.now + RECHECK }).min()
    }

    /// What calls are expected to cost that are under way and are hedges, or hedged.
    pub fn hedging_usd(&self) -> Usd {
        let calls = self.in_flight.hedges_and_hedged();
        calls.fold(Usd::ZERO, |sum, call| sum.saturating_add(self.estimate(call.candidate, call.n)))
    }

    fn late_calls(&self, facts: &impl DispatchFacts, time: EventTime) -> Vec<u32> {
        let late =
            self.hedgeable(facts, time).filter(|(call, late_at)| *late_at <= time.now && !call.hedge.passed_over);
        late.map(|(call, _)| call.id).collect()
    }

    /// Calls that may be hedged, and when each is late.
    fn hedgeable<'a>(
        &'a self,
        facts: &'a impl DispatchFacts,
        time: EventTime,
    ) -> impl Iterator<Item = (&'a PendingCall, Instant)> {
        let possible = self.candidates.len() > 1 && self.may_start(time);
        let calls = self.in_flight.may_be_hedged().filter(move |_| possible);
        calls.filter_map(move |call| {
            let offer = self.candidates[call.candidate].offer;
            Some((call, call.began + facts.hedge_after(offer, time.now)?))
        })
    }

    /// Those of a call's places that are still empty; none, where one call could not draw them all.
    fn to_hedge(&self, call: &PendingCall) -> Vec<u8> {
        let empty = self.places.empty_among(&call.places);
        let in_a_row = empty.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        if self.rules.seeded && !in_a_row { Vec::new() } else { empty }
    }

    /// The first other candidate that nothing stands against, and that the route's bounds let be asked besides.
    fn second_candidate(
        &self,
        late: &PendingCall,
        places: &[u8],
        facts: &impl DispatchFacts,
        time: EventTime,
    ) -> Result<usize, HedgeRefusal> {
        let pictures = u8::try_from(places.len()).unwrap_or(u8::MAX);
        let mut refusal = HedgeRefusal::NoOffer;
        let others = (0..self.candidates.len()).filter(|other| *other != late.candidate);
        for candidate in others.filter(|other| self.can_hedge(*other, pictures, facts, time)) {
            match facts.hedge_exceeds(self.estimate(candidate, pictures), time.now) {
                None => return Ok(candidate),
                // A cheaper one may be within the bound.
                Some(exceeded) => refusal = HedgeRefusal::Exceeded(exceeded),
            }
        }
        Err(refusal)
    }

    fn can_hedge(&self, candidate: usize, pictures: u8, facts: &impl DispatchFacts, time: EventTime) -> bool {
        let (known, history) = (&self.candidates[candidate], &self.history[candidate]);
        history.failures == 0
            && !history.excluded
            && !history.passed_over
            && known.max_n >= pictures
            && facts.has_free_slot(known.offer)
            && self.has_reason_to_hedge(candidate, pictures, facts, time)
            && facts.paused_until(known.offer, pictures, time.now).is_none()
            && self.money_obstacle(candidate, pictures, facts).is_none()
    }

    fn note_not_hedged(&mut self, call: u32, refusal: HedgeRefusal) {
        if let Some(candidate) = self.in_flight.tell_not_hedged(call) {
            self.notices.push_back(Action::NotHedged { candidate, refusal });
        }
    }
}
