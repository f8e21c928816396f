//! `price:` as a mapping: by what a vendor computes (megapixels, steps, tiles) or counts (tokens, seconds, its own word).
//!
//! A mapping is of exactly one kind, and has what belongs to that kind and nothing else. What only the vendor can count
//! needs an estimate, because nothing is bought whose price nobody knows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::check::checker::Checker;
use crate::config::check::price_rows;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::suggest::instead;
use crate::config::units::ConfigUnit;
use crate::money::Usd;
use crate::pricing::{FirstMegapixel, Megapixels, Meter, Origin, PictureTokenPrice, Rounding, StepsPrice, Table};

/// The key that makes a mapping one of a kind, and the keys that may stand beside it.
const KINDS: [(&str, &[&str]); 7] = [
    ("usd", &[]),
    ("per_megapixel", &["round"]),
    ("first_megapixel", &["extra_megapixel", "input_megapixel", "round"]),
    ("per_step", &["per_tile", "steps"]),
    ("tokens_per_million", &["estimate"]),
    ("per_second", &["hardware", "estimate"]),
    ("reported", &["estimate"]),
];

/// What may stand beside every kind.
const EVERYWHERE: [&str; 2] = ["as_of", "source"];

/// Names that vendors have for the number of steps.
const STEPS: [&str; 2] = ["steps", "num_inference_steps"];

/// The table and the meter of the mapping at `at`.
pub(super) fn price(
    checker: &mut Checker<'_>,
    written: &file::PriceMapping,
    options: &BTreeMap<String, Value>,
    at: NodePath<'_>,
    origins: &mut Vec<Origin>,
) -> Option<(Table, Option<Meter>)> {
    let usd = |checker: &mut Checker<'_>, key: &str, usd: Option<&file::Dollars>| checker.read(at.key(key), usd);
    let rounding = match written.round {
        None | Some(file::Round::Up) => Rounding::Up,
        Some(file::Round::Nearest) => Rounding::Nearest,
        Some(file::Round::Exact) => Rounding::Exact,
    };
    let meter = match kind(checker, at)? {
        "usd" => return Some((Table::Flat(usd(checker, "usd", written.usd.as_ref())?), None)),
        "per_megapixel" => {
            let usd = usd(checker, "per_megapixel", written.per_megapixel.as_ref())?;
            return Some((Table::Megapixels(Megapixels { usd, rounding }), None));
        }
        "first_megapixel" => return Some((first_megapixel(checker, written, at, rounding)?, None)),
        "per_step" => return Some((steps(checker, written, options, at)?, None)),
        "tokens_per_million" => tokens(checker, written.tokens_per_million.as_ref()?, at.key("tokens_per_million")),
        "per_second" => seconds(checker, written, at),
        _ if written.reported == Some(true) => Some(Meter::Reported),
        _ => {
            let help = "write `reported: true`, or another price".to_owned();
            checker.report(at.key("reported"), "a price that is not reported is no price", help);
            None
        }
    };
    let table = estimate(checker, written.estimate.as_ref(), at, origins);
    Some((table?, Some(meter?)))
}

/// The key that says of which kind the mapping is.
fn kind(checker: &mut Checker<'_>, at: NodePath<'_>) -> Option<&'static str> {
    let mut given = KINDS.into_iter().filter(|(key, _)| at.key(key).is_given());
    let Some((kind, beside)) = given.next() else {
        let kinds = KINDS.map(|(key, _)| key).join(", ");
        let help = format!("write `price: 0.03`, the dollars a picture costs, or one of {kinds}");
        checker.report(at, "this price does not say by what it is charged", help);
        return None;
    };
    let beside = |key: &str| key == kind || beside.contains(&key) || EVERYWHERE.contains(&key);
    let mut fits = true;
    for key in at.keys().filter(|key| !beside(key)) {
        let what = match KINDS.iter().any(|(other, _)| *other == key) {
            true => format!("a price is of one kind, and `{kind}` is another than `{key}`"),
            false => format!("`{key}` means nothing beside `{kind}`"),
        };
        checker.report(at.key(key), what, "delete it".to_owned());
        fits = false;
    }
    fits.then_some(kind)
}

