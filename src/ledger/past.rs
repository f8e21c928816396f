//! What an earlier process left, taken up.
//!
//! Whoever has a record is asked while the ledger is locked, so that what it tells stands exactly between two entries.
//! If it cannot tell, nothing is counted from a wrong beginning: the same is asked for again the next time.

use std::time::Duration;

use crate::calendar::{Moment, Period};
use crate::ledger::counter::{Key, Sum};
use crate::ledger::window::Windows;
use crate::ledger::{Ledger, State};

impl Ledger {
    /// Goes on after the entries of an earlier process.
    pub fn resume(&self, last_id: i64) {
        let mut state = self.lock();
        state.last_id = state.last_id.max(last_id);
    }

    /// Whether something has to be counted anew, because the clock was set back to before this ledger began.
    pub fn is_behind(&self) -> bool {
        self.lock().counters.any_unknown()
    }

    /// Begins to count every key that is not counted yet. `ask` is called for those with each present period, before
    /// anything else can be settled, and tells what was settled in it so far, in the same order.
    ///
    /// # Errors
    /// What `ask` says; none of those keys is counted then.
    pub fn count<E>(
        &self,
        keys: &[Key],
        now: Moment,
        ask: impl FnOnce(&[(Key, Period)]) -> Result<Vec<Sum>, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        let State { counters, under_way, .. } = &mut *state;
        let new = keys.iter().filter(|key| counters.begin(key, under_way.values(), now));
        let new: Vec<_> = new.map(|key| (key.clone(), key.per.period(&key.zone, now))).collect();
        if new.is_empty() {
            return Ok(());
        }
        match ask(&new) {
            Ok(sums) => {
                new.iter().zip(sums).for_each(|((key, period), sum)| counters.recall(key, period.start, sum, now));
                Ok(())
            }
            Err(error) => {
                new.iter().for_each(|(key, _)| counters.forget(key));
                Err(error)
            }
        }
    }

    /// Keeps minutes for at least `time` from now on. Where that is longer than before, `ask` is called before anything
    /// else can be settled, and tells all that was.
    ///
    /// # Errors
    /// What `ask` says; nothing is changed then.
    pub fn look_back<E>(&self, time: Duration, ask: impl FnOnce(Windows) -> Result<Windows, E>) -> Result<(), E> {
        let mut state = self.lock();
        let mut windows = Windows::default();
        windows.keep(time);
        let kept = windows.kept();
        if kept > state.looks_back {
            state.windows = ask(windows)?;
            state.looks_back = kept;
        }
        Ok(())
    }
}
