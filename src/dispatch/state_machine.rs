//! The machine: its state, what it says next, and the events that change it. Which candidate is asked and how long a
//! call is waited for is decided in `next_call` and `give_up_overdue`; what a call's end means, in `handle_call_end`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::calendar::Moment;
use crate::dispatch::hedge_refusal::HedgeRefusal;
use crate::dispatch::in_flight::InFlight;
use crate::dispatch::interface::{Action, DispatchFacts, DispatchRules, EventTime};
use crate::dispatch::obstacles::{Obstacle, Obstacles};
use crate::dispatch::pause_wait::PauseWait;
use crate::dispatch::picture_places::Places;
use crate::error::Error;
use crate::money::Usd;
use crate::routing::{Candidate, Skip};

/// How a candidate did for this request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CandidateHistory {
    pub(super) failures: u32,
    /// Those of them whose pictures were rejected: the offer may be asked again at once, as a better one may come.
    pub(super) rejections: u32,
    /// Asking again is pointless, however many failures the route allows.
    pub(super) excluded: bool,
    /// How long its last call took.
    pub(super) took: Duration,
    /// When it may be asked again, after a failure.
    pub(super) not_before: Option<Instant>,
    /// It was looked at since the last event and cannot be started now.
    pub(super) passed_over: bool,
    /// Because its provider had no slot.
    pub(super) full: bool,
    /// And that was because of a pause.
    pub(super) was_paused: bool,
}

/// The queues in which the request waits for a slot.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// How many slots are waited for.
    pub(super) waiting: usize,
    /// How long.
    give_up: Option<Instant>,
    /// Whether they were asked for since the last event.
    pub(super) requested: bool,
    /// The candidate whose slot came.
    granted: Option<usize>,
}

/// The dispatch of one request.
#[derive(Debug)]
pub struct Dispatch {
    pub(super) rules: DispatchRules,
    pub(super) candidates: Vec<Candidate>,
    pub(super) history: Vec<CandidateHistory>,
    /// The latest reason of each of the route's offers.
    skips: Vec<Option<Skip>>,
    pub(super) obstacles: Obstacles,
    pub(super) in_flight: InFlight,
    pub(super) queues: Queues,
    pub(super) pause_wait: PauseWait,
    pub(super) places: Places,
    /// Spent, promised, or perhaps charged.
    pub(super) promised: Usd,
    /// A picture of the request was rejected.
    pub(super) rejected: bool,
    /// A call of it was given up, because it took too long.
    pub(super) late: bool,
    pub(super) stop: Option<Error>,
    pub(super) notices: VecDeque<Action>,
    /// The call that the hedge is for that is to start.
    pub(super) hedging: Option<u32>,
}

impl Dispatch {
    /// The dispatch of a request that `candidates` could draw, in the order in which they are asked, and that `refused` of
    /// the route's `offers` cannot.
    pub fn new(
        rules: DispatchRules,
        candidates: Vec<Candidate>,
        refused: Vec<(usize, Skip)>,
        offers: usize,
    ) -> Dispatch {
        let mut dispatch = Dispatch {
            history: vec![CandidateHistory::default(); candidates.len()],
            skips: vec![None; offers],
            obstacles: Obstacles::default(),
            in_flight: InFlight::default(),
            queues: Queues::default(),
            pause_wait: PauseWait::default(),
            places: Places::new(rules.wanted, rules.seeded, rules.open.clone()),
            promised: rules.spent,
            rejected: false,
            late: false,
            stop: None,
            notices: VecDeque::new(),
            hedging: None,
            rules,
            candidates,
        };
        for (offer, skip) in refused {
            dispatch.note_skip(offer, skip);
        }
        dispatch
    }

    /// A candidate, by the number that actions give.
    pub fn candidate(&self, candidate: usize) -> &Candidate {
        // Numbers come from `0..candidates.len()`, and no candidate ever leaves the list.
        &self.candidates[candidate]
    }

    /// The candidate of a call that is under way.
    pub fn candidate_of(&self, call: u32) -> Option<usize> {
        self.in_flight.candidate_of(call)
    }

    /// What is spent on the request, promised for it, or perhaps charged.
    #[cfg(test)]
    pub fn promised(&self) -> Usd {
        self.promised
    }

    /// What to do next.
    pub fn next(&mut self, facts: &impl DispatchFacts, time: EventTime) -> Action {
        if let Some(notice) = self.notices.pop_front() {
            return notice;
        }
        if let Some(candidate) = self.queues.granted.take() {
            return self.use_granted_slot(candidate, facts, time);
        }
        self.give_up_overdue(facts, time);
        let call = self.next_call(facts, time);
        if let Some(action) = if call.is_some() { call } else { self.hedge(facts, time) } {
            self.notices.push_back(action);
        }
        if let Some(notice) = self.notices.pop_front() {
            return notice;
        }
        let reopening = self.next_reopening(facts, time);
        if self.is_over(reopening.is_some()) {
            return Action::Finish;
        }
        self.note_wait(reopening, time);
        let (overdue, hedge) = (self.in_flight.next_check(time.now), self.next_hedge(facts, time));
        let give_up = (self.queues.waiting > 0).then(|| self.waits_until(time));
        let reopening = reopening.map(|reopening| reopening.at);
        Action::Wait { until: [overdue, hedge, give_up, reopening].into_iter().flatten().min() }
    }

