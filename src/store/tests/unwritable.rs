//! A disk that is full, a file that is gone, and one that is locked.

use super::*;

/// A store on a disk that is full but for what is left in the pages it has; [`make_room`] ends that.
fn on_a_full_disk(dir: &TempDir, on_error: OnLedgerError) -> Arc<Store> {
    let fill = |ledger: &Connection| {
        ledger.execute_batch("CREATE TABLE ballast (b BLOB); INSERT INTO ballast VALUES (zeroblob(2000000))")?;
        let pages: i64 = ledger.pragma_query_value(None, "page_count", |row| row.get(0))?;
        ledger.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    };
    Store::open_with(place(dir), options(on_error), now(), fill).unwrap().store
}

fn make_room(dir: &TempDir) {
    let other = Connection::open(dir.path().join(connection::FILE)).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    other.execute_batch("DROP TABLE ballast").unwrap();
}

fn many_images() -> Vec<String> {
    (0..1000).map(|nth| format!("image-{nth:040}")).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_new_attempts_and_keeps_what_is_owed() {
    let dir = tempdir().unwrap();
    let store = on_a_full_disk(&dir, OnLedgerError::Refuse);
    store.write(opens(1)).await.unwrap();
    let images = many_images();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    assert_eq!(store.write(settled(1, now(), 40, &images)).await, Err(Unwritten));
    assert_eq!(store.write(opens(2)).await, Err(Unwritten));
    let health = store.health();
    assert!(!health.writable && health.waiting >= 1 && health.failures >= 1 && health.lost == 0, "{health:?}");
    assert!(matches!(sums(&store, None, &Filter::default()), Err(StoreError::Unwritten)));
    let verdict = store.judge("x", "web", Verdict::Rejected, None, now()).await;
    assert!(matches!(verdict, Err(StoreError::Unwritten)), "{verdict:?}");
    make_room(&dir);
    let sums = all(&store);
    assert_eq!((sums.attempts, sums.usd.nanos(), sums.accepted), (1, 40, 1000));
    assert!(store.health().writable);
    assert_eq!(ask(dir.path(), "SELECT count(*) FROM attempts"), 1, "who was refused has no row");
    store.write(opens(2)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_lets_go_on_who_wants_to_and_catches_up() {
    let dir = tempdir().unwrap();
    let store = on_a_full_disk(&dir, OnLedgerError::Continue);
    let images = many_images();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    for id in 1..=5 {
        store.write(opens(id)).await.unwrap();
        store.write(settled(id, now(), 40, &images)).await.unwrap();
    }
    let health = store.health();
    assert!(!health.writable && health.waiting > 1 && health.lost == 0, "{health:?}");
    make_room(&dir);
    let sums = all(&store);
    assert_eq!((sums.attempts, sums.usd.nanos(), sums.accepted), (5, 200, 5000));
    assert!(store.health().writable && store.health().failures >= 1);
}

#[tokio::test]
async fn a_file_that_is_gone_is_noticed_refuses_new_attempts_and_is_written_again_when_it_is_back() {
    let (dir, away) = (tempdir().unwrap(), tempdir().unwrap());
    let store = opened(&dir, OnLedgerError::Refuse);
    store.write(opens(1)).await.unwrap();
    store.look();
    assert!(store.health().writable);
    let moved = away.path().join("state");
    std::fs::rename(dir.path(), &moved).unwrap();
    store.look();
    assert!(!store.health().writable, "noticed before anything is to be written");
    assert_eq!(store.write(opens(2)).await, Err(Unwritten));
    assert_eq!(store.write(settled(1, now(), 40, &["a"])).await, Err(Unwritten));
    // Another ledger in its place is not this one's.
    std::fs::create_dir(dir.path()).unwrap();
    drop(Connection::open(dir.path().join(connection::FILE)).unwrap());
    assert!(matches!(store.flush(), Err(StoreError::Unwritten)));
    std::fs::remove_dir_all(dir.path()).unwrap();
    std::fs::rename(&moved, dir.path()).unwrap();
    assert_eq!((all(&store).usd.nanos(), store.health().writable), (40, true));
    assert_eq!(ask(dir.path(), "SELECT max(id) FROM attempts"), 1, "who was refused has no row");
}

#[tokio::test]
async fn a_file_that_is_gone_lets_go_on_who_wants_to() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Continue);
    std::fs::remove_dir_all(dir.path()).unwrap();
    store.write(opens(1)).await.unwrap();
    store.write(settled(1, now(), 40, &["a"])).await.unwrap();
    let health = store.health();
    assert!(!health.writable && health.waiting >= 1 && health.lost == 0, "{health:?}");
    assert!(!dir.path().exists(), "and nothing is begun anew behind anybody's back");
}

#[tokio::test]
async fn a_locked_file_refuses_new_attempts_and_keeps_what_is_owed() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    store.write(opens(1)).await.unwrap();
    let other = Connection::open(dir.path().join(connection::FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(store.write(opens(2)).await, Err(Unwritten));
    assert_eq!(store.write(settled(1, now(), 40, &["a"])).await, Err(Unwritten));
    assert!(!store.health().writable);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!((all(&store).usd.nanos(), store.health().writable), (40, true));
    assert_eq!(ask(dir.path(), "SELECT max(id) FROM attempts"), 1);
}

#[tokio::test]
async fn a_locked_file_lets_go_on_who_wants_to_and_catches_up() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Continue);
    let other = Connection::open(dir.path().join(connection::FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for id in 1..=10 {
        store.write(opens(id)).await.unwrap();
        store.write_unawaited(settled(id, now(), 40, &["a"]));
    }
    let health = store.health();
    assert!(!health.writable && health.lost == 0, "{health:?}");
    other.execute_batch("ROLLBACK").unwrap();
    let sums = all(&store);
    assert_eq!((sums.attempts, sums.usd.nanos(), store.health().waiting), (10, 400, 0));
}
