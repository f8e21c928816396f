//! The ledger and its record while one process hands over to another: what the one gives away, and how the other follows
//! what that one still has under way.

use std::sync::PoisonError;

use crate::config::plan::Plan;
use crate::gateway::durable_ledger::DurableLedger;
use crate::ledger::LedgerHandover;
use crate::store::StoreError;
use crate::store::handover::{NUMBERS, PredecessorCursor, PredecessorRows};

impl DurableLedger {
    /// Writes all that waits, and lets another process write and spend besides. Blocks.
    ///
    /// # Errors
    /// When something cannot be written; nothing is handed over then.
    pub fn hand_over(&self, plan: &Plan) -> Result<LedgerHandover, StoreError> {
        self.write_savings();
        self.store.flush()?;
        let set_aside = self.ledger.halve_budgets(plan, self.clock.now());
        match self.store.hand_over() {
            Ok(()) => Ok(LedgerHandover { last_id: self.ledger.last_id(), set_aside }),
            Err(error) => {
                self.ledger.spend_alone();
                Err(error)
            }
        }
    }

    /// Goes on alone, because the other process did not serve, or not for long: what that has paid is counted, once what it
    /// left under way is settled. Its numbers are not given again. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn count_successor(&self, first: i64) -> Result<(), StoreError> {
        let cursor = PredecessorCursor { known: Vec::new(), newest: first, last: i64::MAX };
        self.count_rows(self.store.predecessor_rows(cursor)?);
        self.ledger.spend_alone();
        Ok(())
    }

    fn count_rows(&self, rows: PredecessorRows) {
        let PredecessorRows { opened, settled, released } = rows;
        let now = self.clock.now();
        for entry in opened {
            self.ledger.resume(entry.id);
            self.ledger.adopt(entry);
        }
        for (id, settlement) in settled {
            self.ledger.settle_adopted(id, &settlement, now);
        }
        released.into_iter().for_each(|id| self.ledger.release_adopted(id, now));
    }

    /// Takes up what the process before has under way. All that is counted until [`DurableLedger::taken_up`] is counted as it
    /// is now. Blocks.
    pub(super) fn take_up(&self, handover: LedgerHandover) -> Result<(), StoreError> {
        let LedgerHandover { last_id, set_aside } = handover;
        let last = last_id.saturating_add(NUMBERS);
        let (under_way, newest) = self.store.under_way()?;
        under_way.into_iter().for_each(|entry| self.ledger.adopt(entry));
        self.ledger.set_aside(&set_aside);
        self.ledger.resume(last);
        *self.cursor() = Some(PredecessorCursor { known: Vec::new(), newest, last });
        Ok(())
    }

    /// All is counted: what is read from now on is what is there.
    pub fn taken_up(&self) {
        self.store.unpin();
    }

    /// Counts what became of the attempts of the process before. Blocks.
    ///
    /// # Errors
    /// When it cannot be read; the next time tells it too.
    pub fn follow_predecessor(&self) -> Result<(), StoreError> {
        let Some(cursor) = self.cursor().clone() else { return Ok(()) };
        let known = self.ledger.under_way_up_to(cursor.last);
        let rows = self.store.predecessor_rows(PredecessorCursor { known, ..cursor.clone() })?;
        let newest = rows.opened.iter().map(|entry| entry.id).fold(cursor.newest, i64::max);
        self.count_rows(rows);
        *self.cursor() = Some(PredecessorCursor { newest, ..cursor });
        Ok(())
    }

    /// The largest number that the process before can give, where there is one.
    pub fn predecessor_last(&self) -> Option<i64> {
        self.cursor().as_ref().map(|cursor| cursor.last)
    }

    /// The process before has ended, and what it left is settled. Blocks.
    ///
    /// # Errors
    /// When its last rows cannot be read.
    pub fn end_predecessor(&self) -> Result<(), StoreError> {
        self.follow_predecessor()?;
        *self.cursor() = None;
        self.ledger.spend_alone();
        Ok(())
    }

    fn cursor(&self) -> std::sync::MutexGuard<'_, Option<PredecessorCursor>> {
        // It is replaced whole.
        self.predecessor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
