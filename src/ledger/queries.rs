//! What came of the money over the last hour, day or month, and how budgets stand.
//!
//! Everything that is settled is added here to sliding windows, on the way and when a record tells of it. Nothing is
//! promised or settled here.

use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
use crate::config::plan::{Dimension, Plan};
use crate::failure::Class;
use crate::ledger::counter::{Budgeted, Counter, CounterKey};
use crate::ledger::entry::{Entry, Owner, Purpose, Settlement};
use crate::ledger::window::{self, Change, Cost, Fact, Windows};
use crate::ledger::{Ledger, LedgerState, counter_keys};
use crate::money::Usd;

/// The outcome of a call that went well.
const OK: &str = "ok";
/// Outcomes that say nothing of who was asked: a prompt refused for its content, a request that is wrong.
const NOBODYS_FAULT: [Class; 2] = [Class::Policy, Class::CallerInvalid];

impl Ledger {
    /// Changes what is held of pictures that were delivered by an attempt of `owner` that was settled at `at`.
    pub fn judge(&self, at: Moment, owner: &Owner, change: Change) {
        self.lock().see(Seen::Judged { at, owner: owner.clone(), change });
    }

    /// What accepted pictures cost, as [`Windows::costs`] tells it.
    pub fn costs(&self, now: Moment) -> Vec<Cost> {
        self.lock().windows.costs(now)
    }

    /// Every name of a dimension that something was settled for.
    pub fn names(&self, by: Dimension) -> Vec<Arc<str>> {
        self.lock().windows.names(by).cloned().collect()
    }

    /// What was settled for a name over the time before `now`, as [`Windows::sum`] tells it.
    pub fn sum(&self, by: Dimension, name: &str, over: Duration, now: Moment) -> window::WindowSum {
        self.lock().windows.sum(by, name, Some(over), now)
    }

    /// Every budget of `plan`, as it stands.
    pub fn budgets(&self, plan: &Plan, now: Moment) -> Vec<Budgeted> {
        let mut state = self.lock();
        let mut stands = |(key, limit): (CounterKey, Usd)| {
            // What has a budget is counted; were it not, nothing would be used of it.
            let used = state.counters.get(&key, now).map_or(Usd::ZERO, |counter| counter.used());
            Budgeted { key, limit, used }
        };
        counter_keys::budgets(plan).into_iter().map(&mut stands).collect()
    }

    /// A counter as it stands.
    pub fn counter(&self, key: &CounterKey, now: Moment) -> Option<Counter> {
        self.lock().counters.get(key, now).cloned()
    }
}

impl LedgerState {
    /// Adds a settled attempt to the windows.
    pub(super) fn show(&mut self, entry: &Entry, settlement: &Settlement) {
        let Settlement { at, usd, prepaid, outcome, .. } = *settlement;
        let accepted = u32::try_from(settlement.pictures.len()).unwrap_or(u32::MAX);
        let cost = usd.saturating_add(prepaid);
        let fact = Fact { usd: cost, accepted, ..Fact::default() };
        self.see(Seen::Settled { at, owner: entry.owner.clone(), purpose: entry.purpose, outcome, fact });
    }

    fn see(&mut self, seen: Seen) {
        seen.add_to(&mut self.windows);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.push(seen);
        }
    }
}

/// One thing that windows count.
#[derive(Debug)]
pub(super) enum Seen {
    /// An attempt ended.
    Settled { at: Moment, owner: Owner, purpose: Purpose, outcome: &'static str, fact: Fact },
    /// Somebody said what a picture is worth.
    Judged { at: Moment, owner: Owner, change: Change },
}

impl Seen {
    /// Counts it.
    pub(super) fn add_to(&self, windows: &mut Windows) {
        match self {
            Seen::Settled { at, owner, purpose, outcome, fact } => {
                add_to_windows(windows, *at, owner, *purpose, outcome, *fact);
            }
            Seen::Judged { at, owner, change } => windows.judge(*at, owner, *change),
        }
    }
}

/// Adds one settled attempt to `windows`: `fact` has its money and pictures, its `outcome` says whether it failed. A fee
/// belongs to the whole hour before.
pub fn add_to_windows(windows: &mut Windows, at: Moment, owner: &Owner, purpose: Purpose, outcome: &str, fact: Fact) {
    if purpose == Purpose::Reserve {
        return spread(windows, at, owner, fact.usd);
    }
    let failed = outcome != OK && !NOBODYS_FAULT.iter().any(|class| class.word() == outcome);
    windows.add(at, owner, Fact { attempts: 1, failures: u32::from(failed), ..fact });
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
