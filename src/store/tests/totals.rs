//! What is read adds up to what was written.

use super::*;

#[tokio::test]
async fn a_verdict_counts_once_and_only_for_whom_the_picture_was_drawn() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for (id, tenant, nanos) in [(1, "web", 40), (2, "app", 50), (3, "web", 60)] {
        store.write_unawaited(open_of(id, owner(tenant, "p")));
        store.write_unawaited(settled(id, now().after(Duration::from_secs(id as u64)), nanos, &["fox", "hen"]));
    }
    let judge = |tenant: &'static str, verdict| store.judge("fox", tenant, verdict, Some("six legs".to_owned()), now());
    assert!(judge("else", Verdict::Rejected).await.unwrap().is_none());
    let first = judge("web", Verdict::Rejected).await.unwrap().unwrap();
    assert_eq!((first.changed, first.before, first.usd.nanos()), (true, Verdict::Accepted, 60), "the newest delivery");
    assert_eq!((first.entry_at, &*first.owner.tenant), (now().after(Duration::from_secs(3)), "web"));
    let second = judge("web", Verdict::Rejected).await.unwrap().unwrap();
    assert_eq!((second.changed, second.before), (false, Verdict::Rejected));
    let of = |tenant: &str| {
        let sums = sums(&store, None, &Filter { tenant: Some(tenant.to_owned()), ..Filter::default() }).unwrap();
        (sums.accepted, sums.rejected)
    };
    assert_eq!((of("web"), of("app")), ((3, 1), (2, 0)));
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM pictures WHERE reason = 'six legs' AND attempt = 3"), 1);
    assert!(judge("web", Verdict::Accepted).await.unwrap().unwrap().changed);
    assert_eq!(of("web"), (4, 0));
}

#[test]
fn a_sum_that_does_not_fit_is_an_error_and_no_other_number() {
    let store = memory();
    let later = now().after(Duration::from_secs(1));
    for (id, at) in [(1, now()), (2, later)] {
        store.write_unawaited(opens(id));
        store.write_unawaited(settled(id, at, i64::MAX, &[]));
    }
    assert!(matches!(sums(&store, None, &Filter::default()), Err(StoreError::TooMuch)));
    assert!(matches!(store.report(&ReportQuery::default()), Err(StoreError::TooMuch)));
    assert!(sweep(&store, now().after(YEAR * 2), YEAR).is_err());
    let one = sums(&store, Some(later), &Filter::default()).unwrap();
    assert_eq!(one.usd.nanos(), i64::MAX, "nothing was rolled up");
}

#[test]
fn what_is_read_stands_where_it_was_asked_for_whatever_comes_before_it_is_waited_for() {
    let dir = tempdir().unwrap();
    for store in [memory(), opened(&dir, OnLedgerError::Refuse)] {
        let earlier = [store.reading(|view| view.sums(None, &Filter::default()))];
        let mut asked = Vec::from(earlier);
        for id in 1..=20 {
            store.write_unawaited(opens(id));
            store.write_unawaited(settled(id, now(), 1, &[]));
            asked.push(store.reading(|view| view.sums(None, &Filter::default())));
        }
        store.flush().unwrap();
        for (many, reading) in asked.into_iter().enumerate() {
            assert_eq!(reading.wait().unwrap().usd.nanos(), many as i64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sums_are_what_adding_up_by_hand_makes_of_it(
        rows in proptest::collection::vec((0usize..3, 0usize..2, 0u64..200_000, -1_000_000_000_000i64..1_000_000_000_000), 0..60),
        since in 0u64..200_000, swept in 0u64..200_000,
    ) {
        let store = memory();
        let begin = now();
        let (tenants, providers) = (["a", "b", "c"], ["p", "q"]);
        for (id, (tenant, provider, after, nanos)) in (1i64..).zip(&rows) {
            store.write_unawaited(open_of(id, owner(tenants[*tenant], providers[*provider])));
            store.write_unawaited(settled(id, begin.after(Duration::from_secs(*after)), *nanos, &["x"]));
        }
        let by_hand = |keep: &dyn Fn(usize, u64) -> bool| {
            let kept = rows.iter().filter(|row| keep(row.0, row.2));
            kept.fold((0, 0), |(count, sum), row| (count + 1, sum + row.3))
        };
        let told = |since, tenant: Option<&str>| {
            let filter = Filter { tenant: tenant.map(str::to_owned), ..Filter::default() };
            let sums = sums(&store, since, &filter).unwrap();
            (sums.attempts, sums.usd.nanos())
        };
        let from = begin.after(Duration::from_secs(since));
        prop_assert_eq!(told(Some(from), Some("b")), by_hand(&|tenant, after| tenant == 1 && after >= since));
        prop_assert_eq!(told(None, None), by_hand(&|_, _| true));
        sweep(&store, begin.after(Duration::from_secs(swept)), Duration::ZERO).unwrap();
        prop_assert_eq!(told(None, None), by_hand(&|_, _| true));
        prop_assert_eq!(told(None, Some("c")), by_hand(&|tenant, _| tenant == 2));
        let ids: BTreeSet<_> = recent(&store, begin.after(Duration::from_secs(swept))).unwrap().iter().map(|row| row.at).collect();
        prop_assert!(ids.iter().all(|at| *at >= begin.after(Duration::from_secs(swept))));
    }
}
