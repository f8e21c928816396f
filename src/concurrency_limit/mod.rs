//! Whether a call to a provider may run now: a concurrency limit, its slots shared between live and batch calls, and one
//! bounded queue before them that is fair between tenants.
//!
//! A [`Slot`] is held while a call runs and gives itself back when dropped, to a call that waits if there is one. Which
//! one: `class_shares` chooses between live and batch, `fair_queue` between the tenants of a class. Slots are never idle
//! while a call waits that may use it: a share that its class does not use is lent to the other, and taken back as calls
//! end. A vendor that refuses calls because too many run lowers the limit, of one model or of the account, until it
//! refuses no more (`effective_cap`).
//!
//! Nothing here waits: a [`Ticket`] is handed out, and `gateway` awaits it under its deadline. A ticket that is dropped
//! loses nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use crate::concurrency_limit::claim::Claim;
use crate::concurrency_limit::lane_state::LaneState;
pub use crate::concurrency_limit::occupancy::Occupancy;
use crate::config::plan::{Concurrency, Priority};
use crate::failure::FailureScope;

mod claim;
mod class_shares;
mod effective_cap;
mod expected_wait;
mod fair_queue;
mod lane_state;
mod occupancy;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

/// What a lane answers a call that is to run.
#[derive(Debug)]
pub enum Admission {
    /// The call may run.
    Slot(Slot),
    /// The call waits in the queue.
    Wait(Ticket),
    /// The queue is full as well.
    Full,
}

/// One provider's limit and queue.
#[derive(Debug)]
pub struct Lane {
    /// Between two uses of it no slot is free while a call waits.
    state: Mutex<LaneState<oneshot::Sender<Slot>>>,
}

impl Lane {
    /// An idle lane within these bounds.
    pub fn new(bounds: Concurrency) -> Arc<Lane> {
        Arc::new(Lane { state: Mutex::new(LaneState::new(bounds)) })
    }

    /// A slot if one is free. Calls that wait have come before, so a new call never overtakes one that could use it.
    pub fn try_slot(self: &Arc<Lane>, claim: &Claim) -> Option<Slot> {
        let sent = self.lock().take(claim.priority, &claim.model)?;
        Some(Slot { lane: Some(self.clone()), class: claim.priority, sent })
    }

    /// Whether a slot is free for a new call of this model at this moment, where calls of the models `besides` ran too.
    pub fn has_room(&self, model: &str, besides: &[Arc<str>]) -> bool {
        self.look_with((Priority::Live, besides), |state| state.has_room(model))
    }

    /// How many calls of this model may run at once: the config's limit, or what the vendor lets run.
    pub fn limit_of(&self, model: &str) -> usize {
        self.lock().limit_of(model)
    }

    /// How long until the last of so many calls that come now is expected to have its slot, where calls of the models
    /// `besides` ran too, and a call of each model holds a slot as long as `held` says; `None` where nobody knows that.
    pub fn expected_wait(
        &self,
        claim: &Claim,
        calls: usize,
        besides: &[Arc<str>],
        held: impl Fn(&str) -> Option<Duration>,
    ) -> Option<Duration> {
        self.look_with((claim.priority, besides), |state| state.expected_wait(claim, calls, held))
    }

    /// Looks at the lane as it would be with more calls of a class running.
    fn look_with<T>(
        &self,
        (class, models): (Priority, &[Arc<str>]),
        look: impl FnOnce(&LaneState<oneshot::Sender<Slot>>) -> T,
    ) -> T {
        let mut state = self.lock();
        models.iter().for_each(|model| drop(state.occupy(class, model)));
        let seen = look(&state);
        models.iter().for_each(|model| state.give_back(class, model));
        seen
    }

    /// The vendor refused a call that began at `began` because too many run: of its model, or of the account where the
    /// vendor limits that.
    pub fn refused(&self, sent: &Occupancy, scope: FailureScope, began: Instant, now: Instant) {
        self.lock().refused(sent, scope, began, now);
    }

