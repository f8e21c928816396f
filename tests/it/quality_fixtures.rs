//! The default gate against drawn pictures, clean and with every defect: what `cargo bench --bench gate` prints as a table, with
//! fewer seeds.

use std::collections::BTreeMap;

use easel_fixtures::{Row, TESTING, clean, defects, pairs, tally};

use crate::quality_verdict::{NOT_PROMISED, judge, judge_pair};

/// Pictures of each class: with these every class has every size.
const SEEDS: u64 = 4;

/// Rows of which less than 99% are right. With so few cases one is more than a hundredth, and may be wrong in a row.
fn broken(rows: &BTreeMap<&'static str, Row>) -> Vec<String> {
    let promised = rows.iter().filter(|(name, _)| !NOT_PROMISED.contains(name));
    let broken = promised.filter(|(_, row)| row.wrong.len() > (row.cases / 100).max(1));
    broken.map(|(name, row)| format!("{name}: {} of {} wrong: {:#?}", row.wrong.len(), row.cases, row.wrong)).collect()
}

#[test]
fn of_clean_pictures_of_every_kind_at_most_one_in_a_hundred_is_rejected() {
    let rows = tally(&clean(TESTING..TESTING + SEEDS), judge);
    let (cases, wrong) = rows.values().fold((0, 0), |(cases, wrong), row| (cases + row.cases, wrong + row.wrong.len()));
    assert!(cases >= 200 && wrong * 100 <= cases, "{wrong} of {cases}: {rows:#?}");
}

#[test]
fn of_each_defect_ninety_nine_in_a_hundred_are_found() {
    let rows = tally(&defects(TESTING..TESTING + SEEDS / 2), judge);
    assert!(rows.len() > 20, "{rows:?}");
    assert_eq!(broken(&rows), Vec::<String>::new());
}

#[test]
fn the_same_picture_twice_in_a_request_is_found_and_different_ones_are_not() {
    let rows = tally(&pairs(TESTING..TESTING + SEEDS / 2), judge_pair);
    assert_eq!(broken(&rows), Vec::<String>::new());
}
