//! The ledger for operators and their programs: a query's words in, JSON out. Amounts are strings, because a JSON
//! number is a float to most who read it. An answer has so many rows and says how to ask for those after it. Nothing here
//! changes the ledger.

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind};
use crate::money::Usd;
use crate::store::Store;
use crate::store::report::{Figures, Page, Report, ReportQuery};
use crate::store::report_parameters::ReportParameters;

/// Rows of one answer, where the query does not say how many.
const ROWS: usize = 1_000;

/// Rows of one answer, at the most.
const MOST_ROWS: usize = 10_000;

/// Answers `by=day,provider&month=2026-11&zone=Europe/Berlin`, with the words of `easel ledger`. Blocks.
///
/// # Errors
/// When the query means nothing, or the ledger does not answer.
pub fn ledger(store: &Store, query: &str) -> Result<Value, Error> {
    let QueryString { parameters, limit, after } = read(query)?;
    let query = parameters.query()?;
    let page = Page { limit: rows_of(limit.as_deref())?, after: after.map(|keys| keys_of(&keys, &query)).transpose()? };
    let report = store.page(&query, &page);
    let report =
        report.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()).with_code("ledger_unreadable"))?;
    Ok(render_json(&query, &report))
}

/// What a query string says, each value as it was written.
#[derive(Default)]
struct QueryString {
    parameters: ReportParameters,
    limit: Option<String>,
    after: Option<String>,
}

fn read(query: &str) -> Result<QueryString, Error> {
    let QueryString { mut parameters, mut limit, mut after } = QueryString::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let word = match &*name {
            "limit" => Some(&mut limit),
            "after" => Some(&mut after),
            name => parameters.parameter(name),
        };
        match word {
            Some(Some(_)) => return Err(Error::invalid(&*name, format!("'{name}' is there twice, send it once"))),
            Some(word) => *word = Some(value.into_owned()),
            None => {
                let message =
                    format!("'{name}' means nothing here, only {}, limit, after", ReportParameters::NAMES.join(", "));
                return Err(Error::invalid(&*name, message).with_code("unknown_parameter"));
            }
        }
    }
    Ok(QueryString { parameters, limit, after })
}

/// How many rows are wanted.
fn rows_of(limit: Option<&str>) -> Result<usize, Error> {
    let Some(text) = limit else { return Ok(ROWS) };
    text.parse().ok().filter(|rows| (1..=MOST_ROWS).contains(rows)).ok_or_else(|| {
        Error::invalid("limit", format!("limit '{text}' is none, write it like {ROWS}, {MOST_ROWS} at the most"))
    })
}

/// The keys that `next` told.
fn keys_of(after: &str, query: &ReportQuery) -> Result<Vec<String>, Error> {
    let keys: Option<Vec<String>> = serde_json::from_str(after).ok();
    keys.filter(|keys| keys.len() == query.by.len()).ok_or_else(|| {
        Error::invalid("after", "after is what the answer before this one says as 'next', with the same 'by'")
    })
}

/// The report as JSON: what was asked, its rows, all of them together, and where the next ones begin.
pub fn render_json(query: &ReportQuery, report: &Report) -> Value {
    let by: Vec<&str> = query.by.iter().map(|by| by.as_str()).collect();
    let last = report.rows.last().filter(|_| report.more);
    let objects: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            let keys = by.iter().zip(&row.keys).map(|(name, key)| ((*name).to_owned(), key.as_str().into()));
            Value::Object(keys.chain(figures(&row.figures)).collect())
        })
        .collect();
    json!({
        "by": by,
        "since": query.since.map(|at| at.to_string()),
        "until": query.until.map(|at| at.to_string()),
        "zone": query.zone.to_string(),
        "rows": objects,
        "total": Value::Object(figures(&report.total)),
        "next": last.map(|row| json!(row.keys).to_string()),
    })
}

fn figures(figures: &Figures) -> Map<String, Value> {
    cells(figures).into_iter().map(|(name, cell)| (name.to_owned(), cell.json())).collect()
}

/// One figure as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureCell {
    /// So many.
    Count(u64),
    /// So much; `None` where there is no such amount.
    Amount(Option<Usd>),
    /// So many milliseconds; `None` where they are not known.
    Millis(Option<u64>),
}

impl FigureCell {
    fn json(self) -> Value {
        match self {
            FigureCell::Count(count) => count.into(),
            FigureCell::Amount(amount) => amount.map(|usd| usd.to_string()).into(),
            FigureCell::Millis(millis) => millis.into(),
        }
    }
}

impl std::fmt::Display for FigureCell {
    /// As text; nothing where there is no such amount or time.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FigureCell::Count(count) | FigureCell::Millis(Some(count)) => write!(f, "{count}"),
            FigureCell::Amount(Some(amount)) => write!(f, "{amount}"),
            FigureCell::Amount(None) | FigureCell::Millis(None) => Ok(()),
        }
    }
}

