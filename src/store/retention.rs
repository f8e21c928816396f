//! Old rows become part of a sum: by quarter of an hour and owner, in the same transaction that deletes them.
//!
//! One call takes a bounded number of rows, so that nobody waits long behind it. An attempt that is still open is never
//! taken, however old.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::calendar::Moment;

/// Rows a step takes at most.
pub(super) const STEP: usize = 500;

/// Rolls up at most `limit` of the oldest rows settled before `before`; how many it took.
///
/// # Errors
/// What the disk says, or that a sum does not fit; nothing is changed then.
pub(super) fn step(ledger: &mut Connection, before: Moment, limit: usize) -> rusqlite::Result<usize> {
    let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch("CREATE TEMP TABLE IF NOT EXISTS old (id INTEGER PRIMARY KEY); DELETE FROM old")?;
    let taken = change
        .prepare_cached(
            "INSERT INTO old SELECT id FROM attempts WHERE settled_at < ?1 ORDER BY settled_at, id LIMIT ?2",
        )?
        .execute(params![before.millis(), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    if taken == 0 {
        return Ok(0);
    }
    change.prepare_cached(ROLL_UP)?.execute([])?;
    change
        .prepare_cached(
            "INSERT INTO meta SELECT 'last_id', max(id) FROM old
             WHERE true ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        )?
        .execute([])?;
    change.prepare_cached("DELETE FROM pictures WHERE attempt IN (SELECT id FROM old)")?.execute([])?;
    change.prepare_cached("DELETE FROM attempts WHERE id IN (SELECT id FROM old)")?.execute([])?;
    change.commit()?;
    Ok(taken)
}

/// STRICT tables take no number that is not whole, which is what SQLite makes of a sum that does not fit.
const ROLL_UP: &str = "
INSERT INTO history
SELECT settled_at - settled_at % 900000, tenant, route, provider, model, source, count(*), sum(billed), sum(accepted),
       sum(rejected), sum(refused), sum(usd), sum(prepaid), sum(lost), sum(uncertain),
       sum(latency_us > 0), sum(latency_us)
FROM attempts WHERE id IN (SELECT id FROM old)
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT DO UPDATE SET
    attempts = attempts + excluded.attempts, billed = billed + excluded.billed,
    accepted = accepted + excluded.accepted, rejected = rejected + excluded.rejected,
    refused = refused + excluded.refused, usd = usd + excluded.usd, prepaid = prepaid + excluded.prepaid,
    lost = lost + excluded.lost, uncertain = uncertain + excluded.uncertain,
    timed = timed + excluded.timed, latency_us = latency_us + excluded.latency_us";

/// How many rows of attempts there are.
///
/// # Errors
/// What the disk says.
pub(super) fn rows(ledger: &Connection) -> rusqlite::Result<usize> {
    let rows: i64 = ledger.query_row("SELECT count(*) FROM attempts", [], |row| row.get(0))?;
    Ok(usize::try_from(rows).unwrap_or(0))
}