fn first_megapixel(
    checker: &mut Checker<'_>,
    written: &file::PriceMapping,
    at: NodePath<'_>,
    rounding: Rounding,
) -> Option<Table> {
    let file::PriceMapping { first_megapixel, extra_megapixel, input_megapixel, .. } = written;
    if extra_megapixel.is_none() {
        let what = "this price has no `extra_megapixel`";
        checker.report(at.key("extra_megapixel"), what, "add `extra_megapixel: 0.015`".to_owned());
    }
    let first = checker.read(at.key("first_megapixel"), first_megapixel.as_ref());
    let extra = checker.read(at.key("extra_megapixel"), extra_megapixel.as_ref());
    let input = match input_megapixel {
        None => Some(Usd::ZERO),
        written => checker.read(at.key("input_megapixel"), written.as_ref()),
    };
    Some(Table::FirstMegapixel(FirstMegapixel { first: first?, extra: extra?, input: input?, rounding }))
}

fn steps(
    checker: &mut Checker<'_>,
    written: &file::PriceMapping,
    options: &BTreeMap<String, Value>,
    at: NodePath<'_>,
) -> Option<Table> {
    let per_step = checker.read(at.key("per_step"), written.per_step.as_ref());
    let per_tile = written.per_tile.as_ref().map(|usd| checker.read(at.key("per_tile"), Some(usd)));
    let asked = || STEPS.into_iter().find_map(|name| options.get(name)?.as_u64());
    let Some(count) = written.steps.or_else(asked) else {
        let help = "add `steps: 4` here, or what is asked of the vendor: `options: {steps: 4}`".to_owned();
        checker.report(at.key("steps"), "nothing says how many steps a picture takes", help);
        return None;
    };
    let steps = checker.count(at.key("steps"), Some(count), 1, 1);
    Some(Table::Steps(StepsPrice {
        per_step: per_step?,
        per_tile: per_tile.map_or(Some(None), |usd| usd.map(Some))?,
        steps,
    }))
}

fn tokens(checker: &mut Checker<'_>, written: &file::TokensPerMillion, at: NodePath<'_>) -> Option<Meter> {
    let file::TokensPerMillion { text_in, text_cached_in, image_in, image_cached_in, image_out, text_out } = written;
    if image_out.is_none() {
        let help = "add `image_out: 30`, the dollars that a million tokens of pictures cost".to_owned();
        checker.report(at.key("image_out"), "this price says nothing of what is drawn", help);
        return None;
    }
    let mut usd = |key: &str, usd: &Option<file::Dollars>| checker.read(at.key(key), usd.as_ref());
    Some(Meter::Tokens(PictureTokenPrice {
        text_in: usd("text_in", text_in),
        text_cached_in: usd("text_cached_in", text_cached_in),
        image_in: usd("image_in", image_in),
        image_cached_in: usd("image_cached_in", image_cached_in),
        image_out: usd("image_out", image_out),
        text_out: usd("text_out", text_out),
    }))
}

/// The price of a second on the hardware that is named.
fn seconds(checker: &mut Checker<'_>, written: &file::PriceMapping, at: NodePath<'_>) -> Option<Meter> {
    let (place, hardware) = (at.key("per_second"), at.key("hardware"));
    let rates = match written.per_second.as_ref()? {
        file::PerSecond::One(usd) => {
            if hardware.is_given() {
                let help = "write `per_second: {NAME: 0.000975}`, or delete it".to_owned();
                checker.report(hardware, "`hardware` means nothing to a price for every hardware", help);
            }
            return checker.read(place, Some(usd)).map(Meter::Seconds);
        }
        file::PerSecond::ByHardware(rates) => rates,
    };
    let names = || rates.keys().map(String::as_str);
    let Some(name) = written.hardware.as_deref() else {
        let all = names().collect::<Vec<_>>().join(", ");
        let help = format!("add `hardware:` with one of {all}");
        checker.report(hardware, "nothing says on which hardware this model runs", help);
        return None;
    };
    let Some(usd) = rates.get(name) else {
        let help = if hardware.is_expanded() { None } else { instead(name, names(), "the hardware here is") };
        checker.report(hardware, format!("{} has no price by the second", hardware.shown()), help);
        return None;
    };
    for (name, usd) in rates {
        checker.read(place.key(name), Some(usd));
    }
    usd.read().ok().map(Meter::Seconds)
}

fn estimate(
    checker: &mut Checker<'_>,
    written: Option<&file::Estimate>,
    at: NodePath<'_>,
    origins: &mut Vec<Origin>,
) -> Option<Table> {
    let place = at.key("estimate");
    match written {
        None => {
            let help = "add `estimate: 0.05`, the most that a picture may cost, or rows by size and quality".to_owned();
            checker.report(place, "nothing says what a picture may cost before it is drawn", help);
            None
        }
        Some(file::Estimate::Flat(usd)) => checker.read(place, Some(usd)).map(Table::Flat),
        Some(file::Estimate::Rows(rows)) => price_rows::table(checker, rows, place, origins),
    }
}
