//! Slots, queues and tickets, each a story.

use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::config::plan::Shares;

fn bounds(limit: usize, queue: usize) -> Concurrency {
    Concurrency { limit, queue, max_wait: Duration::from_secs(10), shares: Shares { batch_ppm: 100_000 } }
}

fn claim(priority: Priority, tenant: &str) -> Claim {
    Claim { priority, tenant: tenant.into(), model: "m".into() }
}

fn live(tenant: &str) -> Claim {
    claim(Priority::Live, tenant)
}

fn batch(tenant: &str) -> Claim {
    claim(Priority::Batch, tenant)
}

fn slot(room: Admission) -> Slot {
    match room {
        Admission::Slot(slot) => slot,
        other => panic!("no slot: {other:?}"),
    }
}

fn ticket(room: Admission) -> Ticket {
    match room {
        Admission::Wait(ticket) => ticket,
        other => panic!("no ticket: {other:?}"),
    }
}

/// The slot that has come.
fn came(ticket: &mut Ticket) -> Slot {
    ticket.now_or_never().flatten().expect("no slot came")
}

/// The slot that has come to the first of these, which then waits no more.
fn take_first(tickets: &mut Vec<Ticket>) -> Option<Slot> {
    let slot = tickets.first_mut()?.now_or_never().flatten()?;
    tickets.remove(0);
    Some(slot)
}

fn in_flight(lane: &Lane) -> usize {
    lane.in_flight(Priority::Live) + lane.in_flight(Priority::Batch)
}

#[test]
fn the_limit_holds_and_one_tenants_queue_is_first_come_first_served() {
    let lane = Lane::new(bounds(1, 2));
    let first = slot(lane.admit(&live("a")));
    let (mut second, mut third) = (ticket(lane.admit(&live("a"))), ticket(lane.admit(&live("a"))));
    assert!(matches!(lane.admit(&live("a")), Admission::Full));
    assert_eq!((in_flight(&lane), lane.waiting(Priority::Live)), (1, 2));
    drop(first);
    let second = came(&mut second);
    assert!((&mut third).now_or_never().is_none());
    drop(second);
    drop(came(&mut third));
    assert_eq!((in_flight(&lane), lane.waiting(Priority::Live)), (0, 0));
}

#[test]
fn a_new_call_does_not_pass_those_who_wait() {
    let lane = Lane::new(bounds(1, 2));
    let first = slot(lane.admit(&live("a")));
    let mut waiting = ticket(lane.admit(&batch("b")));
    assert!(lane.try_slot(&live("a")).is_none());
    drop(first);
    assert!(lane.try_slot(&live("a")).is_none() && !lane.has_room("m", &[]));
    drop(came(&mut waiting));
    assert!(lane.has_room("m", &[]) && lane.try_slot(&live("a")).is_some());
}

#[test]
fn a_dropped_ticket_loses_no_slot_whenever_it_is_dropped() {
    let lane = Lane::new(bounds(1, 3));
    let first = slot(lane.admit(&live("a")));
    let tickets = [lane.admit(&live("a")), lane.admit(&live("a")), lane.admit(&live("a"))].map(ticket);
    let [gone_before, gone_after, mut stays] = tickets;
    drop(gone_before);
    assert_eq!(lane.waiting(Priority::Live), 2);
    drop(first);
    drop(gone_after);
    drop(came(&mut stays));
    assert_eq!(in_flight(&lane), 0);
}

#[test]
fn who_has_gone_keeps_no_place_in_the_queue() {
    let lane = Lane::new(bounds(1, 1));
    let _first = slot(lane.admit(&live("a")));
    drop(ticket(lane.admit(&live("a"))));
    assert_eq!(lane.waiting(Priority::Live), 0);
    assert!(matches!(lane.admit(&live("a")), Admission::Wait(_)));
}

