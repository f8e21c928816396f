//! `price:`, `addons:` and what is said of them: a table in which every row can be reached, or a mapping of one kind.

use crate::calendar;
use crate::config::check::{Checker, meters};
use crate::config::file;
use crate::config::node_path::Place;
use crate::image::Size;
use crate::money::Usd;
use crate::pricing::{Addon, Meter, Origin, Price, Row, RowSize, Table};

/// What a provider adds to each of its prices.
#[derive(Clone, Copy)]
pub(super) struct OnTop {
    /// Parts per million.
    pub(super) markup_ppm: u32,
    /// Dollars a call.
    pub(super) fee: Usd,
}

/// The price of the model at `at`; `None` when it has no usable one, which is noted.
pub(super) fn price(checker: &mut Checker<'_>, model: &file::Model, at: Place<'_>, on_top: OnTop) -> Option<Price> {
    let place = at.key("price");
    let mut origins = Vec::new();
    let priced = match &model.price {
        None => {
            let help = "add `price: 0.03`, the dollars a picture costs".to_owned();
            checker.report(place, "this model has no price", help);
            None
        }
        Some(file::Price::Flat(usd)) => checker.read(place, Some(usd)).map(|usd| (Table::Flat(usd), None)),
        Some(file::Price::Rows(rows)) => table(checker, rows, place, &mut origins).map(|table| (table, None)),
        Some(file::Price::Mapping(mapping)) => {
            origin(checker, None, mapping.as_of.as_deref(), mapping.source.as_deref(), place, &mut origins);
            meters::price(checker, mapping, &model.options, place, &mut origins)
        }
    };
    let addons = addons(checker, &model.addons, at.key("addons"));
    let multiplier = checker.read(at.key("multiplier"), model.multiplier.as_ref());
    let per_unit = checker.read(at.key("unit_price"), model.unit_price.as_ref());
    let (table, meter) = priced?;
    if meter == Some(Meter::Reported) && at.key("multiplier").is_given() {
        let help = "delete it: what the vendor tells is taken as it is".to_owned();
        checker.report(at.key("multiplier"), "`multiplier` means nothing to a price that is reported", help);
    }
    let multiplier_ppm = multiplier.unwrap_or(1_000_000);
    let OnTop { markup_ppm, fee } = on_top;
    Some(Price { table, meter, addons, multiplier_ppm, markup_ppm, fee, per_unit, origins })
}

/// A table out of rows; where they are from is added to `origins`.
pub(super) fn table(
    checker: &mut Checker<'_>,
    rows: &[file::PriceRow],
    at: Place<'_>,
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
fn origin(
    checker: &mut Checker<'_>,
    row: Option<usize>,
    as_of: Option<&str>,
    source: Option<&str>,
    at: Place<'_>,
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

fn by_size_and_quality(checker: &mut Checker<'_>, rows: &[file::PriceRow], at: Place<'_>) -> Option<Vec<Row>> {
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

fn up_to(checker: &mut Checker<'_>, rows: &[file::PriceRow], at: Place<'_>) -> Option<Vec<(Size, Usd)>> {
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

fn amount(checker: &mut Checker<'_>, row: Place<'_>, usd: Option<&file::Dollars>) -> Option<Usd> {
    if usd.is_none() {
        checker.report(row.key("usd"), "this row has no price", "add `usd: 0.03`".to_owned());
    }
    checker.read(row.key("usd"), usd)
}

fn addons(checker: &mut Checker<'_>, addons: &file::Addons, at: Place<'_>) -> Vec<(Addon, Usd)> {
    let file::Addons { negative_prompt, transparent_background, style, seed, input_image } = addons;
    let written = [
        (Addon::NegativePrompt, negative_prompt),
        (Addon::TransparentBackground, transparent_background),
        (Addon::Style, style),
        (Addon::Seed, seed),
        (Addon::InputImage, input_image),
    ];
    let priced =
        written.into_iter().filter_map(|(addon, usd)| Some((addon, checker.read(at.key(addon.word()), usd.as_ref())?)));
    priced.collect()
}
