//! One process hands the ledger over to another, and both write for a while.
//!
//! A state directory has one writer, which a lock sees to. A process that hands over gives the lock away when everything so
//! far is written, and goes on writing what it has under way: rows of numbers that only it gives. The one that takes over
//! settles nothing that is under way there, gives numbers far above, and reads all that is counted at its start from one
//! and the same state of the file. SQLite lets one of them write at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::idempotency::KeyName;
use crate::ledger::entry::Entry;
use crate::money::Usd;
use crate::store::connection;
pub use crate::store::predecessor_rows::{NUMBERS, PredecessorCursor, PredecessorRows};
use crate::store::store_types::{KeyClaim, Location, StoreError};
use crate::store::{ReadSnapshot, Store, StoredKey, idempotency_keys, predecessor_rows, recovery};

/// How long a writer waits for the other one's commit: longer than a disk that is slow for once, and no longer than who
/// waits for a commit.
const BESIDE: Duration = Duration::from_secs(3);

impl Store {
    /// The state directory; none in memory.
    pub fn dir(&self) -> Option<&PathBuf> {
        match &self.place {
            Location::Dir(dir) => Some(dir),
            Location::Memory | Location::ReadOnly(_) => None,
        }
    }

    /// Writes all that waits, and lets another process write besides. Blocks.
    ///
    /// # Errors
    /// When something cannot be written; nobody else may write then.
    pub fn hand_over(&self) -> Result<(), StoreError> {
        self.wait_for_others()?;
        self.lock.release();
        Ok(())
    }

    /// Keeps others out again, because the other process is gone. Blocks.
    ///
    /// # Errors
    /// When another process writes.
    pub fn take_back(&self) -> Result<(), StoreError> {
        match &self.place {
            Location::Dir(dir) => self.lock.take(dir),
            Location::Memory | Location::ReadOnly(_) => Ok(()),
        }
    }

    /// The writer waits for another one's commit from now on, and everything handed in before is written. Blocks.
    pub(super) fn wait_for_others(&self) -> Result<(), StoreError> {
        self.run_on_writer(|ledger| Ok(ledger.busy_timeout(BESIDE)?))()
    }

    /// From now on all that is read is what is there now, whatever anybody writes, until [`Store::unpin`].
    pub(super) fn pin(&self) -> Result<(), StoreError> {
        self.wait_for_others()?;
        if let Location::Dir(dir) = &self.place {
            *connection::lock(&self.pinned) = Some(Arc::new(Mutex::new(connection::as_it_stands(dir)?)));
        }
        Ok(())
    }

    pub(super) fn pinned(&self) -> Option<Arc<Mutex<Connection>>> {
        connection::lock(&self.pinned).clone()
    }

    /// Reads what is there again.
    pub fn unpin(&self) {
        *connection::lock(&self.pinned) = None;
    }

    /// What the process before has under way, and the largest number that it gave so far. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn under_way(&self) -> Result<(Vec<Entry>, i64), StoreError> {
        self.reading(|ReadSnapshot(ledger)| Ok(predecessor_rows::under_way(ledger)?)).wait()
    }

    /// What became of the attempts of the process before, and what it began. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn predecessor_rows(&self, cursor: PredecessorCursor) -> Result<PredecessorRows, StoreError> {
        self.reading(move |ReadSnapshot(ledger)| Ok(predecessor_rows::read(ledger, &cursor)?)).wait()
    }

    /// Settles what another process left under way, of numbers after `first` and up to `last`, and its keys: all but `own`.
    /// Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn settle_other(&self, (first, last): (i64, i64), own: Vec<KeyName>) -> Result<(u64, Usd), StoreError> {
        self.run_on_writer(move |ledger| {
            let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sum = recovery::settle_attempts(&change, first, last)?;
            idempotency_keys::settle_interrupted_but(&change, &own)?;
            change.commit()?;
            Ok(sum)
        })()
    }

    /// Writes that a key began, where it stands for no request yet; else how it stands. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn claim_key(&self, claim: KeyClaim) -> Result<Option<StoredKey>, StoreError> {
        self.run_on_writer(move |ledger| {
            let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let taken = idempotency_keys::claim(&change, &claim)?;
            change.commit()?;
            Ok(taken)
        })()
    }
}
