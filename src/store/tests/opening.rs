//! A file that is opened: after a crash, beside another process, and written by an older or a newer version.

use super::*;
use crate::equivalences::{Equivalence, PairState};
use crate::idempotency::{KeyName, KeyState};
use crate::prompt_match::WordPair;
use crate::store;
use crate::store::EquivalenceWrite;

#[tokio::test]
async fn what_was_under_way_when_the_process_died_may_have_been_charged() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for id in 1..=3 {
        store.write(opens(id)).await.unwrap();
    }
    store.write(settled(1, now(), 40, &["a"])).await.unwrap();
    store.write(Write::Release { id: 3 }).await.unwrap();
    drop(store);
    let again = Store::open(place(&dir), options(OnLedgerError::Refuse), at("2026-12-25T12:00:00Z")).unwrap();
    assert_eq!((again.last_id, again.interrupted, again.interrupted_usd), (2, 1, Usd::from_nanos(7)));
    let sums = all(&again.store);
    assert_eq!((sums.attempts, sums.usd.nanos(), sums.uncertain.nanos()), (2, 40, 7));
    let recent = recent(&again.store, now()).unwrap();
    let last = recent.iter().find(|row| row.outcome == "interrupted").unwrap();
    assert_eq!((last.at, last.cost, last.accepted), (now(), Usd::ZERO, 0), "it belongs to when it was sent");
    drop(again);
    assert_eq!(Store::open(place(&dir), options(OnLedgerError::Refuse), now()).unwrap().interrupted, 0);
}

