//! What the process before still writes into the ledger while this one serves: its attempts, by numbers that only it gives.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::calendar::Moment;
use crate::ledger::Rejections;
use crate::ledger::entry::{CostSource, Delivered, Entry, Purpose, Settlement};
use crate::store::columns::{count, owner, usd};
use crate::store::recovery;

/// Numbers that a process which hands over may still give: many times what it can begin while it ends its requests. Beyond
/// them the table refuses a number that is another attempt's, and the call is not sent.
pub const NUMBERS: i64 = 1_000_000;

/// What became of attempts of the process before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredecessorRows {
    /// Those that are under way and were not known.
    pub opened: Vec<Entry>,
    /// Those that were known and are settled.
    pub settled: Vec<(i64, Settlement)>,
    /// Those that were known and are gone: they were never sent.
    pub released: Vec<i64>,
}

/// Where somebody stands who follows those attempts.
#[derive(Clone, Debug, Default)]
pub struct PredecessorCursor {
    /// Those that are under way.
    pub known: Vec<i64>,
    /// The largest number that was seen.
    pub newest: i64,
    /// The largest that can be.
    pub last: i64,
}

/// What became of the known ones, and what began after the newest.
///
/// # Errors
/// What the disk says.
pub(super) fn read(ledger: &Connection, cursor: &PredecessorCursor) -> rusqlite::Result<PredecessorRows> {
    let mut rows = PredecessorRows::default();
    let mut began = ledger.prepare_cached(
        "SELECT tenant, route, provider, model, id, opened_at, request, purpose, asked, estimate
         FROM attempts WHERE id > ?1 AND id <= ?2 ORDER BY id",
    )?;
    rows.opened = began.query_map([cursor.newest, cursor.last], entry)?.collect::<rusqlite::Result<_>>()?;
    let began: Vec<i64> = rows.opened.iter().map(|entry| entry.id).collect();
    let mut find = ledger.prepare_cached(
        "SELECT settled_at, usd, prepaid, lost, uncertain, source, billed, refused, rejected, outcome, latency_us
         FROM attempts WHERE id = ?1",
    )?;
    for id in cursor.known.iter().copied().chain(began) {
        match find.query_row([id], settlement).optional()? {
            None => rows.released.push(id),
            Some(None) => {}
            Some(Some(settlement)) => rows.settled.push((id, pictures(ledger, id, settlement)?)),
        }
    }
    Ok(rows)
}

/// What is under way, and the largest number that is there.
///
/// # Errors
/// What the disk says.
pub(super) fn under_way(ledger: &Connection) -> rusqlite::Result<(Vec<Entry>, i64)> {
    let mut open = ledger.prepare(
        "SELECT tenant, route, provider, model, id, opened_at, request, purpose, asked, estimate
         FROM attempts WHERE settled_at IS NULL ORDER BY id",
    )?;
    let open = open.query_map([], entry)?.collect::<rusqlite::Result<_>>()?;
    Ok((open, recovery::last_id(ledger)?))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let word = row.get_ref(7)?.as_str()?;
    Ok(Entry {
        owner: owner(row, 0)?,
        id: row.get(4)?,
        at: Moment::from_millis(row.get(5)?),
        request: row.get::<_, String>(6)?.into(),
        purpose: Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word).unwrap_or(Purpose::Draw),
        pictures: row.get(8)?,
        estimate: usd(row, 9)?,
        chosen: "",
    })
}

/// `None` while it is under way.
fn settlement(row: &Row<'_>) -> rusqlite::Result<Option<Settlement>> {
    let Some(at) = row.get::<_, Option<i64>>(0)? else { return Ok(None) };
    let rejected: usize = row.get::<_, u32>(8)?.try_into().unwrap_or(0);
    Ok(Some(Settlement {
        at: Moment::from_millis(at),
        usd: usd(row, 1)?,
        prepaid: usd(row, 2)?,
        lost: usd(row, 3)?,
        uncertain: usd(row, 4)?,
        source: CostSource::Estimate,
        billed: row.get(6)?,
        refused: row.get(7)?,
        rejections: std::iter::repeat_n("rejected", rejected).collect::<Rejections>(),
        // What sums go by is whether it went well.
        outcome: if row.get_ref(9)?.as_str()? == "ok" { "ok" } else { "failed" },
        took: Duration::from_micros(count(row, 10)?),
        pictures: Vec::new(),
    }))
}

fn pictures(ledger: &Connection, id: i64, settlement: Settlement) -> rusqlite::Result<Settlement> {
    let mut find = ledger.prepare_cached("SELECT image, usd FROM pictures WHERE attempt = ?1 ORDER BY nth")?;
    let picture = |row: &Row<'_>| Ok(Delivered { image: row.get::<_, String>(0)?.into(), usd: usd(row, 1)? });
    let pictures = find.query_map([id], picture)?.collect::<rusqlite::Result<_>>()?;
    Ok(Settlement { pictures, ..settlement })
}
