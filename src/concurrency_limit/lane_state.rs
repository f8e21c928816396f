//! The bounds of a lane, what is in flight, and who waits: plain arithmetic below the lane's lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::concurrency_limit::claim::Claim;
use crate::concurrency_limit::class_shares::{OddSlot, PerClass, other, owned_places};
use crate::concurrency_limit::effective_cap::EffectiveCap;
use crate::concurrency_limit::fair_queue::FairQueue;
use crate::concurrency_limit::occupancy::Occupancy;
use crate::config::plan::{Concurrency, Priority};
use crate::failure::FailureScope;

/// The state of a lane. `W` is how a call that waits is told.
#[derive(Debug)]
pub(super) struct LaneState<W> {
    pub(super) bounds: Concurrency,
    /// Slots of the config's limit that another process has, while one hands over to the other.
    lent: usize,
    pub(super) in_flight: PerClass<usize>,
    /// What the vendor lets run of the whole account, where it has refused that.
    account_cap: Option<EffectiveCap>,
    /// Models that are being asked, or that the vendor has capped.
    pub(super) models: HashMap<Arc<str>, ModelState>,
    odd_slot: OddSlot,
    pub(super) queues: PerClass<FairQueue<W>>,
    /// The number of the call that was queued last.
    last: u64,
}

/// One model's calls.
#[derive(Debug, Default)]
pub(super) struct ModelState {
    pub(super) in_flight: PerClass<usize>,
    cap: Option<EffectiveCap>,
}

impl ModelState {
    fn has_room(&self) -> bool {
        self.cap.is_none_or(|cap| self.in_flight.sum() < cap.slots())
    }
}

impl<W> LaneState<W> {
    pub(super) fn new(bounds: Concurrency) -> LaneState<W> {
        LaneState {
            bounds,
            lent: 0,
            in_flight: PerClass::default(),
            account_cap: None,
            models: HashMap::new(),
            odd_slot: OddSlot::default(),
            queues: PerClass::default(),
            last: 0,
        }
    }

    pub(super) fn resize(&mut self, bounds: Concurrency) {
        self.bounds = bounds;
    }

    /// Forgets what was learned of models that are not in the config any more.
    pub(super) fn keep_models(&mut self, keep: impl Fn(&str) -> bool) {
        self.models.retain(|model, state| state.in_flight.sum() > 0 || keep(model));
    }

    /// How many calls may run at once: the config's limit, as far as it is not lent, or what the vendor lets run.
    pub(super) fn limit(&self) -> usize {
        let own = self.bounds.limit.saturating_sub(self.lent);
        self.account_cap.map_or(own, |cap| cap.slots().min(own))
    }

    pub(super) fn lend(&mut self, slots: usize) {
        self.lent = slots;
    }

    /// Keeps as many slots as calls run or wait, and at least so many, of those that it has. Lends the others, and returns how
    /// many it keeps.
    pub(super) fn keep(&mut self, at_least: usize) -> usize {
        let wanted = self.in_flight.sum() + self.waiting(Priority::Live) + self.waiting(Priority::Batch);
        let kept = wanted.max(at_least).min(self.bounds.limit.saturating_sub(self.lent));
        self.lent = self.bounds.limit.saturating_sub(kept);
        kept
    }

    /// How many calls of a model may run at once.
    pub(super) fn limit_of(&self, model: &str) -> usize {
        let cap = self.models.get(model).and_then(|state| state.cap);
        cap.map_or(self.limit(), |cap| cap.slots().min(self.limit()))
    }

    pub(super) fn has_room(&self, model: &str) -> bool {
        self.in_flight.sum() < self.limit() && self.models.get(model).is_none_or(ModelState::has_room)
    }

    pub(super) fn in_flight(&self, class: Priority) -> usize {
        *self.in_flight.get(class)
    }

    pub(super) fn waiting(&self, class: Priority) -> usize {
        self.queues.get(class).len()
    }

    /// Takes a slot if one is free. Nobody waits for it then, for free slots are handed out as soon as they are.
    pub(super) fn take(&mut self, class: Priority, model: &Arc<str>) -> Option<Occupancy> {
        self.has_room(model).then(|| self.occupy(class, model))
    }

