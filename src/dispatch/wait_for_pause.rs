//! A request whose every able offer is paused for a moment waits the moment out, if its deadline allows, instead of
//! failing at once; likewise where the only offer left has just failed it and is to be left alone for a while.
//!
//! How long: never so long that less than half of the time left would remain for the call, as with a slow call; and for a
//! pause no longer than for a slot. How many requests may wait so is the driver's to bound ([`Dispatch::wait_refused`]).

use std::time::{Duration, Instant};

use crate::breaker::{Pause, PausedUntil};
use crate::dispatch::interface::{DispatchFacts, EventTime};
use crate::dispatch::pause_wait::{PauseWait, Reopening};
use crate::dispatch::state_machine::Dispatch;
use crate::routing::Candidate;

/// Who waits for the end of a pause goes on up to this part of the wait later, each at another moment, so that the end
/// does not let everybody go at once.
const SPREAD: u32 = 4;
/// And no later than this: a limit counted by the second is the shortest that vendors keep, and whoever has to wait longer
/// for a slot than that queues for it.
const LONGEST_SPREAD: Duration = Duration::from_secs(1);

/// How soon it is looked again whether a probe is back.
const PROBE_RECHECK: Duration = Duration::from_millis(500);

impl Dispatch {
    /// The candidate that the request waits for, where it has no call under way and no place in a queue.
    pub fn idle_for(&self) -> Option<usize> {
        self.pause_wait.idle_for
    }

    /// As many requests wait for their offers already as may.
    pub fn wait_refused(&mut self) {
        self.pause_wait = PauseWait { refused: true, ..PauseWait::default() };
    }

    /// A call starts: waiting is over.
    pub(super) fn end_wait(&mut self) {
        self.pause_wait = PauseWait::default();
    }

    /// Notes what is waited for now; nothing, where the request is not idle.
    pub(super) fn note_wait(&mut self, reopening: Option<Reopening>, time: EventTime) {
        let idle = self.in_flight.is_empty() && self.queues.waiting == 0;
        self.pause_wait.idle_for = reopening.filter(|_| idle).map(|reopening| reopening.candidate);
        if self.pause_wait.idle_for.is_some() {
            self.pause_wait.since.get_or_insert(time.now);
        }
    }

    /// The first candidate that can be asked after a short wait, and only after it.
    pub(super) fn next_reopening(&self, facts: &impl DispatchFacts, time: EventTime) -> Option<Reopening> {
        let done = self.places.open() == 0 || !self.may_start(time);
        if done || self.obstacles.queue_timed_out || self.pause_wait.refused {
            return None;
        }
        let candidates = 0..self.candidates.len();
        candidates.filter_map(|candidate| self.reopening(candidate, facts, time)).min()
    }

    fn reopening(&self, candidate: usize, facts: &impl DispatchFacts, time: EventTime) -> Option<Reopening> {
        let Candidate { offer, max_n, .. } = self.candidates[candidate];
        let pictures = self.places.open().min(max_n);
        let backs_off = self.backs_off_until(candidate, time.now);
        let pause = facts.paused_until(offer, pictures, time.now).map(|paused| self.goes_on_at(paused, time.now));
        // A pause that another request's success has ended since it was looked at.
        let over = self.history[candidate].was_paused.then_some(time.now);
        let at = backs_off.max(pause).or(over)?;
        let left = self.call_deadline(time).saturating_duration_since(time.now);
        let since = self.pause_wait.since.unwrap_or(time.now);
        let too_late = at > time.now + left / 2 || (pause.is_some() && at > since + facts.max_wait(offer));
        if too_late || self.obstacle_but_pauses(candidate, self.places.open(), facts, time).is_some() {
            return None;
        }
        Some(Reopening { at, candidate })
    }

    /// When this request goes on after a pause.
    fn goes_on_at(&self, PausedUntil { pause, opens, .. }: PausedUntil, now: Instant) -> Instant {
        let wait = opens.saturating_duration_since(now);
        let wait = if pause == Pause::Probing { wait.min(PROBE_RECHECK) } else { wait };
        // Those who wait for a rate stand in a line, and each has a moment of its own.
        let chance = if pause == Pause::RateSpent { 0 } else { self.rules.chance.min(1000) };
        now + wait + (wait / SPREAD).min(LONGEST_SPREAD) * chance / 1000
    }
}
