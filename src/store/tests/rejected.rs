//! Pictures that were rejected before they were delivered, in the tables: their number, their reasons, and what happens
//! to both when their viewers speak, the file is opened again, and rows become sums.

use super::*;

/// An attempt that was charged `nanos`, with these pictures delivered and others rejected for these reasons.
fn rejected(id: i64, nanos: i64, images: &[&str], reasons: &[&'static str]) -> Write {
    let Write::Settle { settlement, .. } = settled(id, now(), nanos, images) else { unreachable!() };
    let rejections = reasons.iter().copied().collect();
    Write::Settle { id, settlement: Settlement { rejections, prepaid: Usd::ZERO, ..settlement } }
}

/// A line for each reason: attempts, accepted and rejected pictures, nano-dollars.
fn by_reason(store: &Store) -> Vec<String> {
    let by = vec![ReportBy::Reason];
    let rows = store.report(&ReportQuery { by, ..ReportQuery::default() }).unwrap();
    let line = |row: &ReportRow| {
        let Figures { attempts, accepted, rejected, usd, .. } = row.figures;
        format!("{}: {attempts} {accepted} {rejected} {}", row.keys[0], usd.nanos())
    };
    rows.iter().map(line).collect()
}

#[tokio::test]
async fn rejected_pictures_are_counted_and_the_report_says_what_each_reason_cost() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for (id, images, reasons) in [
        (1, &["fox"][..], &[][..]),
        (2, &[], &["blank"]),
        (3, &["hen"], &["truncated", "blank", "truncated"]),
        (4, &[], &["blank", "blank"]),
    ] {
        store.write_unawaited(opens(id));
        // Twice, as after a commit of which nobody knows whether it reached the disk.
        store.write_unawaited(rejected(id, 10 * id, images, reasons));
        store.write_unawaited(rejected(id, 10 * id, images, reasons));
    }
    let told = [": 1 1 0 10", "blank: 2 0 3 60", "blank+truncated: 1 1 3 30"];
    assert_eq!(by_reason(&store), told);
    assert_eq!((all(&store).accepted, all(&store).rejected), (2, 6));
    let counted: Vec<u32> = recent(&store, now()).unwrap().iter().map(|row| row.rejected).collect();
    assert_eq!(counted, [0, 1, 3, 2]);

    let judge = |verdict| store.judge("hen", "web", verdict, None, now());
    assert!(judge(Verdict::Rejected).await.unwrap().unwrap().changed);
    assert!(!judge(Verdict::Rejected).await.unwrap().unwrap().changed);
    assert_eq!((all(&store).accepted, all(&store).rejected), (1, 7), "a viewer's word is added, once");
    assert!(judge(Verdict::Accepted).await.unwrap().unwrap().changed);
    drop(store);
    let again = opened(&dir, OnLedgerError::Refuse);
    assert_eq!(by_reason(&again), told);
    let before = all(&again);
    assert_eq!(sweep(&again, now().after(YEAR * 2), YEAR).unwrap(), 4);
    assert_eq!((all(&again), by_reason(&again)), (before, vec![": 4 2 6 100".to_owned()]), "sums know no reasons");
}

#[test]
fn a_ledger_of_the_version_before_keeps_its_rejected_pictures_and_has_no_reason_for_them() {
    let dir = tempdir().unwrap();
    let mut old = Connection::open(dir.path().join(connection::FILE)).unwrap();
    schema::migrate(&mut old, &schema::STEPS[..4]).unwrap();
    assert!(old.prepare("SELECT reason FROM attempts").is_err(), "the fifth step brings it");
    old.execute_batch(
        "INSERT INTO attempts (id, opened_at, settled_at, request, tenant, route, provider, model, purpose, asked,
         estimate, usd, billed, accepted, rejected, outcome, chosen)
         VALUES (9, 1, 2, 'q', 'web', 'r', 'p', 'm', 'draw', 3, 5, 30, 3, 2, 1, 'ok', 'first');
         INSERT INTO history VALUES (0, 'web', 'r', 'p', 'm', 'table', 4, 4, 1, 3, 0, 40, 0, 0, 0, 4, 6000);",
    )
    .unwrap();
    drop(old);
    let store = opened(&dir, OnLedgerError::Refuse);
    assert_eq!((all(&store).accepted, all(&store).rejected, all(&store).usd.nanos()), (3, 4, 70));
    assert_eq!(by_reason(&store), [": 5 3 4 70"]);
    store.write_unawaited(opens(10));
    store.write_unawaited(rejected(10, 10, &[], &["blank"]));
    assert_eq!(by_reason(&store), [": 5 3 4 70", "blank: 1 0 1 10"]);
}
