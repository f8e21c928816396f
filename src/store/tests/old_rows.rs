//! Old rows become sums, and the store takes no more room than it may.

use super::*;

#[tokio::test]
async fn old_rows_become_sums_and_no_total_changes() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for id in 1..=1200 {
        store.write_unawaited(open_of(id, owner(["web", "app"][id as usize % 2], "p")));
        let when = at("2026-11-01T10:07:00Z").after(Duration::from_secs(60 * id as u64));
        store.write_unawaited(settled(id, when, id, &["a", "b"]));
    }
    store.write(opens(1201)).await.unwrap();
    let (before, web) = (all(&store), Filter { tenant: Some("web".to_owned()), ..Filter::default() });
    let before_web = sums(&store, None, &web).unwrap();
    let days = ReportQuery {
        by: vec![ReportBy::Day, ReportBy::Tenant],
        zone: "Asia/Kathmandu".parse().unwrap(),
        ..ReportQuery::default()
    };
    let report = store.report(&days).unwrap();
    assert_eq!(sweep(&store, at("2026-12-01T00:00:00Z"), Duration::from_secs(86_400 * 28)).unwrap(), 1200);
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM attempts"), 1, "what is under way stays");
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM pictures"), 0);
    assert_eq!((all(&store), sums(&store, None, &web).unwrap()), (before, before_web));
    assert_eq!(store.report(&days).unwrap(), report, "days of a zone still add up");
    store.write(Write::Release { id: 1201 }).await.unwrap();
    drop(store);
    let again = Store::open(place(&dir), options(OnLedgerError::Refuse), now()).unwrap();
    assert_eq!((again.last_id, all(&again.store)), (1200, before), "no id is used twice");
}

#[tokio::test]
async fn the_newest_moment_makes_old_rows_old_without_anybody_asking() {
    let store = memory();
    store.write_unawaited(opens(1));
    store.write_unawaited(settled(1, now(), 40, &["a"]));
    store.write_unawaited(opens(2));
    store.write_unawaited(settled(2, now().after(YEAR * 2), 40, &["a"]));
    loop {
        let rows = store.run_on_writer(|ledger| Ok(retention::rows(ledger)?))().unwrap();
        if rows == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(all(&store).usd.nanos(), 80);
}

#[tokio::test]
async fn the_store_tells_what_it_takes_in_memory_and_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    for store in [memory(), opened(&dir, OnLedgerError::Refuse)] {
        let mut before = 0;
        for id in 1..=1000 {
            store.write_unawaited(opens(id));
            store.write_unawaited(settled(id, now(), 1, &["a", "b"]));
            if id % 500 == 0 {
                while store.health().rows < id.unsigned_abs() * 2 {
                    tokio::task::yield_now().await;
                }
                // What the writer does after a commit is done when it does something else.
                store.run_on_writer(|_| Ok(()))().unwrap();
                assert!(store.health().bytes >= before + 500 * 150, "{} after {before}", store.health().bytes);
                before = store.health().bytes;
            }
        }
    }
}

#[test]
fn memory_holds_the_newest_rows_and_every_sum() {
    let options = Options { memory_rows: 100, ..options(OnLedgerError::Refuse) };
    let store = Store::open(Location::Memory, options, now()).unwrap().store;
    for id in 1..=5000 {
        store.write_unawaited(opens(id));
        store.write_unawaited(settled(id, now(), 1, &[]));
    }
    while store.run_on_writer(|ledger| Ok(retention::rows(ledger)?))().unwrap() > 110 {}
    assert_eq!((all(&store).attempts, all(&store).usd.nanos()), (5000, 5000));
    assert_eq!(recent(&store, now()).unwrap().last().map(|row| row.at), Some(now()));
}
