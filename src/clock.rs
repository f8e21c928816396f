//! The wall clock. The gateway is handed a [`Clock`], so that a test or a simulation decides what time it is. How long
//! something takes is measured by tokio's clock, which tests can pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::calendar::Moment;

/// The present moment by the system's clock.
pub fn now() -> Moment {
    std::time::SystemTime::now().into()
}

/// Where wall time is read. A clone reads the same clock.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still until it is set.
    Manual(ManualClock),
}

impl Clock {
    /// The present moment.
    pub fn now(&self) -> Moment {
        match self {
            Clock::System => now(),
            Clock::Manual(clock) => Moment::from_millis(clock.0.load(Ordering::Acquire)),
        }
    }
}

/// A clock that stands still until it is set. A clone is the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `moment`.
    pub fn at(moment: Moment) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(moment.millis())))
    }

    /// Sets it to `moment`, earlier or later.
    pub fn set(&self, moment: Moment) {
        self.0.store(moment.millis(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_where_it_was_set_for_all_its_clones() {
        let manual = ManualClock::at(Moment::from_millis(7));
        let clock = Clock::Manual(manual.clone());
        let other = clock.clone();
        assert_eq!((clock.now(), other.now()), (Moment::from_millis(7), Moment::from_millis(7)));
        manual.set(Moment::from_millis(3));
        assert_eq!((clock.now(), other.now()), (Moment::from_millis(3), Moment::from_millis(3)));
    }
}
