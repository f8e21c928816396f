//! Waiting for a slot where no able candidate has one free, and not waiting where that would be in vain.
//!
//! A request queues for all the calls that it needs at once: one that came back to the end of the queue for each of its
//! pictures would wait as often as it has pictures. Whoever can be expected to get its slot too late is not queued: it is told
//! at once, and when it could have been served, so that it neither waits for nothing nor keeps others waiting.

use std::time::Duration;

use crate::dispatch::interface::{Action, DispatchFacts, EventTime, SlotForecast};
use crate::dispatch::obstacles::Obstacle;
use crate::dispatch::state_machine::Dispatch;

impl Dispatch {
    /// No slot is free: waits at every candidate that nothing else stands against, unless the request waits already.
    pub(super) fn queue_up(&mut self, facts: &impl DispatchFacts, time: EventTime) -> Option<Action> {
        if self.queues.waiting > 0 || self.queues.requested || self.obstacles.queue_timed_out {
            return None;
        }
        self.queues.requested = true;
        let mut wanted = Vec::new();
        for candidate in 0..self.candidates.len() {
            if self.is_barred(candidate, facts, time) {
                continue;
            }
            let calls = self.places.open().div_ceil(self.candidates[candidate].max_n.max(1));
            match self.expected_late_by(candidate, calls, facts, time) {
                Some(late_by) => {
                    self.obstacles.note_late(time.now + late_by);
                    self.note_obstacle(candidate, Obstacle::WouldBeLate);
                }
                None => wanted.extend(std::iter::repeat_n(candidate, calls.into())),
            }
        }
        (!wanted.is_empty()).then_some(Action::Queue(wanted))
    }

    /// How much later a request like this one would have to come to be served in time; `None` where this one may be. It
    /// may be late all the same: a forecast is no promise.
    fn expected_late_by(
        &mut self,
        candidate: usize,
        calls: u8,
        facts: &impl DispatchFacts,
        time: EventTime,
    ) -> Option<Duration> {
        let offer = self.candidates[candidate].offer;
        let waited_for = if self.rules.all_or_none { calls } else { 1 };
        let SlotForecast { wait, call } = facts.slot_forecast(offer, waited_for, time.now)?;
        let (longest, left) = (facts.max_wait(offer), time.deadline.saturating_duration_since(time.now));
        // Should the queue be full, or the wait longer than forecast, the answer tells this.
        let late_by =
            wait.saturating_sub(longest).max((wait + call).saturating_sub(self.rules.deadline_after)).min(wait);
        self.obstacles.note_late(time.now + late_by);
        (wait > longest || wait + call > left).then_some(late_by)
    }
}
