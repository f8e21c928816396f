//! The ledger as a table: settled attempts grouped by day, hour, provider, model, route, tenant, source, request, why the offer
//! was asked, why pictures were rejected, or outcome.
//!
//! What is grouped by day is grouped by the days of a time zone. Rows past retention are known by owner and quarter of
//! an hour, no longer by request; what the cache saved is known by UTC day, tenant and route, and belongs to the day
//! and the span of time that hold that day's noon. A sum that does not fit is an error.

use std::path::Path;
use std::time::Duration;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::calendar::{Moment, Zone};
use crate::ledger::sliding_window::per_picture;
use crate::money::Usd;
use crate::store::columns::{count, usd};
use crate::store::connection;
use crate::store::settled_queries::Filter;
use crate::store::store_types::StoreError;

/// What rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportBy {
    /// The day of the zone.
    Day,
    /// The hour of the zone.
    Hour,
    /// The provider.
    Provider,
    /// Its model.
    Model,
    /// The route.
    Route,
    /// The tenant.
    Tenant,
    /// Where the amounts come from.
    Source,
    /// The request.
    Request,
    /// Why the offer was asked.
    Chosen,
    /// Why pictures were rejected before they were delivered.
    Reason,
    /// What came of it: `ok`, or what went wrong.
    Outcome,
    /// How the words were found for which the cache saved something.
    Tier,
    /// What the call was made for.
    Purpose,
}

impl ReportBy {
    /// Every way to group.
    pub const ALL: [ReportBy; 13] = [
        ReportBy::Day,
        ReportBy::Hour,
        ReportBy::Provider,
        ReportBy::Model,
        ReportBy::Route,
        ReportBy::Tenant,
        ReportBy::Source,
        ReportBy::Request,
        ReportBy::Chosen,
        ReportBy::Reason,
        ReportBy::Outcome,
        ReportBy::Tier,
        ReportBy::Purpose,
    ];

    /// The word in a query, and the column's title.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportBy::Day => "day",
            ReportBy::Hour => "hour",
            ReportBy::Provider => "provider",
            ReportBy::Model => "model",
            ReportBy::Route => "route",
            ReportBy::Tenant => "tenant",
            ReportBy::Source => "source",
            ReportBy::Request => "request",
            ReportBy::Chosen => "chosen",
            ReportBy::Reason => "reason",
            ReportBy::Outcome => "outcome",
            ReportBy::Tier => "tier",
            ReportBy::Purpose => "purpose",
        }
    }

    /// What SQLite groups by. It knows no time zones; see [`define_days`].
    fn column(self) -> &'static str {
        match self {
            ReportBy::Day => "zone_day(at)",
            ReportBy::Hour => "zone_hour(at)",
            other => other.as_str(),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportQuery {
    /// Settled at this moment or later.
    pub since: Option<Moment>,
    /// Settled before this moment.
    pub until: Option<Moment>,
    /// The columns before the figures; none for one row of all.
    pub by: Vec<ReportBy>,
    /// Whose rows.
    pub filter: Filter,
    /// Whose days.
    pub zone: Zone,
}

/// The figures of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Settled attempts.
    pub attempts: u64,
    /// Pictures charged.
    pub billed: u64,
    /// Pictures delivered and not rejected.
    pub accepted: u64,
    /// Pictures rejected, before they were delivered or by who saw them.
    pub rejected: u64,
    /// Pictures withheld for their content.
    pub refused: u64,
    /// On the invoice.
    pub usd: Usd,
    /// Out of commitments.
    pub prepaid: Usd,
    /// The part of both that bought nothing.
    pub lost: Usd,
    /// What may have been charged besides.
    pub uncertain: Usd,
    /// What pictures from the cache would have cost.
    pub saved_usd: Usd,
    /// Pictures from the cache.
    pub saved_pictures: u64,
    /// Attempts of which only an estimate is known.
    pub estimated: u64,
    /// Attempts whose time is known: all but fees, calls that a process did not live to see the end of, and those that an
    /// older Easel made sums of.
    pub timed: u64,
    /// What those took together.
    pub took: Duration,
}

