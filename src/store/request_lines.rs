//! What is remembered of single requests: the line that the access log has of each that called somebody, as JSON.
//!
//! The newest are kept, so many of them; money is counted by the attempts alone.

use rusqlite::{Connection, OptionalExtension, params};

use crate::calendar::Moment;

/// Lines that are kept: two months of the reference workload, in about 100 MB.
pub const KEPT: i64 = 100_000;

/// The line of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The request's own id.
    pub id: Box<str>,
    /// When it was answered.
    pub at: Moment,
    /// The line, as the access log has it.
    pub line: Box<str>,
}

pub(super) fn write(ledger: &Connection, told: &RequestLine) -> rusqlite::Result<()> {
    let RequestLine { id, at, line } = told;
    let mut insert =
        ledger.prepare_cached("INSERT INTO requests (id, at, line) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    if insert.execute(params![id, at.millis(), line])? == 1 {
        let newest = ledger.last_insert_rowid();
        ledger.prepare_cached("DELETE FROM requests WHERE rowid <= ?1")?.execute([newest - KEPT])?;
    }
    Ok(())
}

/// The line of the request with this id.
pub(super) fn find(ledger: &Connection, id: &str) -> rusqlite::Result<Option<String>> {
    ledger.prepare_cached("SELECT line FROM requests WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()
}

/// The newest `count` lines, the newest first.
pub(super) fn newest(ledger: &Connection, count: usize) -> rusqlite::Result<Vec<String>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut find = ledger.prepare_cached("SELECT line FROM requests ORDER BY rowid DESC LIMIT ?1")?;
    find.query_map([count], |row| row.get(0))?.collect()
}
