//! Whole requests, driven through the machine by a pretend world: no runtime, no socket, no clock.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::breaker::{Pause, PausedUntil};
use crate::calendar::{Moment, Per};
use crate::capabilities::{FittedRequest, OutputSize, StrictOptions};
use crate::error::ErrorKind;
use crate::failure::{Class, Failure};
use crate::hedge_budget::HedgeBudgetExceeded;
use crate::ledger::BudgetExceeded;
use crate::ledger::counter::CounterScope;
use crate::money::Usd;
use crate::routing::{Candidate, Cap, CapOwner, Caps, Skip};

mod accepted_cost;
mod hedging;
mod properties;
mod queues;
mod reasons;
mod scenarios;
mod waits;

/// What a picture costs everywhere.
const CENT: Usd = Usd::from_nanos(10_000_000);

fn candidate(offer: usize, max_n: u8) -> Candidate {
    let fitted = FittedRequest {
        output_size: OutputSize::Default,
        tier: None,
        quality: None,
        format: None,
        partials: 0,
        adjusted: Vec::new(),
    };
    Candidate { offer, fitted, max_n, usd: CENT, listed: CENT, when: Vec::new(), strict: StrictOptions::default() }
}

/// A call that the world carries out.
#[derive(Clone, Debug)]
struct Carried {
    call: u32,
    candidate: usize,
    places: Vec<u8>,
    began: Instant,
    given_up: bool,
    /// It has had a hedge.
    hedged: bool,
    /// It is one.
    hedge: bool,
}

/// Providers, budgets and a clock that a test moves.
struct World {
    began: Instant,
    now: Instant,
    deadline: Instant,
    /// Slots free at each offer.
    slots: Vec<usize>,
    /// Room in each offer's queue.
    queue: Vec<usize>,
    /// What is expected of each offer.
    forecasts: Vec<Option<SlotForecast>>,
    /// How long a slot may be waited for.
    max_wait: Duration,
    paused: Vec<Option<PausedUntil>>,
    /// What a budget that all offers share has left.
    left: Usd,
    may_pay: bool,
    /// Calls that may repeat one that failed.
    retries: u64,
    /// How late a call to each offer is unusual.
    hedge_after: Vec<Option<Duration>>,
    /// Hedges that the route's other calls have earned, and what they may cost still.
    hedges: u64,
    hedge_usd: Usd,
    carried: Vec<Carried>,
    queued: Vec<usize>,
    granted: Option<usize>,
    filled: BTreeSet<u8>,
    /// Why each call was to start.
    reasons: Vec<ChoiceReason>,
    /// What happened, in words.
    told: Vec<String>,
    over: bool,
}

impl DispatchFacts for World {
    fn paused_until(&self, offer: usize, _pictures: u8, now: Instant) -> Option<PausedUntil> {
        self.paused[offer].filter(|paused_until| paused_until.opens > now)
    }

    fn may_pay(&self) -> bool {
        self.may_pay
    }

    fn short(&self, _offer: usize, usd: Usd) -> Option<BudgetExceeded> {
        (usd > self.left).then(|| self.shortage(usd))
    }

    fn may_retry(&self, _offer: usize, _now: Instant) -> bool {
        self.retries > 0
    }

    fn max_wait(&self, _offer: usize) -> Duration {
        self.max_wait
    }

    fn slot_forecast(&self, offer: usize, calls: u8, _now: Instant) -> Option<SlotForecast> {
        let one = self.forecasts[offer]?;
        Some(SlotForecast { wait: one.wait * u32::from(calls), ..one })
    }

    fn has_free_slot(&self, offer: usize) -> bool {
        self.slots[offer] > 0
    }

    fn hedge_after(&self, offer: usize, _now: Instant) -> Option<Duration> {
        self.hedge_after[offer]
    }

    fn hedge_exceeds(&self, usd: Usd, _now: Instant) -> Option<HedgeBudgetExceeded> {
        if self.hedges == 0 {
            return Some(HedgeBudgetExceeded::Share);
        }
        (usd > self.hedge_usd).then_some(HedgeBudgetExceeded::Dollars)
    }
}

