//! Reports: their groups, their pages, and a cost per picture.

use super::*;

#[tokio::test]
async fn a_report_groups_by_everything_it_knows() {
    let store = memory();
    let late = at("2026-11-25T23:30:00Z");
    for (id, tenant, provider, when) in [(1, "web", "p", now()), (2, "web", "q", late), (3, "app", "q", late)] {
        store.write_unawaited(open_of(id, owner(tenant, provider)));
        store.write_unawaited(settled(id, when, 10 * id, &["a", "b"][..(id as usize).min(2)]));
    }
    let (tenant, route): (Arc<str>, Arc<str>) = ("web".into(), "r".into());
    let saved = |pictures| Write::Saved {
        at: now(),
        tenant: tenant.clone(),
        route: route.clone(),
        tier: "exact",
        pictures,
        usd: Usd::from_nanos(5),
    };
    store.write_unawaited(saved(1));
    store.write_unawaited(saved(2));
    let table = |by: ReportBy| {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let rows = store.report(&ReportQuery { by: vec![by], zone, ..ReportQuery::default() }).unwrap();
        rows.iter()
            .map(|row| format!("{}={}+{}", row.keys[0], row.figures.usd.nanos(), row.figures.saved_usd.nanos()))
            .collect::<Vec<_>>()
    };
    assert_eq!(table(ReportBy::Day), ["2026-11-25=10+10", "2026-11-26=50+0"]);
    assert_eq!(table(ReportBy::Provider), ["=0+10", "p=10+0", "q=50+0"]);
    assert_eq!(table(ReportBy::Model), ["=0+10", "m=60+0"]);
    assert_eq!(table(ReportBy::Route), ["r=60+10"]);
    assert_eq!(table(ReportBy::Tenant), ["app=30+0", "web=30+10"]);
    assert_eq!(table(ReportBy::Source), ["=0+10", "table=60+0"]);
    assert_eq!(table(ReportBy::Request), ["=0+10", "req-1=10+0", "req-2=20+0", "req-3=30+0"]);
    let whole = store.report(&ReportQuery::default()).unwrap();
    let figures = whole[0].figures;
    assert_eq!((figures.attempts, figures.billed, figures.accepted, figures.saved_pictures), (3, 3, 5, 3));
    assert_eq!(figures.cost_per_accepted(), Some(Usd::from_nanos(13)), "63 over 5, half up");
    assert_eq!((figures.timed, figures.average_ms()), (3, Some(2)), "1.5 ms each, to the nearest");
    let filter = Filter { provider: Some("q".to_owned()), ..Filter::default() };
    let some = ReportQuery {
        since: Some(late),
        until: Some(late.after(Duration::from_millis(1))),
        filter,
        ..ReportQuery::default()
    };
    assert_eq!(store.report(&some).unwrap()[0].figures.usd.nanos(), 50);
    assert!(
        store
            .report(&ReportQuery { until: Some(at("2020-01-01T00:00:00Z")), ..ReportQuery::default() })
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_pages_of_a_report_are_the_report() {
    let dir = tempdir().unwrap();
    for store in [memory(), opened(&dir, OnLedgerError::Refuse)] {
        for id in 1..=40i64 {
            let (tenant, provider) = (["web", "app", ""][id as usize % 3], ["p", "q"][id as usize % 2]);
            store.write_unawaited(open_of(id, owner(tenant, provider)));
            store.write_unawaited(settled(id, now().after(Duration::from_secs(7 * 3600 * id as u64)), id, &["x"]));
        }
        let total = store.report(&ReportQuery::default()).unwrap()[0].figures;
        for by in [
            vec![ReportBy::Day],
            vec![ReportBy::Tenant, ReportBy::Day],
            vec![ReportBy::Day, ReportBy::Provider, ReportBy::Tenant],
            vec![ReportBy::Request],
        ] {
            let query = ReportQuery { by, zone: "Asia/Kolkata".parse().unwrap(), ..ReportQuery::default() };
            let whole = store.report(&query).unwrap();
            assert!(whole.is_sorted_by_key(|row| &row.keys) && whole.len() > 4);
            for limit in [1, 3, whole.len() - 1, whole.len(), whole.len() + 1] {
                let (mut rows, mut after) = (Vec::new(), None);
                loop {
                    let page = store.page(&query, &Page { after, limit }).unwrap();
                    assert!(page.rows.len() <= limit && page.total == total);
                    rows.extend(page.rows);
                    if !page.more {
                        break;
                    }
                    after = rows.last().map(|row| row.keys.clone());
                }
                assert_eq!(rows, whole, "{limit} by {:?}", query.by);
            }
        }
    }
}

#[test]
fn a_cost_per_picture_is_rounded_half_up_and_nothing_over_nothing_is_nothing() {
    let of = |nanos, accepted| Figures { usd: Usd::from_nanos(nanos), accepted, ..Figures::default() };
    let cost = |nanos, accepted| of(nanos, accepted).cost_per_accepted().map(Usd::nanos);
    assert_eq!(
        [cost(5, 2), cost(4, 3), cost(-5, 2), cost(7, 0), cost(i64::MAX, 1)],
        [Some(3), Some(1), Some(-2), None, Some(i64::MAX)]
    );
}

#[test]
fn the_average_time_is_of_the_calls_whose_time_is_known_also_when_they_have_become_sums() {
    let of = |timed, micros| Figures { timed, took: Duration::from_micros(micros), ..Figures::default() }.average_ms();
    assert_eq!([of(0, 0), of(2, 2_999), of(2, 3_000), of(1, 499)], [None, Some(1), Some(2), Some(0)]);
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for (id, millis) in [(1, 100), (2, 200), (3, 0)] {
        store.write_unawaited(opens(id));
        let Write::Settle { settlement, .. } = settled(id, now(), 1, &[]) else { unreachable!() };
        store.write_unawaited(Write::Settle {
            id,
            settlement: Settlement { took: Duration::from_millis(millis), ..settlement },
        });
    }
    let figures = || store.report(&ReportQuery::default()).unwrap()[0].figures;
    assert_eq!((figures().attempts, figures().timed, figures().average_ms()), (3, 2, Some(150)));
    let before = figures();
    assert_eq!(sweep(&store, now().after(YEAR * 2), YEAR).unwrap(), 3);
    assert_eq!((figures(), ask(dir.path(), "SELECT timed FROM history")), (before, 2));
}
