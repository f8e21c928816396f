//! What was paid, to whom, and for what: exact totals in memory.
//!
//! Every settled amount is added once, when it is known; nothing is estimated here and nothing is rounded. The totals
//! live as long as the process and survive reloads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::money::Usd;

pub mod entry;

/// What an amount bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Pictures that can be delivered.
    Delivered,
    /// Pictures that were charged and cannot be delivered: refused after drawing, truncated, lost on the way.
    Lost,
    /// Prompts rewritten before they were drawn, those that came to nothing included. No pictures.
    Enrichment,
    /// Calls that were sent and never answered, and jobs that were taken on and lost: nobody knows whether they were
    /// carried out and charged. Not part of what was spent.
    Uncertain,
}

impl Kind {
    /// The word in the metric.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Delivered => "delivered",
            Kind::Lost => "lost",
            Kind::Enrichment => "enrichment",
            Kind::Uncertain => "uncertain",
        }
    }
}

/// One line of the totals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// What was bought.
    pub kind: Kind,
}

/// Pictures and money of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Pictures paid for.
    pub pictures: u64,
    /// Money paid.
    pub usd: Usd,
}

/// All totals.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    paid: BTreeMap<Account, Total>,
    saved: Usd,
    overflowed: u64,
}

impl Ledger {
    /// Adds a settled amount.
    pub fn paid(&self, account: Account, pictures: u64, usd: Usd) {
        let mut state = self.lock();
        let total = state.paid.entry(account).or_default();
        total.pictures += pictures;
        match total.usd.checked_add(usd) {
            Some(sum) => total.usd = sum,
            // Nine billion dollars on one model: say so rather than wrap or clamp silently.
            None => state.overflowed += 1,
        }
    }

    /// Adds what an answer from the cache would have cost.
    pub fn saved(&self, usd: Usd) {
        let mut state = self.lock();
        state.saved = state.saved.saturating_add(usd);
    }

    /// Every account's total, in order of name.
    pub fn totals(&self) -> Vec<(Account, Total)> {
        self.lock().paid.iter().map(|(account, total)| (account.clone(), *total)).collect()
    }

    /// Everything paid, uncertain amounts left out. `None` when the sum does not fit.
    pub fn spent(&self) -> Option<Usd> {
        let state = self.lock();
        if state.overflowed > 0 {
            return None;
        }
        crate::money::sum(
            state.paid.iter().filter(|(account, _)| account.kind != Kind::Uncertain).map(|(_, total)| total.usd),
        )
    }

    /// What the cache saved.
    pub fn total_saved(&self) -> Usd {
        self.lock().saved
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the totals are whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(kind: Kind) -> Account {
        Account { provider: "p".into(), model: "m".into(), kind }
    }

    #[test]
    fn amounts_add_up_by_account_and_in_all() {
        let ledger = Ledger::default();
        ledger.paid(account(Kind::Delivered), 3, Usd::from_nanos(27));
        ledger.paid(account(Kind::Delivered), 1, Usd::from_nanos(9));
        ledger.paid(account(Kind::Lost), 1, Usd::from_nanos(9));
        ledger.paid(account(Kind::Uncertain), 1, Usd::from_nanos(1000));
        assert_eq!(ledger.spent(), Some(Usd::from_nanos(45)));
        let delivered = Total { pictures: 4, usd: Usd::from_nanos(36) };
        assert_eq!(ledger.totals()[0], (account(Kind::Delivered), delivered));
    }

    #[test]
    fn a_total_that_does_not_fit_is_told_not_invented() {
        let ledger = Ledger::default();
        ledger.paid(account(Kind::Lost), 1, Usd::from_nanos(i64::MAX));
        ledger.paid(account(Kind::Lost), 1, Usd::from_nanos(1));
        assert_eq!(ledger.spent(), None);
    }
}