    /// Takes a slot, whether one is free or not.
    pub(super) fn occupy(&mut self, class: Priority, model: &Arc<str>) -> Occupancy {
        *self.in_flight.get_mut(class) += 1;
        let of_model = self.models.entry(model.clone()).or_default();
        *of_model.in_flight.get_mut(class) += 1;
        Occupancy { model: model.clone(), of_all: self.in_flight.sum(), of_model: of_model.in_flight.sum() }
    }

    /// Gives a slot back; the caller hands it on.
    pub(super) fn give_back(&mut self, class: Priority, model: &Arc<str>) {
        *self.in_flight.get_mut(class) -= 1;
        let Some(of_model) = self.models.get_mut(model) else { return };
        *of_model.in_flight.get_mut(class) -= 1;
        if of_model.in_flight.sum() == 0 && of_model.cap.is_none() {
            self.models.remove(model);
        }
    }

    /// Takes a free slot for the next call that waits, which is to be told.
    pub(super) fn next(&mut self) -> Option<(Priority, Occupancy, W)> {
        if self.in_flight.sum() >= self.limit() {
            return None;
        }
        let models = &self.models;
        let may_ask = |model: &str| models.get(model).is_none_or(ModelState::has_room);
        let next = |class| self.queues.get(class).next_model(may_ask);
        let class = match (next(Priority::Live), next(Priority::Batch)) {
            (Some(live), Some(batch)) => {
                let (limit, in_flight) = self.contested(live, batch);
                self.odd_slot.next_of_both(self.bounds.shares, limit, &in_flight)
            }
            (Some(_), None) => Priority::Live,
            (None, _) => Priority::Batch,
        };
        let (model, waiter) = self.queues.get_mut(class).pop(may_ask)?;
        Some((class, self.occupy(class, &model), waiter))
    }

    /// Of how many slots the classes have their shares, and how many each has of them. Where both want the same model, and
    /// the vendor caps that, its cap is what they share: the provider's other slots are no use to either.
    fn contested(&self, live: &Arc<str>, batch: &Arc<str>) -> (usize, PerClass<usize>) {
        let capped = self.models.get(live).filter(|state| live == batch && state.cap.is_some());
        capped.map_or((self.limit(), self.in_flight), |state| (self.limit_of(live), state.in_flight))
    }

    /// Puts a call into the queue and returns its number, with the call that lost its place to it where the queue was
    /// full. `None`: there is no place for it.
    pub(super) fn enqueue(&mut self, claim: &Claim, waiter: W) -> Option<(u64, Option<W>)> {
        let waiting = self.waiting(Priority::Live) + self.waiting(Priority::Batch);
        let lost = if waiting < self.bounds.queue { None } else { Some(self.make_room(claim)?) };
        self.last += 1;
        self.queues.get_mut(claim.priority).push((&claim.tenant, &claim.model), self.last, waiter);
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

    /// The vendor refused a call because too many run: of this model, or of the account where it limits that.
    pub(super) fn refused(&mut self, sent: &Occupancy, scope: FailureScope, began: Instant, now: Instant) {
        match scope {
            FailureScope::Account => EffectiveCap::cut(&mut self.account_cap, sent.of_all, began, now),
            FailureScope::Model | FailureScope::Operation => {
                let cap = &mut self.models.entry(sent.model.clone()).or_default().cap;
                EffectiveCap::cut(cap, sent.of_model, began, now);
            }
        }
    }

    /// A call went well; the caller hands out what may run more.
    pub(super) fn went_well(&mut self, sent: &Occupancy, began: Instant, now: Instant) {
        let limit = self.bounds.limit;
        EffectiveCap::grow(&mut self.account_cap, (sent.of_all, limit), began, now);
        if let Some(state) = self.models.get_mut(&sent.model) {
            EffectiveCap::grow(&mut state.cap, (sent.of_model, limit), began, now);
            if state.in_flight.sum() == 0 && state.cap.is_none() {
                self.models.remove(&sent.model);
            }
        }
    }
}