    /// A call that began at `began` brought what it promised.
    pub fn went_well(self: &Arc<Lane>, sent: &Occupancy, began: Instant, now: Instant) {
        let mut state = self.lock();
        state.went_well(sent, began, now);
        self.hand_out(&mut state);
    }

    /// Takes a slot, or a place in the queue; in a full queue, the place of a call that has less right to it
    /// ([`LaneState`] says which), whose ticket then brings no slot.
    pub fn admit(self: &Arc<Lane>, claim: &Claim) -> Admission {
        if let Some(slot) = self.try_slot(claim) {
            return Admission::Slot(slot);
        }
        let (waiter, slot) = oneshot::channel();
        let mut state = self.lock();
        let Some((number, lost)) = state.enqueue(claim, waiter) else { return Admission::Full };
        // A slot may have come back between the two locks.
        self.hand_out(&mut state);
        drop(state);
        // Without its sender that ticket is told that no slot comes.
        drop(lost);
        Admission::Wait(Ticket { slot, lane: self.clone(), claim: claim.clone(), number })
    }

    /// Changes the bounds, and forgets what was learned of models that are not there any more. More room is handed out at
    /// once; less room takes effect as calls end.
    pub fn resize(self: &Arc<Lane>, bounds: Concurrency, has_model: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        state.resize(bounds);
        state.keep_models(has_model);
        self.hand_out(&mut state);
    }

    /// Leaves so many slots to another process from now on.
    pub fn lend(self: &Arc<Lane>, slots: usize) {
        let mut state = self.lock();
        state.lend(slots);
        self.hand_out(&mut state);
    }

    /// Keeps half of the slots, or as many as calls run or wait, and one at least; returns how many. The others are another
    /// process's.
    pub fn halve(&self) -> usize {
        let mut state = self.lock();
        let half = (state.bounds.limit / 2).max(1);
        state.keep(half)
    }

    /// Keeps of the slots that it has as many as calls run or wait; returns how many. The others are another process's.
    pub fn keep(&self) -> usize {
        self.lock().keep(0)
    }

    /// Slots taken by a class.
    pub fn in_flight(&self, class: Priority) -> usize {
        self.lock().in_flight(class)
    }

    /// Calls of a class that wait.
    pub fn waiting(&self, class: Priority) -> usize {
        self.lock().waiting(class)
    }

    /// Gives free slots to calls that wait.
    fn hand_out(self: &Arc<Lane>, state: &mut LaneState<oneshot::Sender<Slot>>) {
        while let Some((class, sent, waiter)) = state.next() {
            let slot = Slot { lane: Some(self.clone()), class, sent };
            if let Err(mut unwanted) = waiter.send(slot) {
                // Its drop would take the lock again.
                unwanted.lane = None;
                state.give_back(class, &unwanted.sent.model);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LaneState<oneshot::Sender<Slot>>> {
        // No code panics while it holds the lock, and the counts are whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue: resolves to a slot when it is this call's turn, or to `None` when another call that has more
/// right to the place took it. Dropping it leaves the queue.
#[derive(Debug)]
pub struct Ticket {
    slot: oneshot::Receiver<Slot>,
    lane: Arc<Lane>,
    claim: Claim,
    number: u64,
}

impl Future for Ticket {
    type Output = Option<Slot>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Slot>> {
        Pin::new(&mut self.slot).poll(context).map(Result::ok)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // A slot that came meanwhile gives itself back when the receiver is dropped.
        self.lane.lock().remove(&self.claim, self.number);
    }
}

/// The right to one call. Dropping it gives the slot back.
#[derive(Debug)]
pub struct Slot {
    lane: Option<Arc<Lane>>,
    class: Priority,
    sent: Occupancy,
}

impl Slot {
    /// How many calls run as this one does, itself among them.
    pub fn sent(&self) -> &Occupancy {
        &self.sent
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            let mut state = lane.lock();
            state.give_back(self.class, &self.sent.model);
            lane.hand_out(&mut state);
        }
    }
}
