//! What a record of an earlier process tells, taken up while attempts go on.

use super::*;

#[test]
fn a_counter_that_begins_late_knows_what_is_under_way_and_what_the_record_holds() {
    let plan = plan("budget: {usd: 1},", "price: 0.3");
    let late = Arc::new(Ledger::default());
    let running = open(&late, intent(&plan, 1, usd("0.3"))).unwrap();
    assert_eq!(late.count(&counter_keys(&plan), NOON, |_| || Err("the disk is away")), Err("the disk is away"));
    let tell = |new: &[(CounterKey, Period)]| {
        let months = new.iter().map(|(_, month)| (month.start.to_string(), month.end.unwrap().to_string()));
        assert_eq!(months.collect::<Vec<_>>(), [("2026-11-01T00:00:00Z".into(), "2026-12-01T00:00:00Z".into())]);
        told(vec![CounterSum { usd: usd("0.5"), ..CounterSum::default() }])
    };
    late.count(&counter_keys(&plan), NOON, tell).unwrap();
    assert_eq!(open(&late, intent(&plan, 1, usd("0.3"))).unwrap_err().left, usd("0.2"));
    settle(running, pictures(1, usd("0.1")));
    assert_eq!(open(&late, intent(&plan, 1, usd("0.5"))).unwrap_err().left, usd("0.4"));
    assert_eq!(late.count(&counter_keys(&plan), NOON, |_| || Err("what is counted is asked for again")), Ok(()));
}

#[test]
fn while_a_record_is_read_attempts_go_on_and_count_on_top_of_what_it_tells() {
    let plan = plan("budget: [{usd: 9}, {usd: 9, per: day}],", "price: 0.3");
    let (ledger, far) = (Arc::new(Ledger::default()), NOON.after(days(40)));
    let running = open(&ledger, intent(&plan, 1, usd("0.3"))).unwrap();
    spend(&ledger, &plan, "0.5", NOON);
    let (same, record) = ((&ledger, &plan), CounterSum { usd: usd("1.5"), billed: 5, ..CounterSum::default() });
    let ask = |new: &[(CounterKey, Period)]| {
        let sums = vec![record; new.len()];
        move || {
            // The ledger is not locked: one attempt ends, one comes and goes, and one is settled by a clock far ahead.
            settle(running, pictures(1, usd("0.25")));
            spend(same.0, same.1, "0.125", NOON);
            spend(same.0, same.1, "7", far);
            Ok::<_, ()>(sums)
        }
    };
    ledger.count(&counter_keys(&plan), NOON, ask).unwrap();
    for key in counter_keys(&plan) {
        let settled = ledger.counter(&key, NOON).unwrap().settled;
        assert_eq!((settled.usd, settled.billed), (usd("1.875"), 7), "{key}");
        assert_eq!(ledger.counter(&key, far).unwrap().settled.usd, usd("7"), "{key}");
        assert_eq!(ledger.counter(&key, NOON).unwrap().reserved, Usd::ZERO);
    }
}

#[test]
fn what_a_record_misses_because_it_was_read_before_is_in_the_windows_all_the_same() {
    let plan = plan("", "price: 0.3");
    let ledger = ledger(&plan);
    spend(&ledger, &plan, "0.5", NOON);
    let same = (&ledger, &plan);
    let ask = |mut windows: Windows| {
        windows.add(
            NOON,
            &owner("t"),
            WindowFact { usd: usd("0.5"), accepted: 1, attempts: 1, ..WindowFact::default() },
        );
        move || {
            spend(same.0, same.1, "0.25", NOON);
            same.0.judge(NOON, &owner("t"), VerdictChange { accepted: -1, rejected: 1 });
            Ok::<_, ()>(windows)
        }
    };
    ledger.look_back(days(31), ask).unwrap();
    let sum = ledger.sum(Dimension::All, "", days(1), NOON);
    assert_eq!((sum.usd, sum.attempts, sum.accepted, sum.rejected), (usd("0.75"), 2, 1, 1));
    assert_eq!(ledger.look_back(days(31), |_| || Err("it is told already")), Ok(()));
}
