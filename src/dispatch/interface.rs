//! What a dispatch is given and what it answers: the rules of a request, the time, facts about the world, and actions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::breaker::PausedUntil;
use crate::dispatch::choice_reason::ChoiceReason;
use crate::dispatch::hedge_refusal::HedgeRefusal;
use crate::hedge_budget::HedgeBudgetExceeded;
use crate::ledger::BudgetExceeded;
use crate::money::Usd;
use crate::routing::{Caps, Skip};

/// What holds for one request.
#[derive(Clone, Debug)]
pub struct DispatchRules {
    /// Pictures wanted.
    pub wanted: u8,
    /// Which of them are to be bought; the others are there already.
    pub open: BTreeSet<u8>,
    /// Whether the request has a seed, so that each picture has a place of its own.
    pub seeded: bool,
    /// What was paid for the request before, in advance or not, or may have been.
    pub spent: Usd,
    /// What the request may cost.
    pub caps: Caps,
    /// When the request that this is dispatched for stops waiting. Others that joined it may wait longer.
    pub deadline: Instant,
    /// How long a request like it waits in all.
    pub deadline_after: Duration,
    /// Whether some of the pictures are no use without the others.
    pub all_or_none: bool,
    /// Failures in all after which no further call is started.
    pub max_failures: u32,
    /// Failures of one offer after which it is not asked again.
    pub max_failures_per_offer: u32,
    /// Whether the first candidate without `when` is there to learn what it is worth.
    pub explores: bool,
    /// How long an offer that failed is left alone before this request asks it again.
    pub backoff: Duration,
    /// Chance, out of 1000, by which the waits of requests differ that would else end together.
    pub chance: u32,
    /// Whether a refusal for the content is taken to the next offer.
    pub refusals_go_on: bool,
}

/// The time, as each event brings it.
#[derive(Clone, Copy, Debug)]
pub struct EventTime {
    /// The present moment.
    pub now: Instant,
    /// When the last request that waits for the pictures stops waiting. No call starts after it.
    pub deadline: Instant,
}

/// What may be expected of an offer whose provider has no slot free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotForecast {
    /// How long until the slots have come that were asked about.
    pub wait: Duration,
    /// How long a call takes then; nothing, where that is not known.
    pub call: Duration,
}

/// What the machine asks about the world. `offer` is a place among the route's offers.
pub trait DispatchFacts {
    /// Why the offer is paused and until when, if its circuit breakers are not closed, or its rates have nothing left for a
    /// call for so many pictures.
    fn paused_until(&self, offer: usize, pictures: u8, now: Instant) -> Option<PausedUntil>;

    /// Whether something new may be paid for.
    fn may_pay(&self) -> bool;

    /// The budget that has less left than `usd`.
    fn short(&self, offer: usize, usd: Usd) -> Option<BudgetExceeded>;

    /// Whether the retry budget of the offer's provider lets it be asked again for what it failed in.
    fn may_retry(&self, offer: usize, now: Instant) -> bool;

    /// When so many calls that come now would have their slots. `None` where nobody knows, because no call ended lately.
    fn slot_forecast(&self, offer: usize, calls: u8, now: Instant) -> Option<SlotForecast>;

    /// How long a request may wait for a slot, or for the end of the offer's pause.
    fn max_wait(&self, offer: usize) -> Duration;

    /// Whether the offer's provider has a slot free for its model.
    fn has_free_slot(&self, offer: usize) -> bool;

    /// How long a call to the offer takes before it is unusually late, and another offer is asked besides. `None` where that
    /// is never done, or where nobody knows.
    fn hedge_after(&self, offer: usize, now: Instant) -> Option<Duration>;

    /// The route's bound that a hedge of this price would pass.
    fn hedge_exceeds(&self, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded>;
}

/// What the driver is to do next.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Take a slot (where `granted`, the one that was waited for), pass the breaker, reserve the price, and send a call.
    /// Tell `started`, or `not_started` and why. A hedge takes its part of the route's hedge budget too; where that is gone,
    /// tell `hedge_exceeded`.
    Start {
        /// The candidate that is asked.
        candidate: usize,
        /// Which of the wanted pictures the call draws.
        places: Vec<u8>,
        /// Whether the slot is the one that was granted last.
        granted: bool,
        /// Why this one.
        reason: ChoiceReason,
    },
    /// Give the slot back that was granted last.
    ReturnSlot,
    /// Ask each of these candidates' providers for a slot, a candidate that is named twice for two, and wait. Tell
    /// `queued`, then `slot_granted` or `slot_lost`.
    Queue(Vec<usize>),
    /// Wait for no slot any more.
    LeaveQueue,
    /// Count and tell that an offer is not asked, and why.
    Skipped {
        /// Its place among the route's offers.
        offer: usize,
        /// Why.
        skip: Skip,
    },
    /// Tell that a candidate is slow: its call goes on, and another candidate is asked.
    GivenUp {
        /// The slow one.
        candidate: usize,
    },
    /// Count that a candidate's call is late and no other is asked besides, and why; once for each call.
    NotHedged {
        /// The late one.
        candidate: usize,
        /// Why.
        refusal: HedgeRefusal,
    },
    /// Wait for an event, and until this moment at the longest; then tell `timer`.
    Wait {
        /// `None`: no moment matters.
        until: Option<Instant>,
    },
    /// Nothing more will come for the requests that wait. Calls that are under way go on; tell `ended` of each.
    Finish,
}