impl World {
    fn new(slots: &[usize], deadline: Duration) -> World {
        let began = Instant::now();
        World {
            began,
            now: began,
            deadline: began + deadline,
            slots: slots.to_vec(),
            queue: vec![0; slots.len()],
            forecasts: vec![None; slots.len()],
            max_wait: Duration::from_secs(10),
            paused: vec![None; slots.len()],
            left: Usd::from_nanos(i64::MAX),
            may_pay: true,
            retries: u64::MAX,
            hedge_after: vec![None; slots.len()],
            hedges: u64::MAX,
            hedge_usd: Usd::from_nanos(i64::MAX),
            carried: Vec::new(),
            queued: Vec::new(),
            granted: None,
            filled: BTreeSet::new(),
            reasons: Vec::new(),
            told: Vec::new(),
            over: false,
        }
    }

    fn pause(&mut self, offer: usize, pause: Pause, length: Duration) {
        let until = self.now + length;
        self.paused[offer] = Some(PausedUntil { pause, until, opens: until });
    }

    fn shortage(&self, wanted: Usd) -> BudgetExceeded {
        let scope = CounterScope::Route("all".into());
        BudgetExceeded { scope, per: Per::Month, limit: self.left, left: self.left, wanted, resets: None }
    }

    fn time(&self) -> EventTime {
        EventTime { now: self.now, deadline: self.deadline }
    }

    /// Performs what the machine says until it waits, and returns until when; `None` too when it has finished.
    fn run(&mut self, dispatch: &mut Dispatch) -> Option<Duration> {
        for _ in 0..200 {
            match dispatch.next(self, self.time()) {
                Action::Start { candidate, places, granted, reason } => {
                    self.reasons.push(reason);
                    self.start(dispatch, candidate, places, granted, reason == ChoiceReason::Hedge);
                }
                Action::ReturnSlot => {
                    let candidate = self.granted.take().expect("a slot was granted");
                    self.slots[candidate] += 1;
                }
                Action::Queue(candidates) => {
                    self.queued = candidates.into_iter().filter(|candidate| self.queue[*candidate] > 0).collect();
                    self.told.push(format!("queue {:?}", self.queued));
                    dispatch.queued(self.queued.len(), Duration::from_secs(2), self.now);
                }
                Action::LeaveQueue => self.queued.clear(),
                Action::Skipped { offer, skip } => self.told.push(format!("{offer} {}", skip.as_str())),
                Action::GivenUp { candidate } => {
                    self.told.push(format!("{candidate} slow"));
                    for carried in &mut self.carried {
                        carried.given_up = dispatch.in_flight.call(carried.call).unwrap().given_up;
                    }
                }
                Action::NotHedged { candidate, refusal } => {
                    self.told.push(format!("{candidate} not hedged: {}", refusal.as_str()));
                }
                Action::Wait { until } => return until.map(|until| until - self.began),
                Action::Finish => {
                    self.over = true;
                    return None;
                }
            }
        }
        panic!("it never waits: {:?}", self.told);
    }

    /// The clock goes on to the moment that the machine waits for.
    fn wake(&mut self, dispatch: &mut Dispatch) -> Option<Duration> {
        let until = self.run(dispatch).expect("it waits for a moment");
        self.now = self.began + until;
        dispatch.timer(self.time());
        self.run(dispatch)
    }

    fn start(&mut self, dispatch: &mut Dispatch, candidate: usize, places: Vec<u8>, granted: bool, hedge: bool) {
        assert!(!places.is_empty() && self.now < self.deadline, "{candidate} {places:?}");
        for place in &places {
            let bought = |carried: &&Carried| !carried.given_up && carried.places.contains(place);
            let times = self.carried.iter().filter(bought).count();
            // A hedge is one more for what exactly one call is late with.
            assert!(times == usize::from(hedge) && !self.filled.contains(place), "place {place} is bought again");
        }
        let hedged = if hedge { Some(self.hedge(candidate, &places)) } else { None };
        match granted {
            true => assert_eq!(self.granted.take(), Some(candidate)),
            false if self.slots[candidate] == 0 => return dispatch.not_started(candidate, Obstacle::AtCapacity),
            false => self.slots[candidate] -= 1,
        }
        let usd = CENT.checked_mul(u32::try_from(places.len()).unwrap()).unwrap();
        match self.left.checked_sub(usd).filter(|left| *left >= Usd::ZERO) {
            Some(left) => self.left = left,
            None => {
                self.slots[candidate] += 1;
                return dispatch.not_started(candidate, Obstacle::BudgetExceeded(self.shortage(usd)));
            }
        }
        if dispatch.is_retry(candidate) {
            self.retries -= 1;
        }
        self.told.push(format!("{candidate} {} {places:?}", if hedge { "hedges" } else { "draws" }));
        let call = dispatch.started(candidate, places.clone(), self.time());
        if let Some(hedged) = hedged {
            self.carried[hedged].hedged = true;
            self.hedges -= 1;
            self.hedge_usd = self.hedge_usd.checked_sub(usd).unwrap();
        }
        self.carried.push(Carried { call, candidate, places, began: self.now, given_up: false, hedged: false, hedge });
    }

