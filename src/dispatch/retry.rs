//! When the same offer may be asked again after it failed this request: after a pause that grows with its failures, and
//! only while its provider's retry budget lasts. Another offer may be asked at once: it has not failed.

use std::time::{Duration, Instant};

use crate::dispatch::interface::{DispatchFacts, EventTime};
use crate::dispatch::state_machine::Dispatch;

/// The longest pause before the same offer is asked again, in first pauses: 8 s where the first is 500 ms. Those are the
/// bounds of OpenAI's own clients (`INITIAL_RETRY_DELAY`, `MAX_RETRY_DELAY`).
const LONGEST: u32 = 16;

/// The pause before an offer is asked again that failed so often: twice as long each time, up to a bound, of which chance
/// (out of 1000) takes up to a half, so that requests that failed together do not come back together.
fn backoff(first: Duration, failures: u32, chance: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(LONGEST).clamp(1, LONGEST);
    first.saturating_mul(doubled) * (1000 - chance.min(1000) / 2) / 1000
}

impl Dispatch {
    /// A call to the candidate failed and has been counted: it is left alone for a while.
    pub(super) fn back_off(&mut self, candidate: usize, now: Instant) {
        let history = &mut self.history[candidate];
        history.not_before = Some(now + backoff(self.rules.backoff, history.failures, self.rules.chance));
    }

    /// When the candidate may be asked again, if it may not yet.
    pub(super) fn backs_off_until(&self, candidate: usize, now: Instant) -> Option<Instant> {
        self.history[candidate].not_before.filter(|at| *at > now)
    }

    /// Whether a call to the candidate would repeat what it failed this request in.
    pub fn is_retry(&self, candidate: usize) -> bool {
        let history = self.history[candidate];
        history.failures > history.rejections
    }

    /// Whether it would, and its provider has had its share of such calls.
    pub(super) fn is_over_retry_budget(&self, candidate: usize, facts: &impl DispatchFacts, time: EventTime) -> bool {
        self.is_retry(candidate) && !facts.may_retry(self.candidates[candidate].offer, time.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound_and_chance_takes_up_to_a_half_of_it() {
        let first = Duration::from_millis(500);
        let millis = |failures, chance| backoff(first, failures, chance).as_millis();
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 40].map(|failures| millis(failures, 0)),
            [500, 1000, 2000, 4000, 8000, 8000, 8000]
        );
        assert_eq!([0, 500, 1000, 2000].map(|chance| millis(2, chance)), [1000, 750, 500, 500]);
    }
}
