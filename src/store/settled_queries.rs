//! Exact sums over what was settled, and the rows behind a sliding window: what a process that starts needs to know of
//! the one before.
//!
//! A sum that does not fit 64 bits is an error. No budget is decided here.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use crate::calendar::{Moment, Period};
use crate::ledger::entry::{Owner, Purpose};
use crate::money::Usd;
use crate::store::columns::{count, owner, usd};

/// Whose rows count; `None` counts everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only this route's.
    pub route: Option<String>,
    /// Only this provider's.
    pub provider: Option<String>,
    /// Only this model's.
    pub model: Option<String>,
}

/// What settled attempts add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// On the invoice.
    pub usd: Usd,
    /// Out of commitments.
    pub prepaid: Usd,
    /// The part of both that bought nothing.
    pub lost: Usd,
    /// What may have been charged besides.
    pub uncertain: Usd,
    /// Pictures charged.
    pub billed: u64,
    /// Pictures delivered and not rejected.
    pub accepted: u64,
    /// Pictures rejected, before they were delivered or by who saw them.
    pub rejected: u64,
    /// Attempts.
    pub attempts: u64,
}

/// One settled attempt, as a sliding window counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRow {
    /// Whose.
    pub owner: Owner,
    /// When it was settled.
    pub at: Moment,
    /// `usd` and `prepaid` together.
    pub cost: Usd,
    /// Pictures delivered and not rejected.
    pub accepted: u32,
    /// Pictures rejected, before they were delivered or by who saw them.
    pub rejected: u32,
    /// `ok`, or the failure's word.
    pub outcome: String,
    /// What it was for.
    pub purpose: Purpose,
}

const SUMS: &str = "
SELECT coalesce(sum(usd), 0), coalesce(sum(prepaid), 0), coalesce(sum(lost), 0), coalesce(sum(uncertain), 0),
       coalesce(sum(billed), 0), coalesce(sum(accepted), 0), coalesce(sum(rejected), 0), coalesce(sum(n), 0)
FROM (
    SELECT usd, prepaid, lost, uncertain, billed, accepted, rejected, 1 AS n, tenant, route, provider, model
    FROM attempts WHERE settled_at >= ?1 AND settled_at < ?6
    UNION ALL
    SELECT usd, prepaid, lost, uncertain, billed, accepted, rejected, attempts, tenant, route, provider, model
    FROM history WHERE quarter >= ?1 AND quarter < ?6
)
WHERE (?2 IS NULL OR tenant = ?2) AND (?3 IS NULL OR route = ?3) AND (?4 IS NULL OR provider = ?4)
  AND (?5 IS NULL OR model = ?5)";

pub(super) fn sums(ledger: &Connection, within: Option<Period>, filter: &Filter) -> rusqlite::Result<Sums> {
    let since = within.map_or(i64::MIN, |period| period.start.millis());
    let until = within.and_then(|period| period.end).map_or(i64::MAX, Moment::millis);
    let Filter { tenant, route, provider, model } = filter;
    ledger.query_row(SUMS, params![since, tenant, route, provider, model, until], |row| sums_at(row, 0))
}

/// The sums in eight columns from `first` on.
fn sums_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Sums> {
    Ok(Sums {
        usd: usd(row, first)?,
        prepaid: usd(row, first + 1)?,
        lost: usd(row, first + 2)?,
        uncertain: usd(row, first + 3)?,
        billed: count(row, first + 4)?,
        accepted: count(row, first + 5)?,
        rejected: count(row, first + 6)?,
        attempts: count(row, first + 7)?,
    })
}

pub(super) fn recent(ledger: &Connection, since: Moment) -> rusqlite::Result<Vec<SettledRow>> {
    let mut find = ledger.prepare(
        "SELECT tenant, route, provider, model, settled_at, usd + prepaid, accepted, rejected, outcome, purpose
         FROM attempts WHERE settled_at >= ?1 ORDER BY settled_at, id",
    )?;
    let mut rows = find.query([since.millis()])?;
    let mut names: HashSet<Arc<str>> = HashSet::new();
    let mut recent = Vec::new();
    while let Some(row) = rows.next()? {
        let Owner { tenant, route, provider, model } = owner(row, 0)?;
        let mut shared = |name: Arc<str>| {
            names.get(&name).cloned().unwrap_or_else(|| {
                names.insert(name.clone());
                name
            })
        };
        let owner =
            Owner { tenant: shared(tenant), route: shared(route), provider: shared(provider), model: shared(model) };
        let word = row.get_ref(9)?.as_str()?;
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word).unwrap_or(Purpose::Draw);
        recent.push(SettledRow {
            owner,
            at: Moment::from_millis(row.get(4)?),
            cost: usd(row, 5)?,
            accepted: row.get(6)?,
            rejected: row.get(7)?,
            outcome: row.get(8)?,
            purpose,
        });
    }
    Ok(recent)
}

/// What was settled before `before`, all of `history` included, by owner.
pub(super) fn owners(ledger: &Connection, before: Moment) -> rusqlite::Result<Vec<(Owner, Sums)>> {
    let mut find = ledger.prepare(
        "SELECT tenant, route, provider, model, sum(usd), sum(prepaid), sum(lost), sum(uncertain), sum(billed),
                sum(accepted), sum(rejected), sum(n)
         FROM (
             SELECT tenant, route, provider, model, usd, prepaid, lost, uncertain, billed, accepted, rejected, 1 AS n
             FROM attempts WHERE settled_at < ?1
             UNION ALL
             SELECT tenant, route, provider, model, usd, prepaid, lost, uncertain, billed, accepted, rejected, attempts
             FROM history
         )
         GROUP BY tenant, route, provider, model",
    )?;
    find.query_map([before.millis()], |row| Ok((owner(row, 0)?, sums_at(row, 4)?)))?.collect()
}

/// How far a provider's fee is booked, of what was due before `before`: the last moment of the last hour.
pub(super) fn last_fee(
    ledger: &Connection,
    provider: &str,
    before: Option<Moment>,
) -> rusqlite::Result<Option<Moment>> {
    let before = before.map_or(i64::MAX, Moment::millis);
    ledger.query_row(
        "SELECT max(settled_at) FROM attempts
         WHERE purpose = ?1 AND outcome = 'ok' AND provider = ?2 AND settled_at < ?3",
        params![Purpose::Reserve.as_str(), provider, before],
        |row| Ok(row.get::<_, Option<i64>>(0)?.map(Moment::from_millis)),
    )
}
