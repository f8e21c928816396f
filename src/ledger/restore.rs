//! What an earlier process left, taken up.
//!
//! Whoever has a record marks a place in it while the ledger is locked, so that what it tells stands exactly between two
//! entries, and reads it afterwards, while attempts go on. What was settled behind the mark is added to what it tells. If
//! it cannot tell, nothing is counted from a wrong beginning: the same is asked for again the next time.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use crate::calendar::{Moment, Period};
use crate::ledger::counter::{CounterKey, CounterRecall, CounterSum};
use crate::ledger::sliding_window::Windows;
use crate::ledger::state::{Ledger, LedgerState};

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

    /// Begins to count every key that is not counted yet. `ask` is called for those with each present period, while the
    /// ledger is locked, and must not wait: it only marks the place in the record. What it gives tells, in its own time
    /// and in the same order, what was settled in each period up to that mark. What is settled meanwhile is counted too.
    ///
    /// # Errors
    /// What was told instead; none of those keys is counted then.
    pub fn count<R, E>(
        &self,
        keys: &[CounterKey],
        now: Moment,
        ask: impl FnOnce(&[(CounterKey, Period)]) -> R,
    ) -> Result<(), E>
    where
        R: FnOnce() -> Result<Vec<CounterSum>, E>,
    {
        let _turn = self.turn_to_recall();
        let (begun, told) = {
            let mut state = self.lock();
            let LedgerState { counters, under_way, .. } = &mut *state;
            let begun: Vec<CounterRecall> =
                keys.iter().filter_map(|key| counters.begin(key, under_way.values(), now)).collect();
            if begun.is_empty() {
                return Ok(());
            }
            let new: Vec<_> = begun.iter().map(|begun| (begun.key.clone(), begun.period)).collect();
            let told = ask(&new);
            (begun, told)
        };
        let told = told();
        let mut state = self.lock();
        match told {
            Ok(sums) => {
                begun.iter().zip(sums).for_each(|(begun, sum)| state.counters.recall(begun, sum));
                Ok(())
            }
            Err(error) => {
                begun.iter().for_each(|begun| state.counters.forget(begun));
                Err(error)
            }
        }
    }

    /// Keeps minutes for at least `time` from now on. Where that is longer than before, `ask` is called while the ledger
    /// is locked, and must not wait: it only marks the place in the record. What it gives tells all that was settled up
    /// to that mark. What comes meanwhile is noted and added; it is as much as is settled while a record is read.
    ///
    /// # Errors
    /// What was told instead; nothing is changed then.
    pub fn look_back<R, E>(&self, time: Duration, ask: impl FnOnce(Windows) -> R) -> Result<(), E>
    where
        R: FnOnce() -> Result<Windows, E>,
    {
        let _turn = self.turn_to_recall();
        let mut windows = Windows::default();
        windows.keep(time);
        let kept = windows.kept();
        let told = {
            let mut state = self.lock();
            if kept <= state.looks_back {
                return Ok(());
            }
            state.meanwhile = Some(Vec::new());
            ask(windows)
        };
        let told = told();
        let mut state = self.lock();
        let meanwhile = state.meanwhile.take().unwrap_or_default();
        let mut windows = told?;
        meanwhile.into_iter().for_each(|event| event.add_to(&mut windows));
        (state.windows, state.looks_back) = (windows, kept);
        Ok(())
    }

    /// Whoever recalls is alone, so that nothing is recalled twice. Nobody else waits for it.
    fn turn_to_recall(&self) -> MutexGuard<'_, ()> {
        // It guards no data.
        self.recalling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
