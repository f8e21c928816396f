//! What waits is written in its order and once, and whoever waits for it is answered after its commit.

use super::*;

#[tokio::test]
async fn who_waits_is_answered_after_one_commit_for_all() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    let before = store.health().batches;
    let (go, gate) = channel::<()>();
    store.queue.ask(QueueItem::Job(Box::new(move |_| gate.recv().unwrap_or_default())));
    let waiting: Vec<_> = (1..=50).map(|id| tokio::spawn(store.write(opens(id)))).collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM attempts"), 0);
    go.send(()).unwrap();
    for task in waiting {
        assert_eq!(task.await.unwrap(), Ok(()));
        assert_eq!(ask(dir.path(), "SELECT count(*) FROM attempts"), 50);
    }
    let health = store.health();
    assert_eq!((health.batches - before, health.rows, health.writable, health.lost), (1, 50, true, 0));
}

#[tokio::test]
async fn more_than_may_wait_is_lost_and_counted() {
    let dir = tempdir().unwrap();
    let options = Options { backlog: 4, ..options(OnLedgerError::Continue) };
    let store = Store::open(place(&dir), options, now()).unwrap().store;
    let other = Connection::open(dir.path().join(connection::FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for id in 1..=10 {
        store.write(opens(id)).await.unwrap();
        store.write(settled(id, now(), 40, &["a"])).await.unwrap();
    }
    other.execute_batch("ROLLBACK").unwrap();
    let (sums, lost) = (all(&store), store.health().lost);
    assert!(lost > 0 && sums.attempts + lost == 10, "{sums:?} {lost}");
    let newest = ask(dir.path(), "SELECT count(*) FROM attempts WHERE id = 10 AND settled_at IS NOT NULL");
    assert_eq!(newest, 1, "the oldest go first");
}

#[tokio::test]
async fn closing_writes_what_waits_and_nothing_comes_after() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for id in 1..=100 {
        store.write_unawaited(opens(id));
    }
    assert!(store.close(Duration::from_secs(60)).await);
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM attempts"), 100);
    assert_eq!(store.write(opens(101)).await, Err(Unwritten));
    assert_eq!(store.health().lost, 1);
    assert!(matches!(store.flush(), Err(StoreError::Unwritten)));
}

#[tokio::test]
async fn closing_does_not_wait_for_ever_and_says_that_something_is_lost() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Continue);
    let other = Connection::open(dir.path().join(connection::FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    store.write(opens(1)).await.unwrap();
    assert!(!store.close(Duration::ZERO).await);
    let mut ended = store.ended.clone();
    while ended.changed().await.is_ok() {}
    assert_eq!(store.health().lost, 1);
}

#[tokio::test]
async fn what_happens_twice_is_written_once_and_nonsense_holds_nobody_up() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for write in [opens(1), opens(1), settled(1, now(), 40, &["a"]), settled(1, now(), 50, &["a"])] {
        store.write(write).await.unwrap();
    }
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM pictures"), 1);
    let Write::Open(mut other) = opens(1) else { return };
    other.request = "somebody-else".into();
    assert_eq!(store.write(Write::Open(other)).await, Err(Unwritten));
    assert_eq!(store.write(settled(77, now(), 1, &[])).await, Err(Unwritten));
    assert_eq!((all(&store).usd.nanos(), store.health().lost, store.health().writable), (40, 2, true));
}
