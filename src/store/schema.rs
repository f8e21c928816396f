//! The ledger's tables, version by version, and how an older file becomes a newer one.
//!
//! A file written by a newer Easel is refused rather than guessed at.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::store_types::StoreError;

/// Each step makes a file one version newer; `PRAGMA user_version` counts them. Released steps are never changed.
///
/// All money is in nano-dollars, all times are milliseconds since 1970, UTC. `history` holds what `attempts` held
/// before it grew too old, by quarter of an hour: every zone in use is some quarters away from UTC, so that its days
/// and months still add up exactly; of the attempts it holds, `timed` are those whose time is in `latency_us`. `rejected`
/// counts pictures that were rejected before they were delivered, for which `reason` has the words, and by their viewers.
/// `savings` are by UTC day. A row of `idempotency_keys` names its key by the SHA-256 of
/// tenant and key, its request by the SHA-256 of all that decides the answer; the answer itself is a file beside the
/// ledger, of so many `bytes` and with that SHA-256 as `checksum`. `equivalences` are pairs of words that a judge or an operator
/// decided on, `until` when; without that, for good. `requests` has the access log's lines of the newest requests.
pub(super) const STEPS: &[&str] = &[
    "
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    opened_at INTEGER NOT NULL,
    settled_at INTEGER,
    request TEXT NOT NULL,
    tenant TEXT NOT NULL,
    route TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    purpose TEXT NOT NULL,
    asked INTEGER NOT NULL,
    estimate INTEGER NOT NULL,
    usd INTEGER NOT NULL DEFAULT 0,
    prepaid INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    uncertain INTEGER NOT NULL DEFAULT 0,
    source TEXT NOT NULL DEFAULT '',
    billed INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '',
    latency_us INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attempts_settled ON attempts (settled_at) WHERE settled_at IS NOT NULL;
CREATE TABLE pictures (
    attempt INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    image TEXT NOT NULL,
    tenant TEXT NOT NULL,
    usd INTEGER NOT NULL,
    verdict TEXT NOT NULL DEFAULT 'accepted',
    reason TEXT,
    judged_at INTEGER,
    PRIMARY KEY (attempt, nth)
) STRICT, WITHOUT ROWID;
CREATE INDEX pictures_image ON pictures (image);
CREATE TABLE savings (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    route TEXT NOT NULL,
    tier TEXT NOT NULL,
    pictures INTEGER NOT NULL,
    usd INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, route, tier)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    quarter INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    route TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    source TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    billed INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    usd INTEGER NOT NULL,
    prepaid INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    uncertain INTEGER NOT NULL,
    PRIMARY KEY (quarter, tenant, route, provider, model, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE idempotency_keys (
    name BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    request TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    checksum BLOB
) STRICT, WITHOUT ROWID;
",
    "ALTER TABLE attempts ADD COLUMN chosen TEXT NOT NULL DEFAULT ''",
    "
ALTER TABLE history ADD COLUMN timed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE history ADD COLUMN latency_us INTEGER NOT NULL DEFAULT 0;
",
    "ALTER TABLE attempts ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
    "
CREATE TABLE equivalences (
    tenant TEXT NOT NULL,
    lesser TEXT NOT NULL,
    greater TEXT NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (tenant, lesser, greater)
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE requests (id TEXT PRIMARY KEY, at INTEGER NOT NULL, line TEXT NOT NULL) STRICT;
CREATE INDEX attempts_request ON attempts (request);
",
];

pub(super) fn version(ledger: &Connection) -> Result<usize, StoreError> {
    let version: i64 = ledger.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A version below zero is nobody's; as the largest it is refused.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Takes the steps that `ledger` has not taken, all or none of them.
///
/// # Errors
/// When it has taken more than there are, or a step fails.
pub(super) fn migrate(ledger: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let change = ledger.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&change)?;
    let Some(missing) = steps.get(found..) else {
        return Err(StoreError::TooNew { found, known: steps.len() });
    };
    for step in missing {
        change.execute_batch(step)?;
    }
    if !missing.is_empty() {
        change.pragma_update(None, "user_version", i64::try_from(steps.len()).unwrap_or(i64::MAX))?;
    }
    change.commit()?;
    Ok(())
}