#[test]
fn a_larger_limit_is_handed_out_at_once_and_a_smaller_one_waits_for_calls_to_end() {
    let lane = Lane::new(bounds(1, 5));
    let first = slot(lane.admit(&live("a")));
    let (mut second, mut third) = (ticket(lane.admit(&live("a"))), ticket(lane.admit(&live("a"))));
    lane.resize(bounds(3, 5), |_| true);
    let (second, third) = (came(&mut second), came(&mut third));
    lane.resize(bounds(1, 5), |_| true);
    drop(second);
    drop(third);
    assert!(lane.try_slot(&live("a")).is_none());
    drop(first);
    assert!(lane.try_slot(&live("a")).is_some());
}

/// Ten slots, all lent to batch, which has `waiting` more calls in the queue.
fn lent_to_batch(lane: &Arc<Lane>, waiting: usize) -> (Vec<Slot>, Vec<Ticket>) {
    let running = (0..10).map(|_| slot(lane.admit(&batch("nightly")))).collect();
    (running, (0..waiting).map(|_| ticket(lane.admit(&batch("nightly")))).collect())
}

#[test]
fn batch_takes_every_slot_that_live_leaves_idle_and_gives_them_back_as_its_calls_end() {
    let lane = Lane::new(bounds(10, 100));
    let (mut running, mut more) = lent_to_batch(&lane, 50);
    let mut people: Vec<Ticket> = (0..20).map(|_| ticket(lane.admit(&live("web")))).collect();
    let mut served = Vec::new();
    for ended in 1..=9 {
        drop(running.pop());
        served.push(came(&mut people[ended - 1]));
        assert_eq!((lane.in_flight(Priority::Live), lane.in_flight(Priority::Batch)), (ended, 10 - ended));
    }
    // The tenth slot is batch's own: it goes to the next batch call, and each of the nine to the next live one.
    drop(running.pop());
    let own = came(&mut more[0]);
    drop(served.pop());
    served.push(came(&mut people[9]));
    assert_eq!((lane.in_flight(Priority::Live), lane.in_flight(Priority::Batch)), (9, 1));
    drop(own);
    assert_eq!((lane.in_flight(Priority::Live), lane.in_flight(Priority::Batch)), (9, 1));
}

#[test]
fn with_one_slot_for_all_live_and_batch_both_get_on() {
    let lane = Lane::new(bounds(1, 100));
    let mut running = slot(lane.admit(&live("web")));
    let mut people: Vec<Ticket> = (0..40).map(|_| ticket(lane.admit(&live("web")))).collect();
    let mut jobs: Vec<Ticket> = (0..9).map(|_| ticket(lane.admit(&batch("nightly")))).collect();
    for _ in 0..40 {
        drop(running);
        running = take_first(&mut people).or_else(|| take_first(&mut jobs)).unwrap();
    }
    assert_eq!((lane.waiting(Priority::Live), lane.waiting(Priority::Batch)), (4, 5));
}

#[test]
fn of_the_few_slots_that_a_vendor_leaves_a_model_live_and_batch_still_have_their_shares() {
    let (lane, now) = (Lane::new(bounds(100, 500)), Instant::now());
    let first: Vec<Slot> = (0..20).map(|_| slot(lane.admit(&live("web")))).collect();
    lane.refused(first[19].sent(), FailureScope::Model, now, now);
    assert_eq!((lane.limit_of("m"), lane.limit_of("n")), (10, 100));
    let mut people: Vec<Ticket> = (0..60).map(|_| ticket(lane.admit(&live("web")))).collect();
    let mut jobs: Vec<Ticket> = (0..60).map(|_| ticket(lane.admit(&batch("nightly")))).collect();
    drop(first);
    let mut running = Vec::new();
    while let Some(slot) = take_first(&mut people).or_else(|| take_first(&mut jobs)) {
        running.push(slot);
    }
    assert_eq!((lane.in_flight(Priority::Live), lane.in_flight(Priority::Batch)), (9, 1));
    let other = Claim { model: "n".into(), ..batch("nightly") };
    assert!(lane.try_slot(&other).is_some(), "what waits for the one model keeps nobody from the other");
}

