//! The ledger for operators and their programs: a query's words in, JSON out. Amounts are strings, because a JSON
//! number is a float to most who read it. Nothing here changes the ledger.

use serde_json::{Map, Value, json};

use crate::error::{Error, Kind};
use crate::gateway::store::asked::Asked;
use crate::gateway::store::report::{self, Figures, ReportQuery, ReportRow};
use crate::gateway::store::{Store, StoreError};
use crate::money::Usd;

/// Answers `by=day,provider&month=2026-11&zone=Europe/Berlin`, with the words of `easel ledger`. Blocks.
///
/// # Errors
/// When the query means nothing, or the ledger does not answer.
pub fn ledger(store: &Store, query: &str) -> Result<Value, Error> {
    let query = read(query)?.query()?;
    let report = store.report(&query).and_then(|rows| render_json(&query, &rows));
    report.map_err(|error| Error::new(Kind::Unavailable, error.to_string()).with_code("ledger_unreadable"))
}

fn read(query: &str) -> Result<Asked, Error> {
    let mut asked = Asked::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match asked.word(&name) {
            Some(Some(_)) => return Err(Error::invalid(&*name, format!("'{name}' is there twice, send it once"))),
            Some(word) => *word = Some(value.into_owned()),
            None => {
                let message = format!("'{name}' means nothing here, only {}", Asked::NAMES.join(", "));
                return Err(Error::invalid(&*name, message).with_code("unknown_parameter"));
            }
        }
    }
    Ok(asked)
}

/// The report as JSON: what was asked, its rows, and all of them together.
///
/// # Errors
/// When the sum over all rows does not fit.
pub fn render_json(query: &ReportQuery, rows: &[ReportRow]) -> Result<Value, StoreError> {
    let by: Vec<&str> = query.by.iter().map(|by| by.word()).collect();
    let objects: Vec<Value> = rows
        .iter()
        .map(|row| {
            let keys = by.iter().zip(&row.keys).map(|(name, key)| ((*name).to_owned(), key.as_str().into()));
            Value::Object(keys.chain(figures(&row.figures)).collect())
        })
        .collect();
    Ok(json!({
        "by": by,
        "since": query.since.map(|at| at.to_string()),
        "until": query.until.map(|at| at.to_string()),
        "zone": query.zone.to_string(),
        "rows": objects,
        "total": Value::Object(figures(&report::total(rows)?)),
    }))
}

fn figures(figures: &Figures) -> Map<String, Value> {
    cells(figures).into_iter().map(|(name, cell)| (name.to_owned(), cell.json())).collect()
}

/// One figure as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// So many.
    Count(u64),
    /// So much; `None` where there is no such amount.
    Amount(Option<Usd>),
}

impl Cell {
    fn json(self) -> Value {
        match self {
            Cell::Count(count) => count.into(),
            Cell::Amount(amount) => amount.map(|usd| usd.to_string()).into(),
        }
    }
}

impl std::fmt::Display for Cell {
    /// As text; nothing where there is no amount.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Count(count) => write!(f, "{count}"),
            Cell::Amount(Some(amount)) => write!(f, "{amount}"),
            Cell::Amount(None) => Ok(()),
        }
    }
}

/// A row's figures in the order they are shown, with their titles.
pub fn cells(figures: &Figures) -> [(&'static str, Cell); 13] {
    let usd = |amount: Usd| Cell::Amount(Some(amount));
    [
        ("attempts", Cell::Count(figures.attempts)),
        ("billed", Cell::Count(figures.billed)),
        ("accepted", Cell::Count(figures.accepted)),
        ("rejected", Cell::Count(figures.rejected)),
        ("refused", Cell::Count(figures.refused)),
        ("usd", usd(figures.usd)),
        ("prepaid_usd", usd(figures.prepaid)),
        ("lost_usd", usd(figures.lost)),
        ("uncertain_usd", usd(figures.uncertain)),
        ("cost_per_accepted_usd", Cell::Amount(figures.cost_per_accepted())),
        ("saved_pictures", Cell::Count(figures.saved_pictures)),
        ("saved_usd", usd(figures.saved_usd)),
        ("estimated", Cell::Count(figures.estimated)),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::calendar::Moment;
    use crate::config::plan::OnLedgerError;
    use crate::gateway::store::{Options, Place, Write};

    fn store() -> Arc<Store> {
        let options = Options::new(Duration::from_secs(86_400 * 400), OnLedgerError::Refuse);
        let at: Moment = "2026-11-25T12:00:00Z".parse().unwrap();
        let store = Store::open(Place::Memory, options, at).unwrap().store;
        let (tenant, route) = ("web".into(), "r".into());
        store.later(Write::Saved { at, tenant, route, tier: "exact", pictures: 2, usd: "0.08".parse().unwrap() });
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