/// A row's figures in the order they are shown, with their titles.
pub fn cells(figures: &Figures) -> [(&'static str, FigureCell); 14] {
    let usd = |amount: Usd| FigureCell::Amount(Some(amount));
    [
        ("attempts", FigureCell::Count(figures.attempts)),
        ("billed", FigureCell::Count(figures.billed)),
        ("accepted", FigureCell::Count(figures.accepted)),
        ("rejected", FigureCell::Count(figures.rejected)),
        ("refused", FigureCell::Count(figures.refused)),
        ("usd", usd(figures.usd)),
        ("prepaid_usd", usd(figures.prepaid)),
        ("lost_usd", usd(figures.lost)),
        ("uncertain_usd", usd(figures.uncertain)),
        ("cost_per_accepted_usd", FigureCell::Amount(figures.cost_per_accepted())),
        ("saved_pictures", FigureCell::Count(figures.saved_pictures)),
        ("saved_usd", usd(figures.saved_usd)),
        ("estimated", FigureCell::Count(figures.estimated)),
        ("average_ms", FigureCell::Millis(figures.average_ms())),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::calendar::Moment;
    use crate::config::plan::OnLedgerError;
    use crate::store::{Location, Options, Write};

    fn store() -> Arc<Store> {
        let options = Options::new(Duration::from_secs(86_400 * 400), OnLedgerError::Refuse);
        let at: Moment = "2026-11-25T12:00:00Z".parse().unwrap();
        let store = Store::open(Location::Memory, options, at).unwrap().store;
        let (tenant, route) = ("web".into(), "r".into());
        store.write_unawaited(Write::Saved {
            at,
            tenant,
            route,
            tier: "exact",
            pictures: 2,
            usd: "0.08".parse().unwrap(),
        });
        store
    }

    #[test]
    fn a_query_is_answered_in_exact_amounts_with_a_total() {
        let answer = ledger(&store(), "by=tenant,day&month=2026-11&zone=Asia%2FKolkata").unwrap();
        assert_eq!((&answer["by"], &answer["zone"]), (&json!(["tenant", "day"]), &json!("Asia/Kolkata")));
        assert_eq!(answer["since"], "2026-10-31T18:30:00Z");
        let row = &answer["rows"][0];
        assert_eq!(
            (&row["tenant"], &row["day"], &row["saved_usd"]),
            (&json!("web"), &json!("2026-11-25"), &json!("0.08"))
        );
        assert_eq!((&row["cost_per_accepted_usd"], &answer["total"]["saved_pictures"]), (&Value::Null, &json!(2)));
    }

    #[test]
    fn a_long_report_comes_in_pages_that_each_say_where_the_next_begins_and_have_the_total_of_all() {
        let store = store();
        let at: Moment = "2026-11-25T12:00:00Z".parse().unwrap();
        for nth in 0..25 {
            let (tenant, route) = (format!("t,\"{nth:02}").into(), "r".into());
            store.write_unawaited(Write::Saved {
                at,
                tenant,
                route,
                tier: "exact",
                pictures: 1,
                usd: "0.01".parse().unwrap(),
            });
        }
        let (mut seen, mut query, mut pages) = (Vec::new(), "by=tenant,day&limit=10".to_owned(), 0);
        loop {
            let answer = ledger(&store, &query).unwrap();
            assert_eq!(
                (&answer["total"]["saved_usd"], &answer["total"]["saved_pictures"]),
                (&json!("0.33"), &json!(27))
            );
            let rows = answer["rows"].as_array().unwrap();
            assert!(rows.len() <= 10);
            seen.extend(rows.iter().map(|row| row["tenant"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(next) = answer["next"].as_str() else { break };
            let after: String =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("after", next).finish();
            query = format!("by=tenant,day&limit=10&{after}");
        }
        let wanted: Vec<String> = (0..25).map(|nth| format!("t,\"{nth:02}")).chain(["web".to_owned()]).collect();
        assert_eq!((seen, pages), (wanted, 3));
        assert_eq!(ledger(&store, "by=tenant&limit=26").unwrap()["next"], Value::Null, "exactly all");
        for wrong in
            ["limit=0", "limit=10001", "limit=x", "limit=", "after=x", "after=%5B%22a%22%5D", "after=%5B1,2%5D"]
        {
            let error = ledger(&store, wrong).unwrap_err();
            assert_eq!((error.kind.status(), error.param.as_deref()), (400, wrong.split('=').next()), "{wrong}");
        }
    }

    #[test]
    fn a_word_that_means_nothing_is_answered_with_those_that_do() {
        let said = |query: &str| {
            let error = ledger(&store(), query).unwrap_err();
            assert_eq!((error.kind.status(), error.param.as_deref()), (400, query.split('=').next()), "{query}");
            error.message
        };
        assert!(said("per=day").contains("since, until"), "{}", said("per=day"));
        assert!(said("by=colour").contains("provider"), "{}", said("by=colour"));
        assert!(said("since=yesterday").contains("2026-11-25"), "{}", said("since=yesterday"));
        assert!(said("zone=Mars").contains("Europe/Berlin") && said("month=11").contains("2026-11"));
        assert!(said("month=2026-11&since=2026-11-01").contains("without"));
        assert!(said("tenant=a&tenant=b").contains("once"));
    }
}
