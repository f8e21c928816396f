//! Whole requests through refusals, slow calls, deadlines, queues and budgets.

use super::*;

#[test]
fn four_pictures_come_from_three_offers_through_a_refusal_a_slow_call_and_a_hurry() {
    let mut world = World::new(&[1, 1, 1], Duration::from_secs(10));
    let candidates = vec![candidate(0, 2), candidate(1, 2), candidate(2, 4)];
    let mut dispatch = Dispatch::new(rules(&world, 4), candidates, Vec::new(), 3);
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_secs(5)), "half of the time is theirs");
    assert_eq!(world.told, ["0 draws [0, 1]", "0 at_capacity", "1 draws [2, 3]"]);

    // One of two is refused: what came is delivered, and the next offer draws the other.
    let refused = CallEnd { refused: true, ..CallEnd::default() };
    assert_eq!(world.end(&mut dispatch, 1, 1, 1, refused), [Disposition::Deliver(2)]);
    world.run(&mut dispatch);
    assert_eq!(world.told[3..], ["2 draws [3]"]);

    // The first is overdue, but the offer that could draw in its place is being waited for.
    world.now = world.began + Duration::from_secs(5);
    dispatch.timer(world.time());
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_millis(5500)));
    assert_eq!(world.end(&mut dispatch, 2, 5, 1, CallEnd::default()), [Disposition::Deliver(3)]);
    world.run(&mut dispatch);
    assert_eq!(world.told[4..], ["0 slow", "2 draws [0, 1]"]);

    // The slow one comes first after all. What the other brings is kept for the next request.
    let dispositions = world.end(&mut dispatch, 0, 9, 2, CallEnd::default());
    assert_eq!(dispositions, [Disposition::Deliver(0), Disposition::Deliver(1)]);
    world.run(&mut dispatch);
    assert!(world.over && dispatch.error("all", world.time(), Moment::from_millis(0)).is_none());
    assert_eq!(world.end(&mut dispatch, 2, 12, 2, CallEnd::default()), [Disposition::Keep, Disposition::Keep]);
    assert_eq!(dispatch.promised(), CENT.checked_mul(6).unwrap());
}

#[test]
fn after_the_deadline_nobody_is_asked_and_the_deadline_is_the_reason() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1)], vec![(1, Skip::Unpriced)], 2);
    world.run(&mut dispatch);
    assert_eq!(world.told, ["1 unpriced", "0 draws [0]"]);
    world.end(&mut dispatch, 0, 10, 0, failed(Class::TimeoutAmbiguous));
    assert_eq!((world.run(&mut dispatch), world.over), (None, true));
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!(error.kind, ErrorKind::DeadlineExceeded);
}

#[test]
fn a_request_queues_where_every_offer_is_full_and_takes_the_first_slot_or_gives_up() {
    let mut world = World::new(&[0, 0], Duration::from_secs(10));
    world.queue = vec![1, 1];
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_secs(2)));
    assert_eq!(world.told, ["0 at_capacity", "1 at_capacity", "queue [0, 1]"]);
    world.granted = Some(1);
    dispatch.slot_granted(1);
    world.run(&mut dispatch);
    assert_eq!((world.told.last().unwrap().as_str(), world.queued.len()), ("1 draws [0]", 0));

    let mut world = World::new(&[0], Duration::from_secs(10));
    world.queue = vec![1];
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1)], Vec::new(), 1);
    world.run(&mut dispatch);
    world.now = world.began + Duration::from_secs(2);
    dispatch.timer(world.time());
    world.run(&mut dispatch);
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!((world.over, world.queued.len(), error.kind), (true, 0, ErrorKind::Busy));
}

#[test]
fn an_offer_that_is_paused_or_over_its_budget_is_passed_over_with_its_reason() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    world.pause(0, Pause::Quota, Duration::from_secs(60));
    world.left = Usd::ZERO;
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    world.run(&mut dispatch);
    assert_eq!(world.told, [format!("0 {}", Pause::Quota.as_str()), "1 over_budget".to_owned()]);
    assert!(world.over);
    world.may_pay = false;
    let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(1, 1)], Vec::new(), 2);
    world.told.clear();
    world.run(&mut dispatch);
    assert_eq!(world.told, ["1 ledger_unwritable"]);
}

