//! All that is known of money, behind one lock: what was spent, what is promised, and what is counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::calendar::Moment;
use crate::ledger::counter::{CounterKey, Counters};
use crate::ledger::entry::{Entry, Purpose, Settlement};
use crate::ledger::fee_hours::FeeHours;
use crate::ledger::shared_budgets::SharedBudgets;
use crate::ledger::sliding_window::event::WindowEvent;
use crate::ledger::sliding_window::{WindowFact, Windows};
use crate::ledger::spend::Spend;
use crate::money::Usd;

/// All that is known of money.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<LedgerState>,
    /// Held by whoever takes up what a record tells.
    pub(super) recalling: Mutex<()>,
}

/// What the ledger's lock guards.
#[derive(Debug, Default)]
pub(super) struct LedgerState {
    /// The number of the newest entry.
    pub(super) last_id: i64,
    pub(super) spend: Spend,
    /// What answers from the cache would have cost, by tier.
    pub(super) saved: BTreeMap<&'static str, Usd>,
    pub(super) counters: Counters,
    /// Attempts that were opened and are not closed yet, by their number.
    pub(super) under_way: HashMap<i64, Entry>,
    pub(super) windows: Windows,
    /// What happened since a record is being read for other windows than these.
    pub(super) meanwhile: Option<Vec<WindowEvent>>,
    /// For how long the windows know of everything.
    pub(super) looks_back: Duration,
    pub(super) fees: FeeHours,
    /// What of the budgets is another process's, while one hands over to the other.
    pub(super) shared_budgets: SharedBudgets,
}

impl Ledger {
    pub(super) fn lock(&self) -> MutexGuard<'_, LedgerState> {
        // No code panics while it holds the lock, and the totals are whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what an answer from the cache would have cost.
    pub fn saved(&self, tier: &'static str, usd: Usd) {
        let mut state = self.lock();
        let saved = state.saved.entry(tier).or_default();
        *saved = saved.saturating_add(usd);
    }

    /// A total to begin with, for the tests of what reads totals.
    #[cfg(test)]
    pub(crate) fn begin_with(&self, account: crate::ledger::spend::SpendAccount, total: crate::ledger::spend::Total) {
        self.lock().spend.add(account, total);
    }
}

impl LedgerState {
    /// Pictures charged this month, and those under way.
    pub(super) fn position(&mut self, key: &CounterKey, now: Moment) -> (u64, u64) {
        self.counters.get(key, now).map_or((0, 0), |counter| (counter.settled.billed, counter.under_way))
    }

    /// Counts what an attempt came to, wherever it counts.
    pub(super) fn take(&mut self, entry: &Entry, settlement: &Settlement) {
        match entry.purpose {
            Purpose::Reserve => self.counters.settle_late(&entry.owner, settlement),
            Purpose::Draw | Purpose::Enrich | Purpose::Compare | Purpose::Embed => {
                self.counters.settle(&entry.owner, settlement);
            }
        }
        self.spend.book(entry, settlement);
        self.show(entry, settlement);
    }

    /// Takes back what was promised to an attempt.
    pub(super) fn close(&mut self, entry: &Entry, now: Moment) {
        self.under_way.remove(&entry.id);
        self.counters.release(entry, now);
    }

    /// Adds a settled attempt to the windows.
    fn show(&mut self, entry: &Entry, settlement: &Settlement) {
        let Settlement { at, usd, prepaid, outcome, .. } = *settlement;
        let accepted = u32::try_from(settlement.pictures.len()).unwrap_or(u32::MAX);
        let cost = usd.saturating_add(prepaid);
        let fact = WindowFact { usd: cost, accepted, rejected: settlement.rejected(), ..WindowFact::default() };
        self.see(WindowEvent::Settled { at, owner: entry.owner.clone(), purpose: entry.purpose, outcome, fact });
    }

    /// Adds an event to the windows.
    pub(super) fn see(&mut self, event: WindowEvent) {
        event.add_to(&mut self.windows);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.push(event);
        }
    }
}