    /// A call was started, which is told by the number that comes back.
    pub fn started(&mut self, candidate: usize, places: Vec<u8>, time: EventTime) -> u32 {
        self.places.begin(&places);
        let n = u8::try_from(places.len()).unwrap_or(u8::MAX);
        self.promised = self.promised.saturating_add(self.estimate(candidate, n));
        let offer = self.candidates[candidate].offer;
        self.skips[offer] = None;
        self.end_wait();
        self.reconsider_all();
        let call = self.in_flight.begin(candidate, places, time.now, self.call_deadline(time));
        if let Some(hedged) = self.hedging.take() {
            self.in_flight.mark_hedge(hedged, call);
        }
        call
    }

    /// The pictures of a call are there and are being looked at. It is not late any more, however long that takes.
    pub fn pictures_arrived(&mut self, call: u32) {
        self.in_flight.arrived(call);
    }

    /// A call could not be started: the slot, the breaker or the budget was taken meanwhile.
    pub fn not_started(&mut self, candidate: usize, obstacle: Obstacle) {
        // A hedge is not needed for an answer, so that what stood against it is nothing to tell in one.
        if self.hedge_refused(HedgeRefusal::NoOffer) {
            return;
        }
        self.history[candidate].passed_over = true;
        self.history[candidate].full = matches!(obstacle, Obstacle::AtCapacity);
        self.history[candidate].was_paused = matches!(obstacle, Obstacle::PausedUntil(_));
        self.note_obstacle(candidate, obstacle);
    }

    /// So many slots are waited for, at most so long.
    pub fn queued(&mut self, waiting: usize, longest: Duration, now: Instant) {
        self.queues.waiting = waiting;
        self.queues.give_up = Some(now + longest);
    }

    /// A slot came that was waited for.
    pub fn slot_granted(&mut self, candidate: usize) {
        self.slot_lost();
        self.queues.granted = Some(candidate);
    }

    /// A slot that was waited for will not come.
    pub fn slot_lost(&mut self) {
        self.queues.waiting = self.queues.waiting.saturating_sub(1);
        self.reconsider_all();
    }

    /// The moment came that [`Action::Wait`] named. A request that waited for a slot as long as it may waits no longer,
    /// unless a request joined meanwhile that has more time.
    pub fn timer(&mut self, time: EventTime) {
        self.reconsider_all();
        if self.queues.waiting > 0 && time.now >= self.waits_until(time) {
            self.obstacles.queue_timed_out = true;
            self.leave_queue();
        }
    }

    /// Why there are not all pictures; `None` when there are. `today` is `now` by the wall clock.
    pub fn error(&mut self, route: &str, time: EventTime, today: Moment) -> Option<Error> {
        if self.places.complete() {
            return None;
        }
        let skips: Vec<Skip> = self.skips.iter().copied().flatten().collect();
        let late = time.now >= time.deadline;
        let explain = |obstacles: &Obstacles| obstacles.explain(&skips, route, late, time.now, today);
        Some(self.stop.take().unwrap_or_else(|| explain(&self.obstacles)))
    }

    /// Whether nothing more will come for the requests that wait; `reopens`: a candidate can be asked after a while.
    fn is_over(&self, reopens: bool) -> bool {
        let idle = self.in_flight.is_empty() && self.queues.waiting == 0 && !reopens;
        // A refusal goes back at once; where pictures are there already, the rest is waited for.
        self.places.complete() || idle || (self.stop.is_some() && self.places.none())
    }

    /// How long a slot is waited for.
    fn waits_until(&self, time: EventTime) -> Instant {
        self.queues.give_up.unwrap_or(time.deadline).min(time.deadline)
    }

    pub(super) fn leave_queue(&mut self) {
        if self.queues.waiting > 0 {
            self.queues.waiting = 0;
            self.notices.push_back(Action::LeaveQueue);
        }
    }

    /// Something has changed: candidates that were passed over may be asked now.
    pub(super) fn reconsider_all(&mut self) {
        self.queues.requested = false;
        self.in_flight.reconsider_hedges();
        for history in &mut self.history {
            (history.passed_over, history.full, history.was_paused) = (false, false, false);
        }
    }

    /// A call draws these no more; those that no other call draws which is waited for are drawn again.
    pub(super) fn give_back(&mut self, places: &[u8]) {
        let free: Vec<u8> = places.iter().copied().filter(|place| !self.in_flight.draws(*place)).collect();
        self.places.give_back(&free);
    }

    /// What a call for `n` pictures is expected to cost.
    pub(super) fn estimate(&self, candidate: usize, n: u8) -> Usd {
        self.candidates[candidate].usd.checked_mul(u32::from(n)).unwrap_or(Usd::ZERO)
    }

    /// The deadline that a call is held against: of all requests that wait for it, the one it was dispatched for has the
    /// least time left, and another candidate must be asked early enough for that one too.
    pub(super) fn call_deadline(&self, time: EventTime) -> Instant {
        if time.now < self.rules.deadline { self.rules.deadline } else { time.deadline }
    }

    /// Notes a reason once per request and offer, and remembers the latest for the answer.
    pub(super) fn note_skip(&mut self, offer: usize, skip: Skip) {
        let Some(known) = self.skips.get_mut(offer) else { return };
        if known.map(Skip::as_str) != Some(skip.as_str()) {
            self.notices.push_back(Action::Skipped { offer, skip });
        }
        *known = Some(skip);
    }
}
