//! Two processes that spend from the same budgets while one hands over to the other.
//!
//! The one that ends may spend half of what is left of each budget from then on, whatever begins again meanwhile: that is
//! its allowance, which only becomes less. The one that begins counts what the other has under way as promised, learns
//! of what it settles, and leaves the other's half alone until the other has ended. Neither knows of the other's
//! spending at once, and together they cannot pass a limit.

use crate::calendar::Moment;
use crate::config::plan::Plan;
use crate::ledger::entry::{Entry, Settlement};
use crate::ledger::plan_counters::budgets;
use crate::ledger::shared_budgets::SharedBudgets;
use crate::ledger::state::Ledger;
use crate::money::Usd;

/// What another process may spend of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The budget, as [`CounterKey`](crate::ledger::counter::CounterKey) is written.
    pub budget: String,
    /// How much.
    pub usd: Usd,
}

/// What a process says of its ledger that hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerHandover {
    /// The newest number that it gave to an attempt.
    pub last_id: i64,
    /// What it may still spend.
    pub set_aside: Vec<SetAside>,
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
        state.shared_budgets.keep_only(halves.iter().map(|half| (half.budget.clone(), half.usd)));
        halves
    }

    /// Leaves so much of these budgets alone from now on: the process before may spend it.
    pub fn set_aside(&self, parts: &[SetAside]) {
        self.lock().shared_budgets.leave_alone(parts.iter().map(|part| (part.budget.clone(), part.usd)));
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
