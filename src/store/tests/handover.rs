//! One ledger, and two processes of which one hands over to the other.

use super::*;
use crate::idempotency::{KeyName, KeyState};
use crate::store::handover::{NUMBERS, PredecessorCursor};

fn beside(dir: &TempDir) -> OpenedStore {
    let options = Options { beside_predecessor: true, ..options(OnLedgerError::Refuse) };
    Store::open(place(dir), options, now()).unwrap()
}

fn claim(number: u8, request: &str) -> KeyClaim {
    let (tenant, key) = ("web".into(), "k".into());
    KeyClaim { name: KeyName([number; 32]), begun: now(), tenant, key, digest: [number; 32], request: request.into() }
}

#[tokio::test]
async fn the_new_process_counts_from_one_state_of_the_file_and_follows_what_the_old_one_does_after_it() {
    let dir = tempdir().unwrap();
    let old = opened(&dir, OnLedgerError::Refuse);
    for id in 1..=4 {
        old.write(opens(id)).await.unwrap();
    }
    old.write(settled(1, now(), 40, &["a"])).await.unwrap();
    assert!(Store::open(place(&dir), options(OnLedgerError::Refuse), now()).is_err(), "the lock is the old one's");
    old.hand_over().unwrap();
    let OpenedStore { store: new, interrupted, .. } = beside(&dir);
    assert_eq!(interrupted, 0);
    // Whatever the old one does now is not part of what the new one begins with.
    old.write(settled(2, now(), 50, &["b", "c"])).await.unwrap();
    old.write(Write::Release { id: 3 }).await.unwrap();
    old.write(opens(5)).await.unwrap();
    old.write(opens(6)).await.unwrap();
    old.write(settled(6, now(), 60, &["d"])).await.unwrap();
    let (under_way, newest) = new.under_way().unwrap();
    assert_eq!((under_way.iter().map(|entry| entry.id).collect::<Vec<_>>(), newest), (vec![2, 3, 4], 4));
    assert_eq!(all(&new).usd.nanos(), 40);
    new.unpin();
    // From here on it follows.
    let last = 4 + NUMBERS;
    new.write(opens(last + 1)).await.unwrap();
    let cursor = PredecessorCursor { known: vec![2, 3, 4], newest, last };
    let rows = new.predecessor_rows(cursor).unwrap();
    assert_eq!(rows.opened.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5, 6], "not its own");
    assert_eq!((&*rows.opened[0].request, rows.opened[0].estimate.nanos(), rows.opened[0].pictures), ("req-5", 7, 1));
    let settled: Vec<(i64, i64, usize)> =
        rows.settled.iter().map(|(id, end)| (*id, end.usd.nanos(), end.pictures.len())).collect();
    assert_eq!((settled, rows.released), (vec![(2, 50, 2), (6, 60, 1)], vec![3]));
    // The old one dies with what it has: that may be charged, and what is the new one's is under way still.
    drop(old);
    assert_eq!(new.settle_other((0, last), Vec::new()).unwrap(), (2, Usd::from_nanos(14)));
    assert_eq!(new.under_way().unwrap().0.iter().map(|entry| entry.id).collect::<Vec<_>>(), [last + 1]);
    assert!(Store::open(place(&dir), options(OnLedgerError::Refuse), now()).is_err(), "the lock is the new one's");
}

#[tokio::test]
async fn where_the_new_process_ends_before_it_serves_the_old_one_has_the_lock_again() {
    let dir = tempdir().unwrap();
    let old = opened(&dir, OnLedgerError::Refuse);
    old.hand_over().unwrap();
    let new = beside(&dir).store;
    assert!(old.take_back().is_err());
    drop(new);
    old.take_back().unwrap();
    assert!(Store::open(place(&dir), options(OnLedgerError::Refuse), now()).is_err());
    old.write(opens(1)).await.unwrap();
}

#[tokio::test]
async fn a_key_is_the_first_one_s_that_writes_it_and_what_a_dead_process_leaves_of_it_is_as_after_a_crash() {
    let dir = tempdir().unwrap();
    let old = opened(&dir, OnLedgerError::Refuse);
    for (number, request) in [(1, "req-1"), (2, "req-2")] {
        old.write(Write::Key(KeyWrite::Begun(claim(number, request)))).await.unwrap();
    }
    old.write(opens(1)).await.unwrap();
    old.hand_over().unwrap();
    let new = beside(&dir).store;
    new.unpin();
    let taken = new.claim_key(claim(1, "other")).unwrap().unwrap();
    assert_eq!((taken.key.state, taken.key.digest), (KeyState::UnderWay, [1; 32]));
    assert!(new.claim_key(claim(3, "new")).unwrap().is_none());
    assert!(new.claim_key(claim(3, "new")).unwrap().is_none(), "a batch may be made twice");
    assert!(old.claim_key(claim(3, "old")).unwrap().is_some());
    drop(old);
    new.settle_other((0, NUMBERS), vec![KeyName([3; 32])]).unwrap();
    let keys = new.reading(|view| view.idempotency_keys()).wait().unwrap();
    let keys: Vec<_> = keys.iter().map(|stored| (stored.key.name.0[0], stored.key.state)).collect();
    // Of the second nothing was paid, so it is free.
    assert_eq!(keys, [(1, KeyState::Interrupted), (3, KeyState::UnderWay)]);
}
