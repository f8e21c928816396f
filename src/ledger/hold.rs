//! An attempt under way: its promise stands until it is settled or taken back.
//!
//! Settling puts what was charged in place of the promise, in one step. A hold that is dropped was interrupted, and
//! whatever it was may have been charged.

use std::sync::Arc;

use crate::calendar::Moment;
use crate::ledger::billed_model::BilledModel;
use crate::ledger::charge::Charge;
use crate::ledger::entry::{Entry, Settlement};
use crate::ledger::price_settlement::Settled;
use crate::ledger::state::Ledger;

/// An attempt under way.
#[derive(Debug)]
pub struct Hold {
    ledger: Arc<Ledger>,
    open: Option<(Entry, BilledModel)>,
}

impl Hold {
    pub(super) fn new(ledger: Arc<Ledger>, entry: Entry, billed_model: BilledModel) -> Hold {
        Hold { ledger, open: Some((entry, billed_model)) }
    }

    /// The entry's number.
    pub fn id(&self) -> i64 {
        self.open.as_ref().map_or(0, |(entry, _)| entry.id)
    }

    /// Puts what was charged in place of what was promised. `note` is called with the result before anything else can
    /// happen to the ledger.
    pub fn settle<T>(mut self, charge: Charge, now: Moment, note: impl FnOnce(&Settled) -> T) -> (Settled, Option<T>) {
        let Some((entry, billed_model)) = self.open.take() else {
            // A hold is open until it is consumed, so this cannot be.
            return (Settled { id: 0, settlement: Settlement::nothing(now) }, None);
        };
        let mut state = self.ledger.lock();
        let settlement = state.priced(&entry, &billed_model, charge, now);
        state.close(&entry, now);
        state.take(&entry, &settlement);
        let settled = Settled { id: entry.id, settlement };
        let noted = note(&settled);
        (settled, Some(noted))
    }

    /// Takes the promise back: nothing was sent. `note` is called with the entry's number, likewise.
    pub fn release<T>(mut self, now: Moment, note: impl FnOnce(i64) -> T) -> Option<T> {
        let (entry, _) = self.open.take()?;
        let mut state = self.ledger.lock();
        state.close(&entry, now);
        Some(note(entry.id))
    }
}

impl Drop for Hold {
    /// Interrupted: the entry stays open in the record, which a restart reads as possibly charged, and so it is here.
    fn drop(&mut self) {
        let Some((entry, _)) = self.open.take() else { return };
        let mut state = self.ledger.lock();
        let now = entry.at;
        let settlement = Settlement { uncertain: entry.estimate, outcome: "interrupted", ..Settlement::nothing(now) };
        state.close(&entry, now);
        state.take(&entry, &settlement);
    }
}
