//! Fees for capacity that is held ready.

use super::*;

#[test]
fn an_hour_of_reserved_capacity_is_part_of_what_its_pictures_cost_and_of_the_budget() {
    let plan = plan("budget: {usd: 300}, billing: {reserved_usd_per_month: 216},", "price: 0.009");
    let ledger = ledger(&plan);
    ledger.look_back(sliding_window::KEPT, told).unwrap();
    let (one, mut noted) = (NOON.before(Duration::from_secs(60)), Vec::new());
    ledger.accrue(&plan.providers["p"], one, |entry, settlement| noted.push((entry.id, entry.at, settlement.usd)));
    // 720 hours at 30 cents, of which 24 days and 11 hours have passed.
    assert_eq!(noted.len(), 587);
    assert_eq!(noted[586], (587, "2026-11-25T10:59:59.999Z".parse().unwrap(), usd("0.3")));
    assert_eq!(ledger.counter(&counter_keys(&plan)[0], one).unwrap().left(usd("300")), usd("123.9"));
    settle(open(&ledger, intent(&plan, 1, usd("0.009"))).unwrap(), pictures(1, usd("0.009")));
    ledger.accrue(&plan.providers["p"], NOON, |entry, _| assert_eq!(entry.id, 589));
    let hour = |by, name: &str| ledger.sum(by, name, Duration::from_secs(3600), NOON);
    assert_eq!((hour(Dimension::Provider, "p").usd, hour(Dimension::Provider, "p").attempts), (usd("0.309"), 1));
    assert_eq!(hour(Dimension::Route, "r").usd, usd("0.009"), "nobody's fee is everybody's");
    assert_eq!(ledger.sum(Dimension::All, "", Duration::from_secs(600), NOON).usd, usd("0.059"), "a share a minute");
    assert_eq!(ledger.names(Dimension::Tenant), ["t".into()]);
}

#[test]
fn a_fee_of_last_month_is_not_paid_out_of_this_months_budget() {
    let plan = plan("budget: {usd: 300}, billing: {reserved_usd_per_month: 216},", "price: 0.009");
    let ledger = ledger(&plan);
    ledger.booked_until(&plan.providers["p"], "2026-10-31T22:00:00Z".parse().unwrap());
    let mut booked = Usd::ZERO;
    let first = "2026-11-01T01:00:00Z".parse().unwrap();
    ledger.accrue(&plan.providers["p"], first, |_, settlement| booked = booked.checked_add(settlement.usd).unwrap());
    // Two hours of October at a 744th, one of November at a 720th.
    assert_eq!(booked, usd("0.880645162"));
    assert_eq!(ledger.counter(&counter_keys(&plan)[0], first).unwrap().settled.usd, usd("0.3"));
    // A clock that leaps ahead books what is left of this month and a part of another; back again, nothing is due twice
    // and nothing is left out until that year.
    let far = "2036-05-01T02:00:00Z".parse().unwrap();
    let all = |ledger: &Ledger, now| {
        let mut sum = Usd::ZERO;
        ledger.accrue(&plan.providers["p"], now, |_, settlement| sum = sum.checked_add(settlement.usd).unwrap());
        sum
    };
    // What is left of 720 hours at 0.3, and two of 744.
    assert_eq!(all(&ledger, far), usd("216.280645161"));
    assert_eq!(all(&ledger, NOON), Usd::ZERO, "November is booked");
    assert_eq!(all(&ledger, "2026-12-01T01:00:00Z".parse().unwrap()), usd("0.290322580"));
    let quiet = Arc::new(Ledger::default());
    quiet.no_fees_before(NOON);
    quiet.accrue(&plan.providers["p"], NOON, |entry, _| panic!("{entry:?} is of before this ledger began"));
}

#[test]
fn a_fee_is_shared_out_by_the_minute_without_a_rest() {
    let mut windows = Windows::default();
    let fee = WindowFact { usd: Usd::from_nanos(6_059), ..WindowFact::default() };
    add_to_windows(&mut windows, NOON, &owner(""), Purpose::Reserve, "ok", fee);
    let sum = |seconds| windows.sum(Dimension::All, "", Some(Duration::from_secs(seconds)), NOON).usd.nanos();
    assert_eq!([sum(0), sum(60), sum(3600)], [100 + 59, 200 + 59, 6_059]);
}