    /// Holds that a hedge may be: for one late call that has had none, of another candidate, beside no other hedge, with a
    /// free slot. Which call it is.
    fn hedge(&self, candidate: usize, places: &[u8]) -> usize {
        let shares = |carried: &Carried| carried.places.iter().any(|place| places.contains(place));
        assert!(!self.carried.iter().any(|carried| carried.hedge && shares(carried)), "{places:?} have a hedge");
        let late = self.carried.iter().position(|carried| !carried.given_up && shares(carried)).unwrap();
        let first = &self.carried[late];
        assert!(!first.hedged && first.candidate != candidate, "{first:?}");
        assert!(places.iter().all(|place| first.places.contains(place)), "{first:?} {places:?}");
        assert!(self.hedge_after[first.candidate].is_some_and(|after| first.began + after <= self.now), "{first:?}");
        assert!(self.slots[candidate] > 0 && self.paused[candidate].is_none_or(|paused| paused.opens <= self.now));
        late
    }

    /// Ends the first call to `candidate` at `seconds`, with pictures for the first `drawn` of its places.
    fn end(
        &mut self,
        dispatch: &mut Dispatch,
        candidate: usize,
        seconds: u64,
        drawn: u8,
        end: CallEnd,
    ) -> Vec<Disposition> {
        self.now = self.began + Duration::from_secs(seconds);
        let index = self.carried.iter().position(|carried| carried.candidate == candidate).expect("it is under way");
        self.end_call(dispatch, index, drawn, end)
    }

    fn end_call(&mut self, dispatch: &mut Dispatch, index: usize, drawn: u8, end: CallEnd) -> Vec<Disposition> {
        let Carried { call, candidate, places, .. } = self.carried.swap_remove(index);
        let drawn = drawn.min(u8::try_from(places.len()).unwrap());
        let promised = CENT.checked_mul(u32::from(drawn)).unwrap();
        let reserved = CENT.checked_mul(u32::try_from(places.len()).unwrap()).unwrap();
        self.left = self.left.saturating_add(reserved).checked_sub(promised).unwrap();
        self.slots[candidate] += 1;
        let end = CallEnd { at: (0..drawn).collect(), promised, ..end };
        let ended = dispatch.ended(call, end, self.now).expect("it is under way");
        assert_eq!((ended.candidate, ended.dispositions.len()), (candidate, usize::from(drawn)));
        for disposition in &ended.dispositions {
            if let Disposition::Deliver(place) = disposition {
                assert!(self.filled.insert(*place), "place {place} is delivered twice");
            }
        }
        ended.dispositions
    }
}

fn rules(world: &World, wanted: u8) -> DispatchRules {
    DispatchRules {
        wanted,
        open: (0..wanted).collect(),
        seeded: false,
        spent: Usd::ZERO,
        caps: Caps::default(),
        deadline: world.deadline,
        deadline_after: world.deadline - world.began,
        all_or_none: false,
        max_failures: 6,
        max_failures_per_offer: 2,
        explores: false,
        backoff: Duration::from_millis(500),
        chance: 0,
        refusals_go_on: true,
    }
}

fn failed(class: Class) -> CallEnd {
    CallEnd { failure: Some(Failure::new(class, "it did not work")), ..CallEnd::default() }
}