#[tokio::test]
async fn one_process_writes_and_others_read_meanwhile() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    let second = Store::open(place(&dir), options(OnLedgerError::Refuse), now()).err().unwrap();
    assert!(matches!(&second, StoreError::Taken { file } if file.ends_with(connection::FILE)), "{second}");
    let reader = connection::read(dir.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM attempts").unwrap();
    let mut seen = 0;
    for id in 1..=200 {
        let (open, settle) = (store.write(opens(id)), store.write(settled(id, now(), 1, &["x"])));
        open.await.unwrap();
        settle.await.unwrap();
        let rows = report::of_file(dir.path(), &ReportQuery::default()).unwrap();
        assert!(rows[0].figures.attempts > seen);
        seen = rows[0].figures.attempts;
    }
    assert_eq!(reader.query_row("SELECT count(*) FROM attempts", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert!(reader.execute("DELETE FROM attempts", []).is_err(), "a reader writes nothing");
    assert!(store.close(Duration::from_secs(60)).await);
    opened(&dir, OnLedgerError::Refuse);
}

#[test]
fn every_version_becomes_the_present_one_and_a_newer_one_is_refused() {
    for version in 1..=schema::STEPS.len() {
        let dir = tempdir().unwrap();
        let mut old = Connection::open(dir.path().join(connection::FILE)).unwrap();
        schema::migrate(&mut old, &schema::STEPS[..version]).unwrap();
        old.execute_batch(
            "INSERT INTO attempts (id, opened_at, settled_at, request, tenant, route, provider, model, purpose, asked,
             estimate, usd) VALUES (9, 1, 2, 'q', 't', 'r', 'p', 'm', 'draw', 1, 5, 4)",
        )
        .unwrap();
        drop(old);
        let now = Store::open(place(&dir), options(OnLedgerError::Refuse), Moment::from_millis(3)).unwrap();
        assert_eq!((now.last_id, all(&now.store).usd.nanos()), (9, 4), "version {version}");
        drop(now);
        let newer = Connection::open(dir.path().join(connection::FILE)).unwrap();
        newer.pragma_update(None, "user_version", 1000).unwrap();
        drop(newer);
        let refused = Store::open(place(&dir), options(OnLedgerError::Refuse), Moment::from_millis(3)).err().unwrap();
        assert!(refused.to_string().contains("version 1000"), "{refused}");
        assert!(matches!(connection::read(dir.path()), Err(StoreError::TooNew { found: 1000, .. })));
    }
}

#[test]
fn steps_are_taken_once_each_and_all_or_none() {
    let mut ledger = Connection::open_in_memory().unwrap();
    let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y", "nonsense"];
    schema::migrate(&mut ledger, &steps[..1]).unwrap();
    assert!(schema::migrate(&mut ledger, &steps).is_err());
    assert!(ledger.prepare("SELECT y FROM a").is_err(), "nothing of a change that failed");
    schema::migrate(&mut ledger, &steps[..2]).unwrap();
    schema::migrate(&mut ledger, &steps[..2]).unwrap();
    assert!(ledger.prepare("SELECT y FROM a").is_ok());
    assert!(matches!(schema::migrate(&mut ledger, &steps[..1]), Err(StoreError::TooNew { found: 2, known: 1 })));
}

/// What a key's row says after the store was opened anew.
fn keys(store: &Store) -> Vec<(u8, &'static str)> {
    let read = store.reading(|view| view.idempotency_keys()).wait().unwrap();
    read.iter().map(|stored| (stored.key.name.0[0], stored.key.state.as_str())).collect()
}

/// The key of this number, begun by request `request`.
fn begun(number: u8, request: &str) -> Write {
    Write::Key(KeyWrite::Begun(KeyClaim {
        name: KeyName([number; 32]),
        begun: now(),
        tenant: "web".into(),
        key: "k".into(),
        digest: [number; 32],
        request: request.into(),
    }))
}

#[tokio::test]
async fn of_keys_under_way_a_crash_leaves_those_that_may_have_been_charged() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    let of = |id: i64| format!("req-{id}");
    // The first may have been charged, the second was, the third was not, the fourth asked nobody.
    for (number, request) in [(1, of(1)), (2, of(2)), (3, of(3)), (4, "nobody".to_owned()), (5, of(5))] {
        store.write(begun(number, &request)).await.unwrap();
    }
    for id in 1..=3 {
        store.write(opens(id)).await.unwrap();
    }
    store.write(settled(2, now(), 40, &["a"])).await.unwrap();
    store.write(Write::Settle { id: 3, settlement: Settlement::nothing(now()) }).await.unwrap();
    // The fifth was answered; a word about an earlier key of its name is no word about it.
    let name = KeyName([5; 32]);
    let (state, checksum) = (KeyState::Answered, Some([9; 32]));
    store.write(Write::Key(KeyWrite::Ended { name, begun: now(), state, bytes: 7, checksum })).await.unwrap();
    let earlier = now().before(Duration::from_secs(1));
    store.write(Write::Key(KeyWrite::Forgotten { name, begun: earlier })).await.unwrap();
    drop(store);
    let again = opened(&dir, OnLedgerError::Refuse);
    assert_eq!(keys(&again), [(1, "interrupted"), (2, "interrupted"), (5, "answered")]);
    let read = again.reading(|view| view.idempotency_keys()).wait().unwrap();
    let StoredKey { key, checksum } = &read[2];
    assert_eq!((key.bytes, key.digest, *checksum, &*key.tenant), (7, [5; 32], Some([9; 32]), "web"));
    again.write(Write::Key(KeyWrite::Forgotten { name, begun: now() })).await.unwrap();
    assert_eq!(keys(&again), [(1, "interrupted"), (2, "interrupted")]);
}

#[tokio::test]
async fn pairs_of_words_that_were_decided_on_are_there_after_a_restart_and_for_who_only_reads() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    let pair = |state, until| Equivalence {
        tenant: "web".into(),
        pair: WordPair::of("rabbit", "bunny"),
        state,
        by: "judge/m".into(),
        since: now(),
        until,
    };
    let known = |equivalence: &Equivalence| Write::Equivalence(EquivalenceWrite::Known(equivalence.clone()));
    let approved = pair(PairState::Approved, Some(now().after(Duration::from_secs(60))));
    store.write(known(&approved)).await.unwrap();
    assert_eq!(store::equivalences_of(dir.path()).unwrap(), [approved]);
    let struck = pair(PairState::Struck, None);
    store.write(known(&struck)).await.unwrap();
    drop(store);
    let again = opened(&dir, OnLedgerError::Refuse);
    assert_eq!(again.reading(|view| view.equivalences()).wait().unwrap(), std::slice::from_ref(&struck));
    let forgotten = EquivalenceWrite::Forgotten { tenant: "web".into(), pair: struck.pair };
    again.write(Write::Equivalence(forgotten)).await.unwrap();
    assert_eq!(store::equivalences_of(dir.path()).unwrap(), []);
    assert_eq!(store::equivalences_of(&dir.path().join("none")).unwrap(), []);
}