#[test]
fn no_offer_is_asked_more_often_than_the_route_allows() {
    let mut world = World::new(&[9, 9], Duration::from_secs(60));
    let rules = DispatchRules { max_failures: 3, ..rules(&world, 1) };
    let mut dispatch = Dispatch::new(rules, vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    for second in 1.. {
        world.run(&mut dispatch);
        let Some(asked) = world.carried.first().map(|carried| carried.candidate) else { break };
        world.end(&mut dispatch, asked, second, 0, failed(Class::Server));
    }
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]", "0 draws [0]"]);
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!(error.kind, ErrorKind::UpstreamFailed);
}

#[test]
fn an_offer_that_took_as_long_as_is_left_does_not_take_over_from_a_slow_call() {
    let told = |seconds, overdue| {
        let mut world = World::new(&[1, 1], Duration::from_secs(seconds));
        let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
        world.run(&mut dispatch);
        world.end(&mut dispatch, 0, 3, 0, failed(Class::Server));
        assert_eq!(world.run(&mut dispatch), Some(Duration::from_millis(overdue)));
        world.now = world.began + Duration::from_millis(overdue);
        dispatch.timer(world.time());
        world.run(&mut dispatch);
        world.told
    };
    assert_eq!(told(9, 6_000), ["0 draws [0]", "1 draws [0]"], "its three seconds are all that is left");
    assert_eq!(told(12, 7_500), ["0 draws [0]", "1 draws [0]", "1 slow", "0 draws [0]"]);
}

#[test]
fn a_slow_call_that_is_refused_does_not_end_what_another_draws_in_its_place() {
    let slow_is_refused = |other: u8, end: CallEnd| {
        let mut world = World::new(&[1, 1], Duration::from_secs(10));
        let rules = DispatchRules { refusals_go_on: false, ..rules(&world, 1) };
        let mut dispatch = Dispatch::new(rules, vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
        world.run(&mut dispatch);
        world.wake(&mut dispatch);
        assert_eq!(world.told, ["0 draws [0]", "0 slow", "1 draws [0]"]);
        world.end(&mut dispatch, 0, 6, 0, CallEnd { refused: true, ..CallEnd::default() });
        world.run(&mut dispatch);
        assert!(!world.over, "the other may draw it");
        world.end(&mut dispatch, 1, 7, other, end);
        world.run(&mut dispatch);
        assert!(world.over);
        dispatch.error("all", world.time(), Moment::from_millis(0)).map(|error| error.kind)
    };
    assert_eq!(slow_is_refused(1, CallEnd::default()), None);
    assert_eq!(slow_is_refused(0, failed(Class::Server)), Some(ErrorKind::Refused));
}

#[test]
fn a_slow_call_that_is_refused_ends_the_request_where_somebody_else_would_have_to_be_asked_for_the_rest() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    let rules = DispatchRules { refusals_go_on: false, ..rules(&world, 2) };
    let mut dispatch = Dispatch::new(rules, vec![candidate(0, 2), candidate(1, 1)], Vec::new(), 2);
    world.run(&mut dispatch);
    world.wake(&mut dispatch);
    assert_eq!(world.told[..3], ["0 draws [0, 1]", "0 slow", "1 draws [0]"]);
    world.end(&mut dispatch, 0, 6, 0, CallEnd { refused: true, ..CallEnd::default() });
    world.run(&mut dispatch);
    assert!(world.over);
    let error = dispatch.error("all", world.time(), Moment::from_millis(0)).unwrap();
    assert_eq!(error.kind, ErrorKind::Refused);
}

#[test]
fn a_slot_that_was_waited_for_is_used_in_time_and_given_back_after_the_deadline() {
    let action = |seconds| {
        let mut world = World::new(&[0], Duration::from_secs(10));
        world.queue = vec![1];
        let mut dispatch = Dispatch::new(rules(&world, 1), vec![candidate(0, 1)], Vec::new(), 1);
        world.run(&mut dispatch);
        world.now = world.began + Duration::from_secs(seconds);
        dispatch.slot_granted(0);
        dispatch.next(&world, world.time())
    };
    assert!(matches!(action(1), Action::Start { candidate: 0, granted: true, .. }));
    assert!(matches!(action(10), Action::ReturnSlot));
}
