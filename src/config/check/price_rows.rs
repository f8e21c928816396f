//! Prices as rows, and where a price is from.

use crate::calendar;
use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::image::Size;
use crate::money::Usd;
use crate::pricing::{Origin, Row, RowSize, Table};

/// A table out of rows; where they are from is added to `origins`.
pub(super) fn table(
    checker: &mut Checker<'_>,
    rows: &[file::PriceRow],
    at: NodePath<'_>,
    origins: &mut Vec<Origin>,
) -> Option<Table> {
    if rows.is_empty() && !at.lost_items() {
        checker.report(at, "a price needs at least one row", "add `- {size: 1024x1024, usd: 0.03}`".to_owned());
    }
    for (index, row) in rows.iter().enumerate() {
        origin(checker, Some(index), row.as_of.as_deref(), row.source.as_deref(), at.item(index), origins);
    }
    let tiers = rows.iter().filter(|row| row.up_to.is_some()).count();
    if tiers == 0 {
        return by_size_and_quality(checker, rows, at).map(Table::Rows);
    }
    for (index, row) in rows.iter().enumerate() {
        let place = at.item(index);
        if row.up_to.is_none() || row.size.is_some() || row.quality.is_some() {
            let help = "use either `up_to` in every row, or `size` and `quality`".to_owned();
            checker.report(place, "`up_to` cannot be mixed with other rows", help);
            return None;
        }
    }
    up_to(checker, rows, at).map(Table::UpTo)
}

/// Where the price at `at` is from, if that is written.
pub(super) fn origin(
    checker: &mut Checker<'_>,
    row: Option<usize>,
    as_of: Option<&str>,
    source: Option<&str>,
    at: NodePath<'_>,
    origins: &mut Vec<Origin>,
) {
    let source = checker.text(at.key("source"), source);
    let place = at.key("as_of");
    if as_of.is_some_and(|day| !calendar::is_date(day)) {
        let help = "write the day like 2026-11-01".to_owned();
        checker.report(place, format!("{} is not a date", place.shown()), help);
    }
    let as_of = as_of.map(str::to_owned);
    if as_of.is_some() || source.is_some() {
        origins.push(Origin { row, as_of, source });
    }
}

pub(super) fn by_size_and_quality(
    checker: &mut Checker<'_>,
    rows: &[file::PriceRow],
    at: NodePath<'_>,
) -> Option<Vec<Row>> {
    let mut read: Vec<(Row, usize)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let place = at.item(index);
        let usd = amount(checker, place, row.usd.as_ref());
        let size = row.size.as_ref().map(|size| checker.read(place.key("size"), Some(size)));
        let quality = row.quality.as_ref().map(|quality| checker.read(place.key("quality"), Some(quality)));
        // A half-read row would price more than it says.
        if size == Some(None) || quality == Some(None) || place.key("size").is_bad() || place.key("quality").is_bad() {
            continue;
        }
        let Some(usd) = usd else { continue };
        let row = Row { size: size.flatten(), quality: quality.flatten(), usd };
        let includes = |mine: RowSize| row.size.is_some_and(|size| mine.includes(size));
        let covers = |earlier: &Row| {
            earlier.size.is_none_or(includes) && (earlier.quality.is_none() || earlier.quality == row.quality)
        };
        if let Some((_, line)) = read.iter().find(|(earlier, _)| covers(earlier)) {
            let what = format!("this row is never reached: the row on line {line} comes first and covers it");
            checker.report(place, what, "put the general row last, or delete one".to_owned());
        }
        read.push((row, place.line()));
    }
    (!read.is_empty()).then(|| read.into_iter().map(|(row, _)| row).collect())
}

pub(super) fn up_to(checker: &mut Checker<'_>, rows: &[file::PriceRow], at: NodePath<'_>) -> Option<Vec<(Size, Usd)>> {
    let mut tiers: Vec<(Size, Usd)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let place = at.item(index);
        let size = checker.read(place.key("up_to"), row.up_to.as_ref());
        let usd = amount(checker, place, row.usd.as_ref());
        let (Some(size), Some(usd)) = (size, usd) else { continue };
        if tiers.iter().any(|(tier, _)| tier.pixels() == size.pixels()) {
            checker.report(place, "another row has as many pixels", "delete one of the two".to_owned());
        }
        tiers.push((size, usd));
    }
    tiers.sort_by_key(|(size, _)| size.pixels());
    (!tiers.is_empty()).then_some(tiers)
}

pub(super) fn amount(checker: &mut Checker<'_>, row: NodePath<'_>, usd: Option<&file::Dollars>) -> Option<Usd> {
    if usd.is_none() {
        checker.report(row.key("usd"), "this row has no price", "add `usd: 0.03`".to_owned());
    }
    checker.read(row.key("usd"), usd)
}
