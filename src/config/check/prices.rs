//! `price:`, `addons:` and `markup:`: a table in which every row can be reached.

use crate::config::check::Checker;
use crate::config::file;
use crate::config::place::Place;
use crate::image::Size;
use crate::money::Usd;
use crate::pricing::{Addon, Price, Row, Table};

/// The price of the model at `at`; `None` when it has no usable one, which is noted.
pub(super) fn price(checker: &mut Checker<'_>, model: &file::Model, at: Place<'_>, markup_ppm: u32) -> Option<Price> {
    let place = at.key("price");
    let table = match &model.price {
        None => {
            let help = "add `price: 0.03`, the dollars a picture costs".to_owned();
            checker.report(place, "this model has no price", help);
            None
        }
        Some(file::Price::Flat(usd)) => checker.read(place, Some(usd)).map(Table::Flat),
        Some(file::Price::Rows(rows)) => table(checker, rows, place),
        Some(file::Price::Tokens(_)) => {
            let help = "write `price: 0.03`, the dollars a picture costs".to_owned();
            checker.report(place, "a picture is priced by a number or by rows", help);
            None
        }
    };
    let addons = addons(checker, &model.addons, at.key("addons"));
    let per_unit = checker.read(at.key("unit_price"), model.unit_price.as_ref());
    Some(Price { table: table?, addons, markup_ppm, per_unit })
}

fn table(checker: &mut Checker<'_>, rows: &[file::PriceRow], at: Place<'_>) -> Option<Table> {
    if rows.is_empty() && !at.lost_items() {
        checker.report(at, "a price needs at least one row", "add `- {size: 1024x1024, usd: 0.03}`".to_owned());
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

fn by_size_and_quality(checker: &mut Checker<'_>, rows: &[file::PriceRow], at: Place<'_>) -> Option<Vec<Row>> {
    let mut read: Vec<(Row, usize)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let place = at.item(index);
        let file::PriceRow { size, quality, up_to: _, usd } = row;
        let usd = amount(checker, place, usd.as_ref());
        let size = size.as_ref().map(|size| checker.read(place.key("size"), Some(size)));
        let quality = quality.as_ref().map(|quality| checker.read(place.key("quality"), Some(quality)));
        // A half-read row would price more than it says.
        if size == Some(None) || quality == Some(None) || place.key("size").is_bad() || place.key("quality").is_bad() {
            continue;
        }
        let Some(usd) = usd else { continue };
        let row = Row { size: size.flatten(), quality: quality.flatten(), usd };
        let covers = |earlier: &Row| {
            (earlier.size.is_none() || earlier.size == row.size)
                && (earlier.quality.is_none() || earlier.quality == row.quality)
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
    let file::Addons { negative_prompt, transparent_background, style, seed } = addons;
    let written = [
        (Addon::NegativePrompt, negative_prompt),
        (Addon::TransparentBackground, transparent_background),
        (Addon::Style, style),
        (Addon::Seed, seed),
    ];
    let priced =
        written.into_iter().filter_map(|(addon, usd)| Some((addon, checker.read(at.key(addon.word()), usd.as_ref())?)));
    priced.collect()
}
