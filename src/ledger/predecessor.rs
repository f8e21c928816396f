//! Two processes that spend from the same budgets while one hands over to the other.
//!
//! The one that ends may spend half of what is left of each budget from then on, whatever begins again meanwhile: that is
//! its allowance, which only becomes less. The one that begins counts what the other has under way as promised, learns
//! of what it settles, and leaves the other's half alone until the other has ended. Neither knows of the other's
//! spending at once, and together they cannot pass a limit.

use std::collections::HashMap;

use crate::calendar::Moment;
use crate::config::plan::{Budget, Plan};
use crate::ledger::counter::{CounterKey, CounterScope};
use crate::ledger::entry::{Entry, Owner, Settlement};
use crate::ledger::plan_counters::budgets;
use crate::ledger::state::{Ledger, LedgerState};
use crate::money::Usd;

/// What another process may spend of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The budget, as [`CounterKey`] is written.
    pub budget: String,
    /// How much.
    pub usd: Usd,
}

/// What of the budgets is another process's.
#[derive(Debug, Default)]
pub(super) struct SharedBudgets {
    /// What this process may still spend, where it has handed over.
    allowances: Option<HashMap<String, Usd>>,
    /// What the process before may spend, where it still ends.
    set_aside: HashMap<String, Usd>,
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

    /// The other process has settled an adopted attempt. Whether it was one; else nothing changes.
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

    /// Keeps half of what is left of every budget of `plan` for what this process still does, and says how much of which:
    /// the rest is another process's.
    pub fn halve_budgets(&self, plan: &Plan, now: Moment) -> Vec<SetAside> {
        let mut state = self.lock();
        let mut halves = Vec::new();
        for (key, limit) in budgets(plan) {
            let Some(left) = state.counters.get(&key, now).map(|counter| counter.left(limit)) else { continue };
            // Rounded down: both halves together are never more than the whole.
            let usd = Usd::from_nanos(left.max(Usd::ZERO).nanos() / 2);
            halves.push(SetAside { budget: key.to_string(), usd });
        }
        let allowances = halves.iter().map(|half| (half.budget.clone(), half.usd)).collect();
        state.shared_budgets.allowances = Some(allowances);
        halves
    }

    /// Leaves so much of these budgets alone from now on: the process before may spend it.
    pub fn set_aside(&self, parts: &[SetAside]) {
        let parts = parts.iter().map(|part| (part.budget.clone(), part.usd)).collect();
        self.lock().shared_budgets.set_aside = parts;
    }

    /// Nobody else spends any more.
    pub fn spend_alone(&self) {
        self.lock().shared_budgets = SharedBudgets::default();
    }

    /// The newest number that was given to an attempt.
    pub fn last_id(&self) -> i64 {
        self.lock().last_id
    }

    /// The attempts up to this number that are under way.
    pub fn under_way_up_to(&self, last: i64) -> Vec<i64> {
        self.lock().under_way.keys().copied().filter(|id| *id <= last).collect()
    }
}

impl SharedBudgets {
    /// How much of what is `left` of a budget is this process's.
    pub(super) fn own_part(&self, key: &CounterKey, left: Usd) -> Usd {
        if self.allowances.is_none() && self.set_aside.is_empty() {
            return left;
        }
        let key = key.to_string();
        let theirs = self.set_aside.get(&key).copied().unwrap_or(Usd::ZERO);
        let left = left.checked_sub(theirs).map_or(Usd::ZERO, |left| left.max(Usd::ZERO));
        match self.allowances.as_ref().and_then(|allowances| allowances.get(&key)) {
            Some(allowance) => left.min(*allowance),
            None => left,
        }
    }
}

impl LedgerState {
    /// Takes what an attempt may cost from the allowances that it counts in. What it costs less does not come back.
    pub(super) fn use_allowances(&mut self, owner: &Owner, budgets: [&[Budget]; 3], usd: Usd) {
        let Some(allowances) = &mut self.shared_budgets.allowances else { return };
        let [client, route, provider, _] = CounterScope::of(owner);
        for (scope, budgets) in [client, route, provider].into_iter().zip(budgets) {
            for Budget { per, zone, .. } in budgets {
                let key = CounterKey { scope: scope.clone(), per: *per, zone: zone.clone() };
                if let Some(allowance) = allowances.get_mut(&key.to_string()) {
                    *allowance = allowance.checked_sub(usd).map_or(Usd::ZERO, |left| left.max(Usd::ZERO));
                }
            }
        }
    }
}
