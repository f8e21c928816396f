//! Reads amounts, counts and owners out of the columns of a row.

use std::sync::Arc;

use rusqlite::Row;

use crate::ledger::entry::Owner;
use crate::money::Usd;

/// The owner in four columns from `first` on.
pub(super) fn owner(row: &Row<'_>, first: usize) -> rusqlite::Result<Owner> {
    let part = |nth: usize| row.get_ref(first + nth)?.as_str().map(Arc::from).map_err(rusqlite::Error::from);
    Ok(Owner { tenant: part(0)?, route: part(1)?, provider: part(2)?, model: part(3)? })
}

/// An amount in nano-dollars.
pub(super) fn usd(row: &Row<'_>, at: usize) -> rusqlite::Result<Usd> {
    row.get(at).map(Usd::from_nanos)
}

/// A number of things.
pub(super) fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let count: i64 = row.get(at)?;
    u64::try_from(count).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, count))
}
