//! The store against real files. Nothing sleeps: a test waits for an answer, or makes the writer try again by asking.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::channel;

use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::calendar::Zone;
use crate::config::plan::OnLedgerError;
use crate::ledger::entry::{CostSource, Delivered, Entry, Owner, Purpose, Settlement};
use crate::store::report::{Figures, ReportBy};
use crate::store::*;

const YEAR: Duration = Duration::from_secs(86_400 * 365);

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn now() -> Moment {
    at("2026-11-25T12:00:00Z")
}

fn owner(tenant: &str, provider: &str) -> Owner {
    Owner { tenant: tenant.into(), route: "r".into(), provider: provider.into(), model: "m".into() }
}

fn open_of(id: i64, owner: Owner) -> Write {
    let (purpose, estimate) = (Purpose::Draw, Usd::from_nanos(7));
    Write::Open(Entry { id, at: now(), request: format!("req-{id}").into(), owner, purpose, pictures: 1, estimate })
}

fn opens(id: i64) -> Write {
    open_of(id, owner("web", "p"))
}

fn settled(id: i64, at: Moment, nanos: i64, images: &[&str]) -> Write {
    let picture = |image: &&str| Delivered { image: (*image).into(), usd: Usd::from_nanos(nanos) };
    let settlement = Settlement {
        at,
        usd: Usd::from_nanos(nanos),
        prepaid: Usd::from_nanos(1),
        lost: Usd::ZERO,
        uncertain: Usd::ZERO,
        source: CostSource::Table,
        billed: 1,
        refused: 0,
        outcome: "ok",
        took: Duration::from_micros(1500),
        pictures: images.iter().map(picture).collect(),
    };
    Write::Settle { id, settlement }
}

fn sums(store: &Store, since: Option<Moment>, filter: &Filter) -> Result<Sums, StoreError> {
    let (within, filter) = (since.map(|start| Period { start, end: None }), filter.clone());
    store.reading(move |view| view.sums(within, &filter)).wait()
}

fn recent(store: &Store, since: Moment) -> Result<Vec<Recent>, StoreError> {
    store.reading(move |view| view.recent(since)).wait()
}

/// Rolls up everything that is past retention, as the writer does once an hour; how many rows.
fn sweep(store: &Store, now: Moment, retention: Duration) -> Result<usize, StoreError> {
    let before = now.before(retention);
    let mut all = 0;
    loop {
        let taken = store.later_on_writer(move |ledger| Ok(retention::step(ledger, before, retention::STEP)?))()?;
        all += taken;
        if taken < retention::STEP {
            return Ok(all);
        }
    }
}

fn options(on_error: OnLedgerError) -> Options {
    Options { patience: Duration::from_secs(60), ..Options::new(YEAR, on_error) }
}

fn place(dir: &TempDir) -> Location {
    Location::Dir(dir.path().to_owned())
}

fn opened(dir: &TempDir, on_error: OnLedgerError) -> Arc<Store> {
    Store::open(place(dir), options(on_error), now()).unwrap().store
}

fn memory() -> Arc<Store> {
    Store::open(Location::Memory, options(OnLedgerError::Refuse), now()).unwrap().store
}

fn ask(dir: &Path, question: &str) -> i64 {
    schema::read(dir).unwrap().query_row(question, [], |row| row.get(0)).unwrap()
}

fn all(store: &Store) -> Sums {
    sums(store, None, &Filter::default()).unwrap()
}

