//! Budgets: never passed, by a crowd or by a clock that leaps.

use super::*;

#[test]
fn a_budget_is_promised_before_it_is_spent_and_never_passed() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    let first = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap();
    let short = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap_err();
    assert_eq!((short.left, short.wanted, short.limit), (usd("0.4"), usd("0.6"), usd("1")));
    assert_eq!(short.resets.unwrap().to_string(), "2026-11-26T00:00:00Z");
    assert_eq!(short.scope.to_string(), "provider:p");
    // One of the two pictures came: the other's price is free again.
    settle(first, pictures(1, usd("0.3")));
    let second = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap();
    assert_eq!(ledger.reserved(), usd("0.6"));
    second.release(NOON, |_| ()).unwrap();
    assert_eq!(ledger.reserved(), Usd::ZERO);
    assert!(open(&ledger, intent(&plan, 2, usd("0.7"))).is_ok_and(|hold| hold.id() == 3));
}

#[test]
fn a_budget_begins_again_at_its_own_midnight() {
    let plan = plan("budget: {usd: 1, per: day, zone: Asia/Tokyo},", "price: 0.3");
    let ledger = ledger(&plan);
    settle(open(&ledger, intent(&plan, 1, usd("1"))).unwrap(), pictures(1, usd("1")));
    // 15:00 UTC is midnight in Tokyo.
    let three = NOON.after(Duration::from_secs(3 * 3600));
    assert!(ledger.reserve(intent(&plan, 1, usd("0.1")), three.before(Duration::from_millis(1)), |_| ()).is_err());
    assert!(ledger.reserve(intent(&plan, 1, usd("0.1")), three, |_| ()).is_ok());
}

#[test]
fn a_clock_that_leaps_ahead_and_back_uses_up_no_other_days_budget() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    let far = NOON.after(days(3650));
    spend(&ledger, &plan, "0.75", NOON);
    spend(&ledger, &plan, "1", far);
    assert_eq!(left_at(&ledger, &plan, far), Usd::ZERO);
    assert_eq!(left_at(&ledger, &plan, NOON), usd("0.25"), "the same day is as it was left");
    for day in [1, 2, 40] {
        assert_eq!(left_at(&ledger, &plan, NOON.after(days(day))), usd("1"), "{day} days later");
    }
    spend(&ledger, &plan, "0.5", NOON.after(days(40)));
    assert_eq!(left_at(&ledger, &plan, NOON.after(days(40))), usd("0.5"));
    assert_eq!(left_at(&ledger, &plan, NOON), usd("0.25"));
    assert!(!ledger.is_behind(), "all of that was counted here");
}

#[test]
fn what_is_under_way_stays_promised_whatever_the_clock_does() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    let hold = open(&ledger, intent(&plan, 1, usd("0.75"))).unwrap();
    let far = NOON.after(days(3650));
    assert_eq!([NOON, far, NOON].map(|now| left_at(&ledger, &plan, now)), [usd("0.25"); 3]);
    // It is settled by a clock that is ahead, and belongs to that day.
    hold.settle(pictures(1, usd("0.5")), far, |_| ());
    assert_eq!([NOON, far].map(|now| left_at(&ledger, &plan, now)), [usd("1"), usd("0.5")]);
}

#[test]
fn a_ledger_that_began_ahead_asks_the_record_for_the_day_it_comes_back_to() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let (ledger, far) = (Arc::new(Ledger::default()), NOON.after(days(3650)));
    ledger.count(&counter_keys(&plan), far, |new| told(vec![CounterSum::default(); new.len()])).unwrap();
    spend(&ledger, &plan, "0.5", NOON);
    assert!(ledger.is_behind());
    assert_eq!(ledger.count(&counter_keys(&plan), NOON, |_| || Err("the disk is away")), Err("the disk is away"));
    assert!(ledger.is_behind() && left_at(&ledger, &plan, NOON) == usd("0.5"), "it counts on meanwhile");
    // The record has what was spent before, and what was just spent.
    let record = CounterSum { usd: usd("0.9"), ..CounterSum::default() };
    ledger.count(&counter_keys(&plan), NOON, |new| told(vec![record; new.len()])).unwrap();
    assert_eq!((ledger.is_behind(), left_at(&ledger, &plan, NOON)), (false, usd("0.1")));
}

