//! What an earlier process left, taken up; and what came of the money over the last hour, day or month.
//!
//! Whoever has a record is asked while the ledger is locked, so that what it tells stands exactly between two entries.
//! If it cannot tell, nothing is counted from a wrong beginning: the same is asked for again the next time.

use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
use crate::config::plan::{By, Plan};
use crate::ledger::counter::{Budgeted, Counter, Key, Sum};
use crate::ledger::entry::{Entry, Owner, Purpose, Settlement};
use crate::ledger::window::{self, Change, Cost, Fact, Windows};
use crate::ledger::{Ledger, State, keys};
use crate::money::Usd;

/// Outcomes that say nothing of who was asked: a prompt refused for its content, a request that is wrong.
const NO_FAILURES: [&str; 3] = ["ok", "refused", "caller_invalid"];

impl Ledger {
    /// Goes on after the entries of an earlier process.
    pub fn resume(&self, last_id: i64) {
        let mut state = self.lock();
        state.last_id = state.last_id.max(last_id);
    }

    /// Begins to count every key that is not counted yet. `ask` is called for those with the start of each present
    /// period, before anything else can be settled, and tells what was settled in it so far, in the same order.
    ///
    /// # Errors
    /// What `ask` says; none of those keys is counted then.
    pub fn count<E>(
        &self,
        keys: &[Key],
        now: Moment,
        ask: impl FnOnce(&[(Key, Moment)]) -> Result<Vec<Sum>, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        let State { counters, under_way, .. } = &mut *state;
        let new = keys.iter().filter(|key| counters.begin(key, under_way.values(), now));
        let new: Vec<_> = new.map(|key| (key.clone(), key.per.period(&key.zone, now).start)).collect();
        if new.is_empty() {
            return Ok(());
        }
        match ask(&new) {
            Ok(sums) => {
                new.iter().zip(sums).for_each(|((key, start), sum)| counters.recall(key, *start, sum, now));
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

    /// Changes what is held of pictures that were delivered by an attempt of `owner` that was settled at `at`.
    pub fn judge(&self, at: Moment, owner: &Owner, change: Change) {
        self.lock().windows.judge(at, owner, change);
    }

    /// What accepted pictures cost, as [`Windows::costs`] tells it.
    pub fn costs(&self, now: Moment) -> Vec<Cost> {
        self.lock().windows.costs(now)
    }

    /// Every name of a dimension that something was settled for.
    pub fn names(&self, by: By) -> Vec<Arc<str>> {
        self.lock().windows.names(by).cloned().collect()
    }

    /// What was settled for a name over the time before `now`, as [`Windows::sum`] tells it.
    pub fn sum(&self, by: By, name: &str, over: Duration, now: Moment) -> window::Sum {
        self.lock().windows.sum(by, name, Some(over), now)
    }

    /// Every budget of `plan`, as it stands.
    pub fn budgets(&self, plan: &Plan, now: Moment) -> Vec<Budgeted> {
        let mut state = self.lock();
        let mut stands = |(key, limit): (Key, Usd)| {
            // What has a budget is counted; were it not, nothing would be used of it.
            let used = state.counters.get(&key, now).map_or(Usd::ZERO, |counter| counter.used());
            Budgeted { key, limit, used }
        };
        keys::budgets(plan).into_iter().map(&mut stands).collect()
    }

    /// A counter as it stands.
    pub fn counter(&self, key: &Key, now: Moment) -> Option<Counter> {
        self.lock().counters.get(key, now).cloned()
    }
}

impl State {
    /// Adds a settled attempt to the windows.
    pub(super) fn show(&mut self, entry: &Entry, settlement: &Settlement) {
        let Settlement { at, usd, prepaid, outcome, .. } = *settlement;
        let accepted = u32::try_from(settlement.pictures.len()).unwrap_or(u32::MAX);
        let cost = usd.saturating_add(prepaid);
        add(
            &mut self.windows,
            at,
            &entry.owner,
            entry.purpose,
            outcome,
            Fact { usd: cost, accepted, ..Fact::default() },
        );
    }
}

/// Adds one settled attempt to `windows`: `fact` has its money and pictures, its `outcome` says whether it failed. A fee
/// belongs to the whole hour before.
pub fn add(windows: &mut Windows, at: Moment, owner: &Owner, purpose: Purpose, outcome: &str, fact: Fact) {
    if purpose == Purpose::Reserve {
        return spread(windows, at, owner, fact.usd);
    }
    let failures = u32::from(!NO_FAILURES.contains(&outcome));
    windows.add(at, owner, Fact { attempts: 1, failures, ..fact });
}

/// The last minute of an hour carries what the division leaves over.
fn spread(windows: &mut Windows, end: Moment, owner: &Owner, fee: Usd) {
    const MINUTES: i64 = 60;
    let (each, over) = (fee.nanos() / MINUTES, fee.nanos() % MINUTES);
    for back in (0..60u64).rev() {
        let usd = Usd::from_nanos(if back == 0 { each + over } else { each });
        windows.add(end.before(Duration::from_secs(60 * back)), owner, Fact { usd, ..Fact::default() });
    }
}