#[tokio::test]
async fn who_waits_is_answered_after_one_commit_for_all() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    let before = store.health().batches;
    let (go, gate) = channel::<()>();
    store.queue.ask(Item::Job(Box::new(move |_| gate.recv().unwrap_or_default())));
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
    assert!(matches!(&second, StoreError::Taken { file } if file.ends_with(schema::FILE)), "{second}");
    let reader = schema::read(dir.path()).unwrap();
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
        let mut old = Connection::open(dir.path().join(schema::FILE)).unwrap();
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
        let newer = Connection::open(dir.path().join(schema::FILE)).unwrap();
        newer.pragma_update(None, "user_version", 1000).unwrap();
        drop(newer);
        let refused = Store::open(place(&dir), options(OnLedgerError::Refuse), Moment::from_millis(3)).err().unwrap();
        assert!(refused.to_string().contains("version 1000"), "{refused}");
        assert!(matches!(schema::read(dir.path()), Err(StoreError::TooNew { found: 1000, .. })));
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
    let other = Connection::open(dir.path().join(schema::FILE)).unwrap();
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
    drop(Connection::open(dir.path().join(schema::FILE)).unwrap());
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
    let other = Connection::open(dir.path().join(schema::FILE)).unwrap();
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
    let other = Connection::open(dir.path().join(schema::FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for id in 1..=10 {
        store.write(opens(id)).await.unwrap();
        store.later(settled(id, now(), 40, &["a"]));
    }
    let health = store.health();
    assert!(!health.writable && health.lost == 0, "{health:?}");
    other.execute_batch("ROLLBACK").unwrap();
    let sums = all(&store);
    assert_eq!((sums.attempts, sums.usd.nanos(), store.health().waiting), (10, 400, 0));
}

#[tokio::test]
async fn more_than_may_wait_is_lost_and_counted() {
    let dir = tempdir().unwrap();
    let options = Options { backlog: 4, ..options(OnLedgerError::Continue) };
    let store = Store::open(place(&dir), options, now()).unwrap().store;
    let other = Connection::open(dir.path().join(schema::FILE)).unwrap();
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
        store.later(opens(id));
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
    let other = Connection::open(dir.path().join(schema::FILE)).unwrap();
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

#[tokio::test]
async fn old_rows_become_sums_and_no_total_changes() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for id in 1..=1200 {
        store.later(open_of(id, owner(["web", "app"][id as usize % 2], "p")));
        let when = at("2026-11-01T10:07:00Z").after(Duration::from_secs(60 * id as u64));
        store.later(settled(id, when, id, &["a", "b"]));
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
    store.later(opens(1));
    store.later(settled(1, now(), 40, &["a"]));
    store.later(opens(2));
    store.later(settled(2, now().after(YEAR * 2), 40, &["a"]));
    loop {
        let rows = store.later_on_writer(|ledger| Ok(retention::rows(ledger)?))().unwrap();
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
            store.later(opens(id));
            store.later(settled(id, now(), 1, &["a", "b"]));
            if id % 500 == 0 {
                while store.health().rows < id.unsigned_abs() * 2 {
                    tokio::task::yield_now().await;
                }
                // What the writer does after a commit is done when it does something else.
                store.later_on_writer(|_| Ok(()))().unwrap();
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
        store.later(opens(id));
        store.later(settled(id, now(), 1, &[]));
    }
    while store.later_on_writer(|ledger| Ok(retention::rows(ledger)?))().unwrap() > 110 {}
    assert_eq!((all(&store).attempts, all(&store).usd.nanos()), (5000, 5000));
    assert_eq!(recent(&store, now()).unwrap().last().map(|row| row.at), Some(now()));
}

#[tokio::test]
async fn a_verdict_counts_once_and_only_for_whom_the_picture_was_drawn() {
    let dir = tempdir().unwrap();
    let store = opened(&dir, OnLedgerError::Refuse);
    for (id, tenant, nanos) in [(1, "web", 40), (2, "app", 50), (3, "web", 60)] {
        store.later(open_of(id, owner(tenant, "p")));
        store.later(settled(id, now().after(Duration::from_secs(id as u64)), nanos, &["fox", "hen"]));
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
        store.later(opens(id));
        store.later(settled(id, at, i64::MAX, &[]));
    }
    assert!(matches!(sums(&store, None, &Filter::default()), Err(StoreError::TooMuch)));
    assert!(matches!(store.report(&ReportQuery::default()), Err(StoreError::TooMuch)));
    assert!(sweep(&store, now().after(YEAR * 2), YEAR).is_err());
    let one = sums(&store, Some(later), &Filter::default()).unwrap();
    assert_eq!(one.usd.nanos(), i64::MAX, "nothing was rolled up");
}

#[tokio::test]
async fn a_report_groups_by_everything_it_knows() {
    let store = memory();
    let late = at("2026-11-25T23:30:00Z");
    for (id, tenant, provider, when) in [(1, "web", "p", now()), (2, "web", "q", late), (3, "app", "q", late)] {
        store.later(open_of(id, owner(tenant, provider)));
        store.later(settled(id, when, 10 * id, &["a", "b"][..(id as usize).min(2)]));
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
    store.later(saved(1));
    store.later(saved(2));
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
            store.later(open_of(id, owner(tenant, provider)));
            store.later(settled(id, now().after(Duration::from_secs(7 * 3600 * id as u64)), id, &["x"]));
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
fn what_is_read_stands_where_it_was_asked_for_whatever_comes_before_it_is_waited_for() {
    let dir = tempdir().unwrap();
    for store in [memory(), opened(&dir, OnLedgerError::Refuse)] {
        let earlier = [store.reading(|view| view.sums(None, &Filter::default()))];
        let mut asked = Vec::from(earlier);
        for id in 1..=20 {
            store.later(opens(id));
            store.later(settled(id, now(), 1, &[]));
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
            store.later(open_of(id, owner(tenants[*tenant], providers[*provider])));
            store.later(settled(id, begin.after(Duration::from_secs(*after)), *nanos, &["x"]));
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
