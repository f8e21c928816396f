//! `price:`, `addons:` and what is said of them: a table in which every row can be reached, or a mapping of one kind.

use crate::config::check::checker::Checker;
use crate::config::check::price_formulas;
use crate::config::check::price_rows::{origin, table};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::money::Usd;
use crate::pricing::{Addon, Meter, Price, Table};

/// What a provider adds to each of its prices.
#[derive(Clone, Copy)]
pub(super) struct Surcharge {
    /// Parts per million.
    pub(super) markup_ppm: u32,
    /// Dollars a call.
    pub(super) fee: Usd,
}

/// The price of the model at `at`; `None` when it has no usable one, which is noted.
pub(super) fn price(
    checker: &mut Checker<'_>,
    model: &file::Model,
    at: NodePath<'_>,
    on_top: Surcharge,
) -> Option<Price> {
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
            price_formulas::price(checker, mapping, &model.options, place, &mut origins)
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
    let Surcharge { markup_ppm, fee } = on_top;
    Some(Price { table, meter, addons, multiplier_ppm, markup_ppm, fee, per_unit, origins })
}

fn addons(checker: &mut Checker<'_>, addons: &file::Addons, at: NodePath<'_>) -> Vec<(Addon, Usd)> {
    let file::Addons { negative_prompt, transparent_background, style, seed, input_image } = addons;
    let written = [
        (Addon::NegativePrompt, negative_prompt),
        (Addon::TransparentBackground, transparent_background),
        (Addon::Style, style),
        (Addon::Seed, seed),
        (Addon::InputImage, input_image),
    ];
    let priced = written
        .into_iter()
        .filter_map(|(addon, usd)| Some((addon, checker.read(at.key(addon.as_str()), usd.as_ref())?)));
    priced.collect()
}