impl Figures {
    /// What an accepted picture cost: `usd` and `prepaid` over `accepted`, rounded half up to the nano-dollar. `None`
    /// where none was accepted.
    pub fn cost_per_accepted(&self) -> Option<Usd> {
        per_picture(i128::from(self.usd.nanos()) + i128::from(self.prepaid.nanos()), self.accepted)
    }

    /// What a call took on average, to the nearest millisecond. `None` where the time of none is known.
    pub fn average_ms(&self) -> Option<u64> {
        let average =
            (self.took.as_micros() + u128::from(self.timed) * 500).checked_div(u128::from(self.timed) * 1000)?;
        u64::try_from(average).ok()
    }

    /// Both together; `None` when a sum does not fit.
    pub fn and(self, other: &Figures) -> Option<Figures> {
        Some(Figures {
            attempts: self.attempts.checked_add(other.attempts)?,
            billed: self.billed.checked_add(other.billed)?,
            accepted: self.accepted.checked_add(other.accepted)?,
            rejected: self.rejected.checked_add(other.rejected)?,
            refused: self.refused.checked_add(other.refused)?,
            usd: self.usd.checked_add(other.usd)?,
            prepaid: self.prepaid.checked_add(other.prepaid)?,
            lost: self.lost.checked_add(other.lost)?,
            uncertain: self.uncertain.checked_add(other.uncertain)?,
            saved_usd: self.saved_usd.checked_add(other.saved_usd)?,
            saved_pictures: self.saved_pictures.checked_add(other.saved_pictures)?,
            estimated: self.estimated.checked_add(other.estimated)?,
            timed: self.timed.checked_add(other.timed)?,
            took: self.took.checked_add(other.took)?,
        })
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// One for each of the query's `by`, in its order. Empty where it is not known, such as a cached picture's provider.
    pub keys: Vec<String>,
    /// The figures.
    pub figures: Figures,
}

/// Which part of a report is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys of the last row before it; `None` begins at the beginning.
    pub after: Option<Vec<String>>,
    /// How many rows at most.
    pub limit: usize,
}

/// A report, or a page of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its rows, in the order of their keys.
    pub rows: Vec<ReportRow>,
    /// All rows together, those of other pages too.
    pub total: Figures,
    /// Whether there are more.
    pub more: bool,
}

/// All rows together, for the last line of a table.
///
/// # Errors
/// When a sum does not fit.
#[cfg(feature = "cli")]
pub fn total(rows: &[ReportRow]) -> Result<Figures, StoreError> {
    rows.iter().try_fold(Figures::default(), |sum, row| sum.and(&row.figures)).ok_or(StoreError::TooMuch)
}

/// The report of the ledger in `dir`, whether somebody writes it or not.
///
/// # Errors
/// When there is no ledger, it cannot be read, or a sum does not fit.
pub fn of_file(dir: &Path, query: &ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
    report(&connection::read(dir)?, query)
}

const FACTS: &str = "
WITH facts AS (
    SELECT settled_at AS at, tenant, route, provider, model, source, request, chosen, reason, outcome, '' AS tier, purpose,
           1 AS attempts, billed, accepted, rejected, refused, usd, prepaid, lost, uncertain,
           0 AS saved_usd, 0 AS saved_pictures, latency_us > 0 AS timed, latency_us
    FROM attempts WHERE settled_at >= ?1 AND settled_at < ?2
    UNION ALL
    SELECT quarter, tenant, route, provider, model, source, '', '', '', '', '', '', attempts, billed, accepted, rejected,
           refused, usd, prepaid, lost, uncertain, 0, 0, timed, latency_us
    FROM history WHERE quarter >= ?1 AND quarter < ?2
    UNION ALL
    SELECT day + 43200000, tenant, route, '', '', '', '', '', '', '', tier, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, usd, pictures, 0, 0
    FROM savings WHERE day + 43200000 >= ?1 AND day + 43200000 < ?2
)
SELECT sum(attempts), sum(billed), sum(accepted), sum(rejected), sum(refused), sum(usd), sum(prepaid), sum(lost),
       sum(uncertain), sum(saved_usd), sum(saved_pictures), sum(iif(source = 'estimate', attempts, 0)),
       sum(timed), sum(latency_us)";
/// Of the figures; those grouped by come after them.
const COLUMNS: usize = 14;

