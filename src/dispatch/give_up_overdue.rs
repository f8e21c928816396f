//! How long a call is waited for while another candidate could be asked in its place.

use crate::dispatch::interface::{Action, DispatchFacts, EventTime};
use crate::dispatch::state_machine::Dispatch;
use crate::failure::{Class, Failure};

impl Dispatch {
    /// Overdue calls are not waited for any more, if another candidate can be asked. They go on.
    pub(super) fn give_up_overdue(&mut self, facts: &impl DispatchFacts, time: EventTime) {
        for (call, slow, pictures) in self.in_flight.overdue(time.now) {
            let mut others = (0..self.candidates.len()).filter(|other| *other != slow);
            if !self.may_start(time) || !others.any(|other| self.can_take_over(other, pictures, facts, time)) {
                continue;
            }
            let places = self.in_flight.give_up(call);
            self.give_back(&places);
            self.history[slow].failures += 1;
            self.history[slow].excluded = true;
            self.late = true;
            self.reconsider_all();
            self.notices.push_back(Action::GivenUp { candidate: slow });
            self.obstacles.note_failure(Failure::new(Class::TimeoutAmbiguous, "no reply in half the time left"));
        }
    }

    /// Whether asking this candidate in place of a slow one is worth its price: it is not being waited for itself, was
    /// not too slow before, and nothing stands against asking it for so many pictures now.
    fn can_take_over(&self, candidate: usize, pictures: u8, facts: &impl DispatchFacts, time: EventTime) -> bool {
        let left = time.deadline.saturating_duration_since(time.now);
        !self.in_flight.has_call_to(candidate)
            && self.history[candidate].took < left
            && facts.has_free_slot(self.candidates[candidate].offer)
            && self.backs_off_until(candidate, time.now).is_none()
            && self.obstacle(candidate, pictures, facts, time).is_none()
    }
}
