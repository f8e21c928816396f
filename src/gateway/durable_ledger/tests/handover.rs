//! One ledger that two processes write while one hands over to the other: each knows of every nano-dollar in the end.

use super::*;

/// What is spent, may be charged and is promised of the one budget.
fn counted(ledger: &Ledger, plan: &Plan) -> (i64, i64, i64) {
    let counter = ledger.counter(&counter_keys(plan)[0], Clock::System.now()).unwrap();
    (counter.settled.usd.nanos(), counter.settled.uncertain.nanos(), counter.reserved.nanos())
}

fn opened(dir: &Path, plan: &Plan, handover: Option<&LedgerHandover>) -> (Arc<Ledger>, DurableLedger) {
    let (ledger, place) = (Arc::new(Ledger::default()), Location::Dir(dir.to_owned()));
    let opened = DurableLedger::open_record(ledger.clone(), &plan.server, place, Clock::System, handover).unwrap();
    opened.follow(plan).unwrap();
    opened.taken_up();
    (ledger, opened)
}

async fn pays(ledger: &DurableLedger, plan: &Plan, nanos: i64) {
    pay(ledger, intent(plan, "r", "t"), charged(Usd::from_nanos(nanos), vec!["id".into()], &[])).await;
}

async fn under_way(ledger: &DurableLedger, plan: &Plan) -> Hold {
    ledger.open(intent(plan, "r", "t")).unwrap().written().await.map_err(|(_, why)| why).unwrap()
}

#[tokio::test]
async fn the_new_process_counts_what_the_old_one_had_and_what_that_does_besides_once() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(Some(dir.path()), "{usd: 1000000, per: total}", 2);
    let (_, old) = opened(dir.path(), &plan, None);
    pays(&old, &plan, 100).await;
    let first = under_way(&old, &plan).await;
    let handover = old.hand_over(&plan).unwrap();
    let (ledger, new) = opened(dir.path(), &plan, Some(&handover));
    assert_eq!(counted(&ledger, &plan), (100, 0, 1));
    pays(&old, &plan, 20).await;
    old.settle(first, charged(Usd::from_nanos(3), vec!["id".into()], &[])).await;
    let _second = under_way(&old, &plan).await;
    pays(&new, &plan, 4000).await;
    new.follow_predecessor().unwrap();
    new.follow_predecessor().unwrap();
    assert_eq!(counted(&ledger, &plan), (4123, 0, 1));
    let sum = ledger.sum(Dimension::All, "", Duration::from_secs(86_400), Clock::System.now());
    assert_eq!((sum.usd.nanos(), sum.attempts), (4123, 4));
}

#[tokio::test]
async fn where_the_new_process_dies_the_old_one_counts_what_that_has_paid_and_gives_none_of_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(Some(dir.path()), "{usd: 1000000, per: total}", 2);
    let (ledger, old) = opened(dir.path(), &plan, None);
    let handover = old.hand_over(&plan).unwrap();
    let (_, new) = opened(dir.path(), &plan, Some(&handover));
    pays(&new, &plan, 100).await;
    let left = under_way(&new, &plan).await;
    let last = left.id();
    std::mem::forget(left);
    pays(&old, &plan, 20).await;
    drop(new);
    let first = handover.last_id + crate::store::handover::NUMBERS;
    old.store().take_back().unwrap();
    old.store().settle_other((first, i64::MAX), Vec::new()).unwrap();
    old.count_successor(first).unwrap();
    assert_eq!(counted(&ledger, &plan), (120, 1, 0));
    assert!(under_way(&old, &plan).await.id() > last);
}
