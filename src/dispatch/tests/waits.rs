//! Requests whose offers are paused for a moment or have just failed: who waits, for how long, and who is told to come back.

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A request for one picture that these offers could draw, with one slot each.
fn one_of(offers: usize, deadline: u64) -> (World, Dispatch) {
    let world = World::new(&vec![1; offers], Duration::from_secs(deadline));
    let candidates = (0..offers).map(|offer| candidate(offer, 1)).collect();
    let dispatch = Dispatch::new(rules(&world, 1), candidates, Vec::new(), offers);
    (world, dispatch)
}

fn with_chance(world: &World, chance: u32) -> Dispatch {
    let rules = DispatchRules { chance, ..rules(world, 1) };
    Dispatch::new(rules, vec![candidate(0, 1)], Vec::new(), 1)
}

#[test]
fn a_request_whose_one_offer_is_paused_for_a_moment_waits_the_moment_out_and_is_drawn() {
    let (mut world, mut dispatch) = one_of(1, 60);
    world.pause(0, Pause::RateLimited, millis(3000));
    assert_eq!((world.run(&mut dispatch), dispatch.idle_for()), (Some(millis(3000)), Some(0)));
    world.wake(&mut dispatch);
    assert_eq!(world.told, ["0 rate_limited", "0 draws [0]"]);
    assert_eq!(dispatch.idle_for(), None);
    world.end(&mut dispatch, 0, 9, 1, CallEnd::default());
    world.run(&mut dispatch);
    assert!(world.over && dispatch.error("all", world.time(), Moment::default()).is_none());
}

#[test]
fn a_pause_that_leaves_less_than_half_of_the_time_or_is_longer_than_a_wait_for_a_slot_is_told_at_once() {
    let waits = |deadline, pause| {
        let (mut world, mut dispatch) = one_of(1, deadline);
        world.pause(0, Pause::RateLimited, Duration::from_secs(pause));
        let until = world.run(&mut dispatch);
        let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
        assert_eq!((error.kind, error.retry_after), (ErrorKind::Busy, Some(Duration::from_secs(pause))));
        (until.is_some(), world.over)
    };
    assert_eq!([waits(6, 3), waits(6, 4)], [(true, false), (false, true)]);
    assert_eq!([waits(180, 10), waits(180, 11)], [(true, false), (false, true)]);
}

#[test]
fn a_pause_that_is_prolonged_again_and_again_is_waited_for_no_longer_than_once() {
    let (mut world, mut dispatch) = one_of(1, 600);
    for _ in 0..3 {
        world.pause(0, Pause::RateLimited, millis(3000));
        assert!(world.run(&mut dispatch).is_some());
        world.now += millis(3000);
        dispatch.timer(world.time());
    }
    world.pause(0, Pause::RateLimited, millis(3000));
    world.run(&mut dispatch);
    assert!(world.over, "twelve seconds are more than ten");
}

#[test]
fn requests_that_wait_for_the_same_pause_go_on_apart_from_each_other_and_all_within_a_second() {
    let mut world = World::new(&[9], Duration::from_secs(60));
    world.pause(0, Pause::RateLimited, millis(8000));
    let ends: Vec<_> = [0, 250, 1000].map(|chance| world.run(&mut with_chance(&world, chance)).unwrap()).into();
    assert_eq!(ends, [millis(8000), millis(8250), millis(9000)]);
    world.pause(0, Pause::RateLimited, millis(1000));
    let ends: Vec<_> = [0, 1000].map(|chance| world.run(&mut with_chance(&world, chance)).unwrap()).into();
    assert_eq!(ends, [millis(1000), millis(1250)], "a quarter of a short one");
}

#[test]
fn who_waits_for_a_probe_looks_again_every_half_second_and_goes_on_when_it_is_back() {
    let (mut world, mut dispatch) = one_of(1, 60);
    let probe_may_take = world.began + Duration::from_secs(30);
    world.paused[0] = Some(PausedUntil { pause: Pause::Probing, until: world.now, opens: probe_may_take });
    assert_eq!(world.wake(&mut dispatch), Some(millis(1000)));
    world.paused[0] = None;
    world.wake(&mut dispatch);
    assert_eq!(world.told, ["0 probing", "0 draws [0]"]);
}

