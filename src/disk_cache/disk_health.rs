//! Whether a disk is worth trying: after a few failures in a row it is left alone for a while, and then tried once.
//!
//! A dead disk may take seconds to say so. Whoever asks it again and again makes every request wait for nothing and
//! fills the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::calendar::Moment;

/// Failures in a row after which the disk is left alone: one may be a file that somebody removed, three are the disk.
pub const FAILURES_IN_A_ROW: u32 = 3;

/// How long it is left alone. Somebody who makes room on a full disk sees it used again within half a minute, and a dead
/// one costs two tries a minute.
pub const PAUSE: Duration = Duration::from_secs(30);

/// Failures in a row, and since when nothing is tried.
#[derive(Debug, Default)]
pub(super) struct DiskHealth {
    state: Mutex<HealthState>,
}

#[derive(Debug, Default)]
struct HealthState {
    failures: u32,
    paused_since: Option<Moment>,
}

impl DiskHealth {
    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something may be tried at `now`. A clock that was set back ends the pause.
    pub(super) fn may_try(&self, now: Moment) -> bool {
        self.state().paused_since.is_none_or(|since| now < since || now.since(since) >= PAUSE)
    }

    /// Whether what was tried last, or lately, went well.
    pub(super) fn is_well(&self) -> bool {
        self.state().paused_since.is_none()
    }

    /// A try went well. Whether that is news.
    pub(super) fn succeeded(&self) -> bool {
        let mut state = self.state();
        state.failures = 0;
        state.paused_since.take().is_some()
    }

    /// A try failed. Whether the disk is left alone for the first time.
    pub(super) fn failed(&self, now: Moment) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        state.failures >= FAILURES_IN_A_ROW && state.paused_since.replace(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_a_pause_and_the_try_after_it_decides() {
        let (health, now) = (DiskHealth::default(), Moment::from_millis(1_000_000));
        for _ in 0..2 {
            assert!(!health.failed(now) && health.may_try(now));
        }
        assert!(!health.succeeded() && !health.failed(now) && !health.failed(now), "not in a row");
        assert!(health.failed(now) && !health.may_try(now) && !health.is_well());
        let (almost, over) = (now.after(PAUSE - Duration::from_millis(1)), now.after(PAUSE));
        assert!(!health.may_try(almost) && health.may_try(over));
        assert!(!health.failed(over) && !health.may_try(over), "one more is enough, and no news");
        assert!(health.may_try(over.after(PAUSE)) && health.succeeded());
        assert!(health.may_try(over) && health.is_well() && !health.failed(over));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_pause() {
        let (health, now) = (DiskHealth::default(), Moment::from_millis(1_000_000));
        assert_eq!((0..FAILURES_IN_A_ROW).filter(|_| health.failed(now)).count(), 1);
        assert!(!health.may_try(now) && health.may_try(now.before(Duration::from_millis(1))));
    }
}
