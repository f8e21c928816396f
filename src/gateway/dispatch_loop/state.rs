//! What a dispatch loop holds: the machine, the calls under way, and the slots it waits for.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

use crate::breaker::{Pass, WaitingPlace};
use crate::concurrency_limit::{Claim, Slot};
use crate::config::plan::{Offer, Priority};
use crate::dispatch::{ChoiceReason, Dispatch, EventTime};
use crate::gateway::attempt::AttemptReport;
use crate::gateway::join_few::JoinFew;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::single_flight::Flight;
use crate::hedge_budget::HedgeReservation;
use crate::service_times::Timing;

/// A call that has ended.
pub(super) struct Completed {
    pub(super) call: u32,
    pub(super) report: AttemptReport,
    pub(super) pass: Pass,
    pub(super) timing: Timing,
    /// Why its offer was asked.
    pub(super) reason: ChoiceReason,
    pub(super) began: Instant,
    /// What was set aside for it, if it is a hedge.
    pub(super) hedge: Option<HedgeReservation>,
    /// Given back when what the call says of the vendor is known: whoever gets it next must not meet the same refusal.
    pub(super) slot: Slot,
}

/// The dispatch of one flight, and what it holds while it goes on.
pub(super) struct DispatchLoop {
    pub(super) spec: RoutedRequest,
    pub(super) flight: Arc<Flight>,
    pub(super) dispatch: Dispatch,
    pub(super) running: JoinFew<Completed>,
    /// Calls under way whose pictures the dispatch does not know to be there yet.
    pub(super) arrivals: Vec<(u32, Arc<AtomicBool>)>,
    pub(super) waiting: JoinFew<(usize, Option<Slot>)>,
    /// The slot that came last of those that were waited for.
    pub(super) granted: Option<Slot>,
    /// Since when slots are waited for, and of which offers, where the request is traced.
    pub(super) queued: Option<(Instant, Vec<String>)>,
    /// Held while the request does nothing but wait for the end of a pause.
    pub(super) waiting_place: Option<WaitingPlace>,
    /// The class in which those that are waited for were asked for.
    pub(super) queued_as: Priority,
}

impl DispatchLoop {
    pub(super) fn time(&self) -> EventTime {
        EventTime { now: now(), deadline: self.flight.deadline().into_std() }
    }

    /// Whom a slot for a call of `offer` is for, now that these requests wait.
    pub(super) fn claim(&self, offer: &Offer) -> Claim {
        self.spec.claim(self.flight.priority(), &offer.model.name)
    }

    pub(super) fn offer(&self, candidate: usize) -> Option<&Offer> {
        self.spec.matched.route.offers.get(self.dispatch.candidate(candidate).offer)
    }

    /// Whether the request may wait. One that does nothing else takes a place among those that wait for its provider.
    pub(super) fn may_wait(&mut self) -> bool {
        let Some(candidate) = self.dispatch.idle_for() else {
            self.waiting_place = None;
            return true;
        };
        let who = self.spec.waiter();
        // One that waited as batch and is live now waits among the live ones.
        if self.waiting_place.as_ref().is_none_or(|place| *place.who() != who)
            && let Some(offer) = self.offer(candidate)
        {
            let (name, bound) = (&offer.provider.name, offer.provider.concurrency.queue);
            let place = self.spec.shared.waiting_requests.enter(name, &who, bound);
            self.waiting_place = place.or(self.waiting_place.take());
        }
        self.waiting_place.is_some()
    }

    pub(super) fn name(&self, candidate: usize) -> &str {
        self.offer(candidate).map(|offer| offer.name.as_str()).unwrap_or_default()
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
pub fn now() -> std::time::Instant {
    Instant::now().into_std()
}