#[test]
fn a_request_that_meets_a_rate_limit_itself_asks_the_same_offer_again_once_the_pause_is_over() {
    let (mut world, mut dispatch) = one_of(1, 60);
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::RateLimited));
    world.pause(0, Pause::RateLimited, millis(2000));
    assert_eq!(world.run(&mut dispatch), Some(millis(3000)));
    world.wake(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "0 rate_limited", "0 draws [0]"]);
}

#[test]
fn another_offer_is_asked_at_once_and_the_one_that_failed_after_a_pause_that_grows() {
    let mut world = World::new(&[1, 1], Duration::from_secs(60));
    let rules = DispatchRules { max_failures_per_offer: 4, ..rules(&world, 1) };
    let mut dispatch = Dispatch::new(rules, vec![candidate(0, 1), candidate(1, 1)], Vec::new(), 2);
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::Server));
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]"]);
    let end_now = |world: &mut World, dispatch: &mut Dispatch| {
        world.end_call(dispatch, 0, 0, failed(Class::Server));
        world.run(dispatch)
    };
    // Both have failed once, at one second. They are asked again after half a second, and a second after that.
    assert_eq!(end_now(&mut world, &mut dispatch), Some(millis(1500)));
    world.wake(&mut dispatch);
    assert_eq!(world.told[2..], ["0 draws [0]"]);
    end_now(&mut world, &mut dispatch);
    assert_eq!(world.told[3..], ["1 draws [0]"], "its half second is over too");
    assert_eq!(end_now(&mut world, &mut dispatch), Some(millis(2500)), "a whole second after the second failure");
}

#[test]
fn a_repeat_that_could_not_begin_in_the_first_half_of_the_time_left_is_not_waited_for() {
    let (mut world, mut dispatch) = one_of(1, 2);
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::Server));
    assert_eq!(world.run(&mut dispatch), Some(millis(1500)));
    world.now += millis(100);
    dispatch.timer(world.time());
    world.run(&mut dispatch);
    let (mut world, mut dispatch) = one_of(1, 1);
    world.run(&mut dispatch);
    world.now += millis(200);
    world.end_call(&mut dispatch, 0, 0, failed(Class::Server));
    world.run(&mut dispatch);
    let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
    assert_eq!((world.over, error.kind), (true, ErrorKind::UpstreamFailed));
}

#[test]
fn without_a_retry_budget_the_failure_goes_back_at_once_and_other_offers_are_asked_all_the_same() {
    let (mut world, mut dispatch) = one_of(2, 60);
    world.retries = 0;
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::Server));
    world.run(&mut dispatch);
    world.end(&mut dispatch, 1, 2, 0, failed(Class::Server));
    assert_eq!((world.run(&mut dispatch), world.over), (None, true));
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]", "0 retry_budget", "1 retry_budget"]);
    let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
    assert_eq!(error.kind, ErrorKind::UpstreamFailed);
}

#[test]
fn where_as_many_wait_as_may_the_request_is_told_when_to_come_back() {
    let (mut world, mut dispatch) = one_of(1, 60);
    world.pause(0, Pause::Overloaded, millis(3000));
    world.run(&mut dispatch);
    dispatch.wait_refused();
    world.run(&mut dispatch);
    let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
    assert_eq!((world.over, error.kind, error.retry_after), (true, ErrorKind::Unavailable, Some(millis(3000))));
}

#[test]
fn an_offer_that_is_too_dear_besides_is_not_waited_for() {
    let (mut world, mut dispatch) = one_of(1, 60);
    world.pause(0, Pause::RateLimited, millis(1000));
    world.left = Usd::ZERO;
    world.run(&mut dispatch);
    assert!(world.over);
}
