//! The rows of idempotency keys: what is written of one, what a crash leaves of it, and all there are.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::calendar::Moment;
use crate::idempotency::{KeyName, KeyState, RestoredKey};
use crate::store::store_types::{KeyClaim, KeyWrite};

/// A key's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// What the table of keys goes by.
    pub key: RestoredKey,
    /// The SHA-256 of the answer's file, if there is one.
    pub checksum: Option<[u8; 32]>,
}

/// Makes a change, twice if need be.
///
/// # Errors
/// What the disk says.
pub(super) fn write(ledger: &Connection, write: &KeyWrite) -> rusqlite::Result<()> {
    match write {
        KeyWrite::Begun(KeyClaim { name, begun, tenant, key, digest, request }) => {
            let mut insert = ledger.prepare_cached(
                "INSERT OR REPLACE INTO idempotency_keys (name, tenant, key, digest, request, begun_at, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let state = KeyState::UnderWay.as_str();
            insert.execute(params![name.0, tenant, key, digest, request, begun.millis(), state])?;
        }
        KeyWrite::Ended { name, begun, state, bytes, checksum } => {
            let mut update = ledger.prepare_cached(
                "UPDATE idempotency_keys SET state = ?3, bytes = ?4, checksum = ?5 WHERE name = ?1 AND begun_at = ?2",
            )?;
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            update.execute(params![name.0, begun.millis(), state.as_str(), bytes, checksum])?;
        }
        KeyWrite::Forgotten { name, begun } => {
            let mut delete = ledger.prepare_cached("DELETE FROM idempotency_keys WHERE name = ?1 AND begun_at = ?2")?;
            delete.execute(params![name.0, begun.millis()])?;
        }
    }
    Ok(())
}

/// Settles the keys whose request was under way when the process died; attempts are settled already. A request that
/// no picture call was, or may have been, charged for left nothing behind: its key is free again. A request's attempts are not
/// older than its key, but for a clock that was set back, for which a day is allowed; the index on `settled_at` finds
/// them.
///
/// # Errors
/// What the disk says.
pub(super) fn settle_interrupted(ledger: &Connection) -> rusqlite::Result<()> {
    ledger.execute(
        "UPDATE idempotency_keys SET state = ?1 WHERE state = ?2 AND request IN (
             SELECT request FROM attempts
             WHERE settled_at >= (SELECT min(begun_at) FROM idempotency_keys WHERE state = ?2) - 86400000
                   AND purpose = 'draw' AND (usd > 0 OR prepaid > 0 OR uncertain > 0))",
        [KeyState::Interrupted.as_str(), KeyState::UnderWay.as_str()],
    )?;
    ledger.execute("DELETE FROM idempotency_keys WHERE state = ?1", [KeyState::UnderWay.as_str()])?;
    Ok(())
}

/// The same while another process writes its own: of the keys but `own`. Frees nothing that is under way here.
///
/// # Errors
/// What the disk says.
pub(super) fn settle_interrupted_but(ledger: &Connection, own: &[KeyName]) -> rusqlite::Result<()> {
    let mut under_way = ledger.prepare("SELECT name, request FROM idempotency_keys WHERE state = ?1")?;
    let rows = under_way
        .query_map([KeyState::UnderWay.as_str()], |row| Ok((KeyName(row.get(0)?), row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut paid = ledger.prepare(
        "SELECT 1 FROM attempts WHERE request = ?1 AND purpose = 'draw' AND (usd > 0 OR prepaid > 0 OR uncertain > 0)",
    )?;
    for (name, request) in rows.into_iter().filter(|(name, _)| !own.contains(name)) {
        if paid.exists([request])? {
            let text = "UPDATE idempotency_keys SET state = ?2 WHERE name = ?1";
            ledger.execute(text, params![name.0, KeyState::Interrupted.as_str()])?;
        } else {
            ledger.execute("DELETE FROM idempotency_keys WHERE name = ?1", [name.0])?;
        }
    }
    Ok(())
}

/// Writes that a key began, unless it is there already: then what is there, or nothing where it is this very request's.
///
/// # Errors
/// What the disk says.
pub(super) fn claim(ledger: &Connection, key: &KeyClaim) -> rusqlite::Result<Option<StoredKey>> {
    let KeyClaim { name, begun, tenant, key, digest, request } = key;
    let mut insert = ledger.prepare_cached(
        "INSERT INTO idempotency_keys (name, tenant, key, digest, request, begun_at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    let state = KeyState::UnderWay.as_str();
    if insert.execute(params![name.0, tenant, key, digest, request, begun.millis(), state])? == 1 {
        return Ok(None);
    }
    let mut find = ledger.prepare_cached(
        "SELECT name, tenant, digest, begun_at, state, bytes, checksum FROM idempotency_keys
         WHERE name = ?1 AND request <> ?2",
    )?;
    Ok(find.query_row(params![name.0, request], stored).optional()?.flatten())
}

/// Every key, the oldest first. A row that makes no sense is left out.
///
/// # Errors
/// What the disk says.
pub(super) fn all(ledger: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    let mut select = ledger.prepare(
        "SELECT name, tenant, digest, begun_at, state, bytes, checksum FROM idempotency_keys ORDER BY begun_at, name",
    )?;
    let rows = select.query_map([], stored)?;
    rows.filter_map(Result::transpose).collect()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Option<StoredKey>> {
    let Some(state) = KeyState::named(row.get_ref(4)?.as_str()?) else { return Ok(None) };
    let key = RestoredKey {
        name: KeyName(row.get(0)?),
        tenant: row.get::<_, String>(1)?.into(),
        digest: row.get(2)?,
        begun: Moment::from_millis(row.get(3)?),
        state,
        bytes: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
    };
    Ok(Some(StoredKey { key, checksum: row.get(6)? }))
}