#[test]
fn what_a_vendor_leaves_one_model_is_no_share_of_those_who_ask_another() {
    let shares = Shares { batch_ppm: 500_000 };
    let (lane, now) = (Lane::new(Concurrency { shares, ..bounds(10, 500) }), Instant::now());
    let of = |model: &str, claim: Claim| Claim { model: model.into(), ..claim };
    let refused: Vec<Slot> = (0..4).map(|_| slot(lane.admit(&of("capped", live("web"))))).collect();
    lane.refused(refused[3].sent(), FailureScope::Model, now, now);
    drop(refused);
    assert_eq!(lane.limit_of("capped"), 2, "it is remembered while nobody asks");
    let people: Vec<Slot> = (0..5).map(|_| slot(lane.admit(&live("web")))).collect();
    let mut jobs: Vec<Slot> = (0..5).map(|_| slot(lane.admit(&batch("nightly")))).collect();
    let mut person = ticket(lane.admit(&of("capped", live("web"))));
    let mut job = ticket(lane.admit(&batch("nightly")));
    // Live has its five of the ten, though none of the capped model's two.
    drop(jobs.pop());
    assert!((&mut person).now_or_never().is_none());
    drop(came(&mut job));
    drop(came(&mut person));
    drop(people);
}

#[test]
fn ten_thousand_jobs_in_the_queue_keep_no_live_call_out_of_it() {
    let lane = Lane::new(bounds(1, 10));
    let _running = slot(lane.admit(&batch("nightly")));
    let mut jobs: Vec<Ticket> = (0..10).map(|_| ticket(lane.admit(&batch("nightly")))).collect();
    assert!((0..10_000).all(|_| matches!(lane.admit(&batch("nightly")), Admission::Full)));
    let people: Vec<Ticket> = (0..9).map(|_| ticket(lane.admit(&live("web")))).collect();
    assert!(matches!(lane.admit(&live("web")), Admission::Full), "one place of ten is batch's own");
    let told: Vec<usize> = (0..10).filter(|job| (&mut jobs[*job]).now_or_never().is_some()).collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8, 9], "the newest lost their places");
    assert_eq!((people.len(), lane.waiting(Priority::Batch)), (9, 1));
}

#[test]
fn a_tenant_that_fills_the_queue_keeps_no_other_tenant_out() {
    let lane = Lane::new(bounds(1, 4));
    let _running = slot(lane.admit(&live("greedy")));
    let mut greedy: Vec<Ticket> = (0..4).map(|_| ticket(lane.admit(&live("greedy")))).collect();
    assert!(matches!(lane.admit(&live("greedy")), Admission::Full));
    let _modest = [ticket(lane.admit(&live("modest"))), ticket(lane.admit(&live("modest")))];
    assert!(matches!(lane.admit(&live("modest")), Admission::Full), "two each is fair, and nobody throws another out");
    assert!(matches!(lane.admit(&live("greedy")), Admission::Full));
    let told: Vec<usize> = (0..4).filter(|call| (&mut greedy[*call]).now_or_never().is_some()).collect();
    assert_eq!(told, [2, 3]);
    drop(ticket(lane.admit(&live("third"))));
}

#[test]
fn two_processes_that_share_a_limit_never_pass_it_and_what_one_gives_away_the_other_has() {
    let (old, new) = (Lane::new(bounds(5, 5)), Lane::new(bounds(5, 5)));
    let running: Vec<Slot> = (0..3).map(|_| old.try_slot(&live("a")).unwrap()).collect();
    new.lend(old.halve());
    assert!(old.try_slot(&live("a")).is_none(), "as many as run, which is more than half");
    let of_new: Vec<Slot> = std::iter::from_fn(|| new.try_slot(&live("a"))).collect();
    assert_eq!(of_new.len(), 2);
    // A call that waits is let go as soon as the other one's calls end.
    let mut waiting = ticket(new.admit(&live("a")));
    assert!((&mut waiting).now_or_never().is_none());
    drop(running);
    new.lend(old.keep());
    drop(came(&mut waiting));
    assert!(old.try_slot(&live("a")).is_none(), "it has given all away");
    old.lend(0);
    assert!(old.try_slot(&live("a")).is_some());
}
