//! The attempts of the process before, which still ends them while this one serves: promised here until they are settled
//! there, so that a budget holds for both together.
//!
//! While two processes spend, each has its part of what is left of a budget. Neither knows of the other's spending at
//! once, and neither can pass the limit.

use crate::calendar::Moment;
use crate::ledger::counter::{CounterKey, Counters};
use crate::ledger::entry::{Entry, Settlement};
use crate::ledger::state::Ledger;
use crate::money::Usd;

/// What of a budget is left to another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The budget, as [`CounterKey`] is written.
    pub budget: String,
    /// How much.
    pub usd: Usd,
}

impl Ledger {
    /// Takes up an attempt that another process has under way. It counts as promised, also in counters that begin later.
    pub fn adopt(&self, entry: Entry) {
        let mut state = self.lock();
        if !state.under_way.contains_key(&entry.id) {
            state.counters.reserve(&entry);
            state.under_way.insert(entry.id, entry);
        }
    }

    /// The other process has settled an adopted attempt. Whether it was one.
    pub fn settle_adopted(&self, id: i64, settlement: &Settlement, now: Moment) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.under_way.get(&id).cloned() else { return false };
        state.close(&entry, now);
        state.take(&entry, settlement);
        true
    }

    /// The other process has taken an adopted attempt back: it was never sent.
    pub fn release_adopted(&self, id: i64, now: Moment) {
        let mut state = self.lock();
        if let Some(entry) = state.under_way.get(&id).cloned() {
            state.close(&entry, now);
        }
    }

    /// Leaves half of what is left of every budget to another process, and says how much of which. `limits` are all budgets
    /// of the config.
    pub fn halve_budgets(&self, limits: &[(CounterKey, Usd)], now: Moment) -> Vec<SetAside> {
        let mut state = self.lock();
        let mut halves = Vec::new();
        for (key, limit) in limits {
            let Some(left) = state.counters.get(key, now).map(|counter| counter.left(*limit)) else { continue };
            // Rounded up for the other one: both halves together are never more than the whole.
            let half = Usd::from_nanos(left.nanos() / 2);
            halves.push((SetAside { budget: key.to_string(), usd: half }, left.checked_sub(half).unwrap_or(Usd::ZERO)));
        }
        state.set_aside = halves.iter().map(|(half, rest)| (half.budget.clone(), *rest)).collect();
        halves.into_iter().map(|(half, _)| half).collect()
    }

    /// Leaves so much of these budgets alone from now on: another process may spend it.
    pub fn set_aside(&self, parts: &[SetAside]) {
        self.lock().set_aside = parts.iter().map(|part| (part.budget.clone(), part.usd)).collect();
    }

    /// Nobody else spends any more.
    pub fn spend_alone(&self) {
        self.lock().set_aside.clear();
    }
}

/// What is left of `limit` besides what another process may spend.
pub(super) fn left_here(
    set_aside: &std::collections::HashMap<String, Usd>,
    counters: &mut Counters,
    (key, limit): (&CounterKey, Usd),
    now: Moment,
) -> Option<Usd> {
    let left = counters.get(key, now)?.left(limit);
    if set_aside.is_empty() {
        return Some(left);
    }
    let theirs = set_aside.get(&key.to_string()).copied().unwrap_or(Usd::ZERO);
    Some(left.checked_sub(theirs).map_or(Usd::ZERO, |left| left.max(Usd::ZERO)))
}
