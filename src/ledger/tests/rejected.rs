//! Pictures that came and were not delivered: what they count as at once, and after their viewers' word.

use super::*;
use crate::ledger::sliding_window::{WindowSum, cost_per_accepted};

/// Pictures at `each`: so many delivered, and one charged and thrown away for each of these reasons.
fn drawn(delivered: usize, reasons: &[&'static str], each: Usd) -> Charge {
    let amount = ChargedAmount::Pictures { delivered: vec![each; delivered], lost: vec![each; reasons.len()] };
    Charge { amount, rejections: reasons.iter().copied().collect(), ..pictures(delivered, each) }
}

fn hour(ledger: &Arc<Ledger>, by: Dimension, name: &str) -> WindowSum {
    ledger.sum(by, name, Duration::from_secs(3600), NOON)
}

#[test]
fn a_picture_that_is_rejected_before_it_is_delivered_counts_without_anybodys_word_and_what_it_cost_is_on_the_others() {
    let plan = plan("", "price: 0.009");
    let ledger = ledger(&plan);
    let charge = drawn(1, &["blank", "truncated", "blank"], usd("0.009"));
    let settlement = settle(open(&ledger, intent(&plan, 4, usd("0.036"))).unwrap(), charge);
    assert_eq!((settlement.rejected(), settlement.rejections.reasons().as_str()), (3, "blank+truncated"));
    assert_eq!((settlement.usd, settlement.lost, settlement.billed), (usd("0.036"), usd("0.027"), 4));
    let names = [(Dimension::All, ""), (Dimension::Provider, "p"), (Dimension::Model, "p/m"), (Dimension::Route, "r")];
    for (by, name) in names.into_iter().chain([(Dimension::Tenant, "t")]) {
        let sum = hour(&ledger, by, name);
        assert_eq!((sum.accepted, sum.rejected, sum.pictures()), (1, 3, 4), "{by:?}");
        assert_eq!(cost_per_accepted(&sum), Some(usd("0.036")), "everything paid over the one that is accepted");
    }
    let on_route = ledger.on_route("r", "p/m", Duration::from_secs(3600), NOON);
    assert_eq!((on_route.accepted, on_route.rejected), (1, 3), "which is what cheapest_accepted goes by");
    ledger.judge(NOON, &owner("t"), VerdictChange { accepted: -1, rejected: 1 });
    let sum = hour(&ledger, Dimension::All, "");
    assert_eq!((sum.accepted, sum.rejected, cost_per_accepted(&sum)), (0, 4, None));
}

#[test]
fn what_came_and_was_rejected_counts_also_where_it_cost_nothing_or_more_than_fits() {
    let plan = plan("", "price: 0.009");
    let ledger = ledger(&plan);
    let free = drawn(0, &["wrong_size"], Usd::ZERO);
    assert_eq!(settle(open(&ledger, intent(&plan, 1, usd("0.009"))).unwrap(), free).rejected(), 1);
    let beyond = drawn(1, &["blank"], Usd::from_nanos(i64::MAX));
    let settlement = settle(open(&ledger, intent(&plan, 2, usd("0.018"))).unwrap(), beyond);
    assert_eq!((settlement.rejected(), settlement.usd, settlement.pictures.len()), (1, Usd::ZERO, 0));
    let sum = hour(&ledger, Dimension::Provider, "p");
    assert_eq!((sum.accepted, sum.rejected), (0, 2));
    assert_eq!(ledger.spent(), None, "and the sum that did not fit is told");
}

#[test]
fn a_call_whose_whole_pictures_are_rejected_has_not_failed_and_one_whose_file_is_broken_has() {
    let plan = plan("", "price: 0.009");
    let ledger = ledger(&plan);
    for (outcome, reason) in [("rejected", "blank"), ("not_as_asked", "wrong_size"), ("malformed", "truncated")] {
        let charge = Charge { outcome, ..drawn(0, &[reason], usd("0.009")) };
        settle(open(&ledger, intent(&plan, 1, usd("0.009"))).unwrap(), charge);
    }
    let sum = hour(&ledger, Dimension::Provider, "p");
    assert_eq!((sum.attempts, sum.failures, sum.accepted, sum.rejected), (3, 1, 0, 3));
}
