//! What a process that starts finds in the ledger of the one before: attempts that were interrupted, and the last id.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::ledger::entry::CostSource;
use crate::money::Usd;
use crate::store::idempotency_keys;

/// Settles what a process that died had under way, its idempotency keys too. An attempt may have been charged as much as was
/// reckoned, at the time it was sent. Returns how many attempts there were and what they may have cost together.
///
/// # Errors
/// What the disk says, or that the sum does not fit.
pub(super) fn settle_interrupted(ledger: &mut Connection) -> rusqlite::Result<(u64, Usd)> {
    let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sum = settle_attempts(&change, i64::MIN, i64::MAX)?;
    idempotency_keys::settle_interrupted(&change)?;
    change.commit()?;
    Ok(sum)
}

/// The same without the keys, of attempts with numbers after `first` and up to `last`.
///
/// # Errors
/// As [`settle_interrupted`].
pub(super) fn settle_attempts(change: &Connection, first: i64, last: i64) -> rusqlite::Result<(u64, Usd)> {
    let sum = change.query_row(
        "SELECT count(*), coalesce(sum(estimate), 0) FROM attempts
         WHERE settled_at IS NULL AND id > ?1 AND id <= ?2",
        [first, last],
        |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), Usd::from_nanos(row.get(1)?))),
    )?;
    change.execute(
        "UPDATE attempts SET settled_at = opened_at, uncertain = estimate, source = ?1, outcome = 'interrupted'
         WHERE settled_at IS NULL AND id > ?2 AND id <= ?3",
        params![CostSource::Estimate.as_str(), first, last],
    )?;
    Ok(sum)
}

/// The largest id that was ever used, 0 at first: numbers are not given twice, not even those of rows long gone.
///
/// # Errors
/// What the disk says.
pub(super) fn last_id(ledger: &Connection) -> rusqlite::Result<i64> {
    ledger.query_row(
        "SELECT max(coalesce((SELECT max(id) FROM attempts), 0),
                    coalesce((SELECT value FROM meta WHERE name = 'last_id'), 0))",
        [],
        |row| row.get(0),
    )
}
