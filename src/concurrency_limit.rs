//! Whether a call to a provider may run now: concurrency caps, and the bounded, first-come-first-served queue before them.
//!
//! A [`Slot`] is held while a call runs and gives itself back when dropped, to the longest-waiting ticket if there is
//! one. Nothing here waits: a [`Ticket`] is handed out, and `gateway` awaits it under its deadline. A ticket that is
//! dropped loses nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A place in the queue: resolves to a slot when it is this ticket's turn.
pub type Ticket = oneshot::Receiver<Slot>;

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

/// One provider's cap and queue.
#[derive(Debug)]
pub struct Lane {
    state: Mutex<LaneState>,
}

#[derive(Debug)]
struct LaneState {
    limit: usize,
    queue: usize,
    in_flight: usize,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

impl Lane {
    /// An idle lane with `limit` slots and room for `queue` waiters.
    pub fn new(limit: usize, queue: usize) -> Arc<Lane> {
        let state = LaneState { limit, queue, in_flight: 0, waiting: VecDeque::new() };
        Arc::new(Lane { state: Mutex::new(state) })
    }

    /// A slot if one is free. Calls that wait have come before, so a new call never overtakes them.
    pub fn try_slot(self: &Arc<Lane>) -> Option<Slot> {
        let mut state = self.lock();
        state.waiting.retain(|waiter| !waiter.is_closed());
        if state.in_flight >= state.limit || !state.waiting.is_empty() {
            return None;
        }
        state.in_flight += 1;
        drop(state);
        Some(Slot { lane: Some(self.clone()) })
    }

    /// Whether a slot is free for a new ticket at this moment.
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        state.in_flight < state.limit && state.waiting.iter().all(oneshot::Sender::is_closed)
    }

    /// Takes a slot, or a place in the queue.
    pub fn admit(self: &Arc<Lane>) -> Admission {
        if let Some(slot) = self.try_slot() {
            return Admission::Slot(slot);
        }
        let mut state = self.lock();
        if state.waiting.len() >= state.queue {
            return Admission::Full;
        }
        let (waiter, ticket) = oneshot::channel();
        state.waiting.push_back(waiter);
        drop(state);
        // A slot may have come back between the two locks, and no other code would hand it on.
        self.grant_waiting();
        Admission::Wait(ticket)
    }

    /// Changes the bounds. More room is handed out at once; less room takes effect as calls end.
    pub fn resize(self: &Arc<Lane>, limit: usize, queue: usize) {
        let mut state = self.lock();
        (state.limit, state.queue) = (limit, queue);
        drop(state);
        self.grant_waiting();
    }

    /// Slots taken.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// Tickets waiting.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.iter().filter(|waiter| !waiter.is_closed()).count()
    }

    /// Gives free slots to the tickets that wait, the longest-waiting first.
    fn grant_waiting(self: &Arc<Lane>) {
        loop {
            let mut state = self.lock();
            if state.in_flight >= state.limit {
                return;
            }
            let Some(waiter) = state.waiting.pop_front() else { return };
            state.in_flight += 1;
            drop(state);
            if let Err(mut unwanted) = waiter.send(Slot { lane: Some(self.clone()) }) {
                unwanted.lane = None;
                self.lock().in_flight -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        // No code panics while it holds the lock, and the counts are whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one call. Dropping it gives the slot back.
#[derive(Debug)]
pub struct Slot {
    lane: Option<Arc<Lane>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.lock().in_flight -= 1;
            lane.grant_waiting();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(room: Admission) -> Slot {
        match room {
            Admission::Slot(slot) => slot,
            other => panic!("no slot: {other:?}"),
        }
    }

    fn ticket(room: Admission) -> Ticket {
        match room {
            Admission::Wait(ticket) => ticket,
            other => panic!("no ticket: {other:?}"),
        }
    }

    #[test]
    fn the_cap_holds_and_the_queue_is_first_come_first_served() {
        let lane = Lane::new(1, 2);
        let first = slot(lane.admit());
        let (mut second, mut third) = (ticket(lane.admit()), ticket(lane.admit()));
        assert!(matches!(lane.admit(), Admission::Full));
        assert_eq!((lane.in_flight(), lane.waiting()), (1, 2));
        drop(first);
        let second = second.try_recv().unwrap();
        assert!(third.try_recv().is_err());
        drop(second);
        drop(third.try_recv().unwrap());
        assert_eq!((lane.in_flight(), lane.waiting()), (0, 0));
    }

    #[test]
    fn a_new_ticket_does_not_pass_those_who_wait() {
        let lane = Lane::new(1, 2);
        let first = slot(lane.admit());
        let mut waiting = ticket(lane.admit());
        assert!(lane.try_slot().is_none());
        drop(first);
        assert!(lane.try_slot().is_none());
        drop(waiting.try_recv().unwrap());
        assert!(lane.try_slot().is_some());
    }

    /// Frees a slot as its drop does, and stops before it is handed on: another thread may ask just then.
    fn free_without_handing_on(mut slot: Slot) {
        let lane = slot.lane.take().unwrap();
        lane.lock().in_flight -= 1;
    }

    #[test]
    fn a_new_ticket_does_not_take_the_slot_that_is_about_to_be_handed_to_those_who_wait() {
        let lane = Lane::new(1, 2);
        let first = slot(lane.admit());
        let mut waiting = ticket(lane.admit());
        free_without_handing_on(first);
        assert!(!lane.has_room());
        assert!(lane.try_slot().is_none());
        let mut latest = ticket(lane.admit());
        assert!(latest.try_recv().is_err(), "the new ticket passed the one who waits");
        drop(waiting.try_recv().unwrap());
        drop(latest.try_recv().unwrap());
        assert_eq!((lane.in_flight(), lane.waiting()), (0, 0));
    }

    #[test]
    fn who_has_gone_keeps_neither_a_free_slot_nor_a_place_in_the_queue_from_a_latest() {
        let lane = Lane::new(1, 1);
        let first = slot(lane.admit());
        drop(ticket(lane.admit()));
        assert_eq!(lane.waiting(), 0);
        drop(ticket(lane.admit()));
        free_without_handing_on(first);
        assert!(lane.has_room());
        assert!(lane.try_slot().is_some());
    }

    #[test]
    fn there_is_room_for_a_latest_until_the_cap_is_reached() {
        let lane = Lane::new(2, 1);
        assert!(lane.has_room());
        let first = slot(lane.admit());
        assert!(lane.has_room());
        let _second = slot(lane.admit());
        assert!(!lane.has_room());
        drop(first);
        assert!(lane.has_room());
    }

    #[test]
    fn a_dropped_ticket_loses_no_slot_whenever_it_is_dropped() {
        let lane = Lane::new(1, 3);
        let first = slot(lane.admit());
        let (gone_before, gone_after, mut stays) = (ticket(lane.admit()), ticket(lane.admit()), ticket(lane.admit()));
        drop(gone_before);
        drop(first);
        drop(gone_after);
        drop(stays.try_recv().unwrap());
        assert_eq!(lane.in_flight(), 0);
    }

    #[test]
    fn a_larger_cap_is_handed_out_at_once_and_a_smaller_one_waits_for_calls_to_end() {
        let lane = Lane::new(1, 5);
        let first = slot(lane.admit());
        let (mut a, mut b) = (ticket(lane.admit()), ticket(lane.admit()));
        lane.resize(3, 5);
        let (a, b) = (a.try_recv().unwrap(), b.try_recv().unwrap());
        lane.resize(1, 5);
        drop(a);
        drop(b);
        assert!(lane.try_slot().is_none());
        drop(first);
        assert!(lane.try_slot().is_some());
    }
}