/// A page, and what all pages are together, as of one moment.
pub(super) fn page(ledger: &Connection, query: &ReportQuery, page: &Page) -> Result<Report, StoreError> {
    let _one_moment = ledger.unchecked_transaction()?;
    let mut rows = rows(ledger, query, page.after.as_deref(), Some(page.limit.saturating_add(1)))?;
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let whole = ReportQuery { by: Vec::new(), ..query.clone() };
    let total = self::rows(ledger, &whole, None, None)?.first().map(|row| row.figures).unwrap_or_default();
    Ok(Report { rows, total, more })
}

/// All rows in the order of their keys.
pub(super) fn report(ledger: &Connection, query: &ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
    rows(ledger, query, None, None)
}

/// Lets SQLite group by the days and hours of a zone.
fn define_days(ledger: &Connection, zone: &Zone) -> rusqlite::Result<()> {
    let (zone, always_alike) = (zone.clone(), FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC);
    let hours = zone.clone();
    let day = move |of: &mut Context<'_>| Ok(zone.date(Moment::from_millis(of.get(0)?)));
    let hour = move |of: &mut Context<'_>| Ok(hours.hour(Moment::from_millis(of.get(0)?)));
    ledger.create_scalar_function("zone_day", 1, always_alike, day)?;
    ledger.create_scalar_function("zone_hour", 1, always_alike, hour)
}

fn rows(
    ledger: &Connection,
    query: &ReportQuery,
    after: Option<&[String]>,
    limit: Option<usize>,
) -> Result<Vec<ReportRow>, StoreError> {
    define_days(ledger, &query.zone)?;
    let (text, values) = statement(query, after, limit);
    let mut find = ledger.prepare(&text)?;
    let mut found = find.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let figures = Figures {
            attempts: count(row, 0)?,
            billed: count(row, 1)?,
            accepted: count(row, 2)?,
            rejected: count(row, 3)?,
            refused: count(row, 4)?,
            usd: usd(row, 5)?,
            prepaid: usd(row, 6)?,
            lost: usd(row, 7)?,
            uncertain: usd(row, 8)?,
            saved_usd: usd(row, 9)?,
            saved_pictures: count(row, 10)?,
            estimated: count(row, 11)?,
            timed: count(row, 12)?,
            took: Duration::from_micros(count(row, 13)?),
        };
        let keys = (0..query.by.len()).map(|nth| row.get(COLUMNS + nth)).collect::<Result<_, _>>()?;
        rows.push(ReportRow { keys, figures });
    }
    Ok(rows)
}

fn statement(query: &ReportQuery, after: Option<&[String]>, limit: Option<usize>) -> (String, Vec<Value>) {
    let columns: Vec<&str> = query.by.iter().map(|by| by.column()).collect();
    let columns = columns.join(", ");
    let mut text = FACTS.to_owned();
    let mut values = vec![
        Value::from(query.since.map_or(i64::MIN, Moment::millis)),
        Value::from(query.until.map_or(i64::MAX, Moment::millis)),
    ];
    if !columns.is_empty() {
        text.push_str(&format!(", {columns}"));
    }
    text.push_str(" FROM facts WHERE true");
    let Filter { tenant, route, provider, model } = &query.filter;
    for (column, wanted) in [("tenant", tenant), ("route", route), ("provider", provider), ("model", model)] {
        if let Some(wanted) = wanted {
            values.push(Value::from(wanted.clone()));
            text.push_str(&format!(" AND {column} = ?{}", values.len()));
        }
    }
    if let Some(keys) = after.filter(|keys| !keys.is_empty()) {
        let first = values.len() + 1;
        values.extend(keys.iter().cloned().map(Value::from));
        let places: Vec<String> = (first..=values.len()).map(|place| format!("?{place}")).collect();
        text.push_str(&format!(" AND ({columns}) > ({})", places.join(", ")));
    }
    // With nothing to group by, no row at all is no row.
    match columns.as_str() {
        "" => text.push_str(" GROUP BY NULL"),
        columns => text.push_str(&format!(" GROUP BY {columns} ORDER BY {columns}")),
    }
    if let Some(limit) = limit {
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        text.push_str(&format!(" LIMIT ?{}", values.len()));
    }
    (text, values)
}
