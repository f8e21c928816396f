//! The rows of learned pairs of words: what is written of one, and all there are.

use rusqlite::{Connection, Row, params};

use crate::calendar::Moment;
use crate::equivalences::{Equivalence, PairState};
use crate::prompt_match::WordPair;
use crate::store::store_types::EquivalenceWrite;

/// Makes a change, twice if need be.
///
/// # Errors
/// What the disk says.
pub(super) fn write(ledger: &Connection, write: &EquivalenceWrite) -> rusqlite::Result<()> {
    match write {
        EquivalenceWrite::Known(Equivalence { tenant, pair, state, by, since, until }) => {
            let mut insert = ledger.prepare_cached(
                "INSERT OR REPLACE INTO equivalences (tenant, lesser, greater, state, decided_by, since, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let [lesser, greater] = pair.words();
            let until = until.map(Moment::millis);
            insert.execute(params![tenant, lesser, greater, state.as_str(), by, since.millis(), until])?;
        }
        EquivalenceWrite::Forgotten { tenant, pair } => {
            let mut delete =
                ledger.prepare_cached("DELETE FROM equivalences WHERE tenant = ?1 AND lesser = ?2 AND greater = ?3")?;
            let [lesser, greater] = pair.words();
            delete.execute(params![tenant, lesser, greater])?;
        }
    }
    Ok(())
}

/// Every pair, the oldest first. A row that makes no sense is left out.
///
/// # Errors
/// What the disk says.
pub(super) fn all(ledger: &Connection) -> rusqlite::Result<Vec<Equivalence>> {
    let mut select = ledger.prepare(
        "SELECT tenant, lesser, greater, state, decided_by, since, until FROM equivalences
         ORDER BY since, tenant, lesser, greater",
    )?;
    let rows = select.query_map([], stored)?;
    rows.filter_map(Result::transpose).collect()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Option<Equivalence>> {
    let Some(state) = PairState::named(row.get_ref(3)?.as_str()?) else { return Ok(None) };
    let pair = WordPair::of(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
    Ok(Some(Equivalence {
        tenant: row.get::<_, String>(0)?.into(),
        pair,
        state,
        by: row.get::<_, String>(4)?.into(),
        since: Moment::from_millis(row.get(5)?),
        until: row.get::<_, Option<i64>>(6)?.map(Moment::from_millis),
    }))
}
