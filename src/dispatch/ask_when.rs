//! Whether an offer that waits for a reason (`when`) has one now.

use crate::breaker::Pause;
use crate::config::plan::AskWhen;
use crate::dispatch::interface::{DispatchFacts, EventTime};
use crate::dispatch::obstacles::Obstacle;
use crate::dispatch::state_machine::Dispatch;

/// How the offers that may be asked at any time stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Regulars {
    /// One of them can be asked.
    Able,
    /// None can, and one of them only because its provider is at its limit.
    Saturated,
    /// None can, whatever slot comes free, and one of them only because it is asked too much: the vendor says so, or its
    /// rate in the config is spent. That is a burst, and it is an outage too while it lasts.
    Limited,
    /// None can, whatever slot comes free. So it is where there are none.
    Unavailable,
}

fn is_asked_too_much(pause: Pause) -> bool {
    matches!(pause, Pause::RateLimited | Pause::RateSpent)
}

impl Dispatch {
    /// Whether one of a candidate's reasons has come true. Without reasons it may be asked at any time.
    pub(super) fn has_reason(
        &self,
        candidate: usize,
        pictures: u8,
        facts: &impl DispatchFacts,
        time: EventTime,
    ) -> bool {
        let when = &self.candidates[candidate].when;
        when.is_empty() || when.iter().any(|when| self.has_come_true(*when, pictures, facts, time))
    }

    /// The same for a second call beside one that is late.
    pub(super) fn has_reason_to_hedge(
        &self,
        candidate: usize,
        pictures: u8,
        facts: &impl DispatchFacts,
        time: EventTime,
    ) -> bool {
        let when = &self.candidates[candidate].when;
        let come_true = |when: &AskWhen| match when {
            AskWhen::Late => true,
            AskWhen::First => false,
            AskWhen::Rejected | AskWhen::Unavailable | AskWhen::Saturated => {
                self.has_come_true(*when, pictures, facts, time)
            }
        };
        when.is_empty() || when.iter().any(come_true)
    }

    fn has_come_true(&self, when: AskWhen, pictures: u8, facts: &impl DispatchFacts, time: EventTime) -> bool {
        match when {
            AskWhen::First => !self.rejected && !self.late && self.history.iter().all(|history| history.failures == 0),
            AskWhen::Rejected => self.rejected,
            AskWhen::Unavailable => {
                matches!(self.regulars(pictures, facts, time), Regulars::Unavailable | Regulars::Limited)
            }
            AskWhen::Saturated => {
                matches!(self.regulars(pictures, facts, time), Regulars::Saturated | Regulars::Limited)
            }
            AskWhen::Late => self.late || !self.in_flight.overdue(time.now).is_empty(),
        }
    }

    fn regulars(&self, pictures: u8, facts: &impl DispatchFacts, time: EventTime) -> Regulars {
        let mut stand = Regulars::Unavailable;
        for (nth, candidate) in self.candidates.iter().enumerate() {
            // One that has just failed is out of the question until it is asked again.
            let backs_off = self.backs_off_until(nth, time.now).is_some();
            if !candidate.when.is_empty() || backs_off {
                continue;
            }
            match self.obstacle(nth, pictures, facts, time) {
                None if !self.history[nth].full && facts.has_free_slot(candidate.offer) => return Regulars::Able,
                None => stand = Regulars::Saturated,
                Some(Obstacle::PausedUntil(paused))
                    if stand == Regulars::Unavailable && is_asked_too_much(paused.pause) =>
                {
                    stand = Regulars::Limited;
                }
                Some(_) => {}
            }
        }
        stand
    }
}