#[test]
fn a_clock_that_wanders_leaves_no_more_behind_than_a_counter_may_remember() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    for day in 0..500 {
        spend(&ledger, &plan, "0.25", NOON.after(days(day)));
    }
    assert_eq!(left_at(&ledger, &plan, NOON.after(days(450))), usd("0.75"));
    assert_eq!(left_at(&ledger, &plan, NOON), usd("1"), "too long ago to be remembered");
}

#[test]
fn what_may_have_been_charged_counts_against_a_budget_but_is_on_no_invoice() {
    let plan = plan("budget: {usd: 1, per: total},", "price: 0.3");
    let ledger = ledger(&plan);
    let charge = Charge { uncertain: usd("0.6"), outcome: "timeout", ..pictures(0, Usd::ZERO) };
    settle(open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap(), charge);
    let short = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap_err();
    assert_eq!((short.left, short.resets, ledger.spent()), (usd("0.4"), None, Some(Usd::ZERO)));
}

#[test]
fn an_attempt_that_was_interrupted_may_have_been_charged() {
    let plan = plan("budget: {usd: 1},", "price: 0.3");
    let ledger = ledger(&plan);
    drop(open(&ledger, intent(&plan, 1, usd("0.3"))).unwrap());
    assert_eq!(ledger.reserved(), Usd::ZERO);
    let unsure = SpendAccount { provider: "p".into(), model: "m".into(), kind: SpendKind::Uncertain };
    assert_eq!(ledger.totals(), [(unsure, Total { pictures: 1, usd: usd("0.3") })]);
    assert_eq!(open(&ledger, intent(&plan, 1, usd("0.8"))).unwrap_err().left, usd("0.7"));
    let seen = ledger.sum(Dimension::Provider, "p", Duration::from_secs(3600), NOON);
    assert_eq!((seen.attempts, seen.failures), (1, 1), "alerts count it among the failures");
}

#[test]
fn a_settlement_says_where_its_amount_is_from() {
    let plan = plan("", "price: 0.3");
    let ledger = ledger(&plan);
    let source = |charge| settle(open(&ledger, intent(&plan, 1, usd("0.3"))).unwrap(), charge).source;
    assert_eq!(source(pictures(1, usd("0.3"))), CostSource::Table);
    assert_eq!(source(Charge { source: CostSource::Reported, ..pictures(1, usd("0.3")) }), CostSource::Reported);
    assert_eq!(source(pictures(1, Usd::ZERO)), CostSource::Table, "a picture that is free was billed at nothing");
    assert_eq!(source(pictures(0, Usd::ZERO)), CostSource::Nothing);
}

#[test]
fn a_crowd_never_passes_a_budget_and_leaves_nothing_promised() {
    let plan = Arc::new(plan("budget: {usd: 1},", "price: 0.01"));
    let ledger = ledger(&plan);
    let crowd = (0..8).map(|_| {
        let (plan, ledger) = (plan.clone(), ledger.clone());
        std::thread::spawn(move || {
            let bought = (0..100).filter_map(|_| open(&ledger, intent(&plan, 1, usd("0.01"))).ok());
            bought.map(|hold| settle(hold, pictures(1, usd("0.01"))).billed).sum::<u32>()
        })
    });
    let crowd: Vec<_> = crowd.collect();
    let bought: u32 = crowd.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!((bought, ledger.spent(), ledger.reserved()), (100, Some(usd("1")), Usd::ZERO));
}

#[test]
fn what_is_left_of_a_budget_is_neither_spent_nor_promised_and_never_less_than_nothing() {
    let key = CounterKey { scope: CounterScope::Route("r".into()), per: Per::Month, zone: Zone::default() };
    let left = |used| counter::Budgeted { key: key.clone(), limit: usd("1"), used: usd(used) }.left();
    assert_eq!([left("0.4"), left("1"), left("1.5")], [usd("0.6"), Usd::ZERO, Usd::ZERO]);
}

#[test]
fn a_counter_is_named_with_its_time_zone_unless_that_is_utc() {
    let name = |zone: Zone| CounterKey { scope: CounterScope::Route("r".into()), per: Per::Month, zone }.to_string();
    assert_eq!(name(Zone::default()), "route:r/month");
    assert_eq!(name("Asia/Tokyo".parse().unwrap()), "route:r/month/Asia/Tokyo");
}
