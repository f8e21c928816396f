//! The bounds of a lane, what is in flight, and who waits: plain arithmetic below the lane's lock.

use crate::concurrency_limit::claim::Claim;
use crate::concurrency_limit::class_shares::{OddSlot, PerClass, other, owned_places};
use crate::concurrency_limit::fair_queue::FairQueue;
use crate::config::plan::{Concurrency, Priority};

/// The state of a lane. `W` is how a call that waits is told.
#[derive(Debug)]
pub(super) struct LaneState<W> {
    bounds: Concurrency,
    in_flight: PerClass<usize>,
    odd_slot: OddSlot,
    queues: PerClass<FairQueue<W>>,
    /// The number of the call that was queued last.
    last: u64,
}

impl<W> LaneState<W> {
    pub(super) fn new(bounds: Concurrency) -> LaneState<W> {
        let queues = PerClass::default();
        LaneState { bounds, in_flight: PerClass::default(), odd_slot: OddSlot::default(), queues, last: 0 }
    }

    pub(super) fn resize(&mut self, bounds: Concurrency) {
        self.bounds = bounds;
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.sum() < self.bounds.limit
    }

    pub(super) fn in_flight(&self, class: Priority) -> usize {
        *self.in_flight.get(class)
    }

    pub(super) fn waiting(&self, class: Priority) -> usize {
        self.queues.get(class).len()
    }

    /// Takes a slot if one is free. Nobody waits then, for free slots are handed out as soon as they are.
    pub(super) fn take(&mut self, class: Priority) -> bool {
        let free = self.has_room();
        *self.in_flight.get_mut(class) += usize::from(free);
        free
    }

    /// Gives a slot back; the caller hands it on.
    pub(super) fn give_back(&mut self, class: Priority) {
        *self.in_flight.get_mut(class) -= 1;
    }

    /// Takes a free slot for the next call that waits, which is to be told.
    pub(super) fn next(&mut self) -> Option<(Priority, W)> {
        if !self.has_room() {
            return None;
        }
        let waits = |class| !self.queues.get(class).is_empty();
        let class = match (waits(Priority::Live), waits(Priority::Batch)) {
            (true, true) => self.odd_slot.next_of_both(self.bounds.shares, self.bounds.limit, &self.in_flight),
            (true, false) => Priority::Live,
            (false, _) => Priority::Batch,
        };
        let waiter = self.queues.get_mut(class).pop()?;
        *self.in_flight.get_mut(class) += 1;
        Some((class, waiter))
    }

    /// Puts a call into the queue and returns its number, with the call that lost its place to it where the queue was
    /// full. `None`: there is no place for it.
    pub(super) fn enqueue(&mut self, claim: &Claim, waiter: W) -> Option<(u64, Option<W>)> {
        let waiting = self.waiting(Priority::Live) + self.waiting(Priority::Batch);
        let lost = if waiting < self.bounds.queue { None } else { Some(self.make_room(claim)?) };
        self.last += 1;
        self.queues.get_mut(claim.priority).push(&claim.tenant, self.last, waiter);
        Some((self.last, lost))
    }

    /// Takes a call out that does not wait any more.
    pub(super) fn remove(&mut self, claim: &Claim, number: u64) {
        self.queues.get_mut(claim.priority).remove(&claim.tenant, number);
    }

    /// Makes room in a full queue for a call that has more right to a place than one that is there.
    ///
    /// A class that has fewer places than its own takes one back from the other. Within a class, a tenant takes one from
    /// the tenant that has the most, if it then has no more than that one is left with: so no tenant fills the queue, and
    /// two that ask in turn do not throw each other out for ever. The newest call loses its place, as it has waited least.
    fn make_room(&mut self, claim: &Claim) -> Option<W> {
        let (own, shares) = (self.queues.get(claim.priority), self.bounds.shares);
        let borrower = other(claim.priority);
        let borrowed = self.waiting(borrower) > owned_places(shares, self.bounds.queue, borrower);
        if borrowed && own.len() < owned_places(shares, self.bounds.queue, claim.priority) {
            return self.queues.get_mut(borrower).pop_newest_of_longest();
        }
        let unfair = own.len_of(&claim.tenant) + 2 <= own.longest();
        if unfair { self.queues.get_mut(claim.priority).pop_newest_of_longest() } else { None }
    }
}
