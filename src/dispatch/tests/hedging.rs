//! Calls that are later than usual: who is asked besides, when, and what becomes of both.

use super::*;
use crate::config::plan::AskWhen;

/// A request for so many pictures that the first of these offers begins to draw, and that is late after two seconds.
fn begun(offers: usize, wanted: u8) -> (World, Dispatch) {
    let candidates = (0..offers).map(|offer| candidate(offer, 4)).collect();
    begun_with(World::new(&vec![1; offers], Duration::from_secs(60)), candidates, |rules| rules, wanted)
}

fn begun_with(
    mut world: World,
    candidates: Vec<Candidate>,
    change: impl FnOnce(DispatchRules) -> DispatchRules,
    wanted: u8,
) -> (World, Dispatch) {
    world.hedge_after[0] = Some(Duration::from_secs(2));
    let offers = candidates.len();
    let mut dispatch = Dispatch::new(change(rules(&world, wanted)), candidates, Vec::new(), offers);
    world.run(&mut dispatch);
    (world, dispatch)
}

fn at(world: &mut World, dispatch: &mut Dispatch, seconds: u64) -> Option<Duration> {
    world.now = world.began + Duration::from_secs(seconds);
    dispatch.timer(world.time());
    world.run(dispatch)
}

#[test]
fn a_call_that_is_late_is_hedged_once_and_what_the_slow_one_brings_is_kept() {
    let (mut world, mut dispatch) = begun(3, 1);
    assert_eq!(
        world.wake(&mut dispatch),
        Some(Duration::from_secs(30)),
        "nothing more before half of the time is over"
    );
    assert_eq!(world.told, ["0 draws [0]", "1 hedges [0]"]);
    assert_eq!(world.reasons, [ChoiceReason::First, ChoiceReason::Hedge]);
    assert_eq!(
        (dispatch.promised(), dispatch.hedging_usd()),
        (CENT.checked_mul(2).unwrap(), CENT.checked_mul(2).unwrap())
    );
    assert_eq!(world.end(&mut dispatch, 1, 5, 1, CallEnd::default()), [Disposition::Deliver(0)]);
    world.run(&mut dispatch);
    assert!(world.over && dispatch.error("all", world.time(), Moment::default()).is_none());
    assert_eq!(dispatch.hedging_usd(), CENT, "the first call goes on and may cost as much");
    assert_eq!(world.end(&mut dispatch, 0, 40, 1, CallEnd::default()), [Disposition::Keep]);
    assert_eq!((dispatch.promised(), dispatch.hedging_usd()), (CENT.checked_mul(2).unwrap(), Usd::ZERO));
    assert_eq!(world.told.len(), 2);
}

#[test]
fn a_call_whose_pictures_are_there_and_looked_at_is_not_late_any_more() {
    let (mut world, mut dispatch) = begun(2, 1);
    // The first call that a dispatch makes.
    dispatch.pictures_arrived(1);
    for seconds in [2, 31, 59] {
        assert_eq!(at(&mut world, &mut dispatch, seconds), None, "nobody is asked besides or instead");
    }
    assert_eq!(world.told, ["0 draws [0]"]);
    // What is found in it may be that it is to be drawn again.
    world.end(&mut dispatch, 0, 5, 0, CallEnd { rejected: true, ..failed(Class::Rejected) });
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]"]);
}

#[test]
fn the_first_call_may_come_first_after_all_and_its_hedge_is_kept() {
    let (mut world, mut dispatch) = begun(2, 2);
    world.wake(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0, 1]", "1 hedges [0, 1]"]);
    let first = world.end(&mut dispatch, 0, 3, 2, CallEnd::default());
    assert_eq!(first, [Disposition::Deliver(0), Disposition::Deliver(1)]);
    assert_eq!(world.end(&mut dispatch, 1, 4, 2, CallEnd::default()), [Disposition::Keep; 2]);
}

#[test]
fn with_a_seed_the_slower_picture_is_the_one_that_is_there_already() {
    let world = World::new(&[1, 1], Duration::from_secs(60));
    let seeded = |rules| DispatchRules { seeded: true, ..rules };
    let (mut world, mut dispatch) = begun_with(world, vec![candidate(0, 1), candidate(1, 1)], seeded, 1);
    world.wake(&mut dispatch);
    assert_eq!(world.end(&mut dispatch, 1, 3, 1, CallEnd::default()), [Disposition::Deliver(0)]);
    assert_eq!(world.end(&mut dispatch, 0, 4, 1, CallEnd::default()), [Disposition::Discard]);
}

#[test]
fn whichever_of_the_two_fails_nobody_else_is_asked_while_the_other_is_under_way() {
    for (fails, draws) in [(0, 1), (1, 0)] {
        let (mut world, mut dispatch) = begun(3, 1);
        world.wake(&mut dispatch);
        world.end(&mut dispatch, fails, 3, 0, failed(Class::Server));
        world.run(&mut dispatch);
        assert_eq!(world.told, ["0 draws [0]", "1 hedges [0]"]);
        assert_eq!(world.end(&mut dispatch, draws, 6, 1, CallEnd::default()), [Disposition::Deliver(0)]);
        world.run(&mut dispatch);
        assert!(world.over);
    }
    // Both fail: now the third is asked.
    let (mut world, mut dispatch) = begun(3, 1);
    world.wake(&mut dispatch);
    world.end(&mut dispatch, 0, 3, 0, failed(Class::Server));
    world.end(&mut dispatch, 1, 4, 0, failed(Class::Server));
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "1 hedges [0]", "2 draws [0]"]);
}

#[test]
fn one_vendor_s_refusal_is_the_answer_only_if_the_other_draws_nothing_either() {
    let refused = || CallEnd { refused: true, ..CallEnd::default() };
    let no_more = |rules| DispatchRules { refusals_go_on: false, ..rules };
    for (refuses, other) in [(0, 1), (1, 0)] {
        let begin = || {
            let world = World::new(&[1, 1, 1], Duration::from_secs(60));
            begun_with(world, (0..3).map(|offer| candidate(offer, 1)).collect(), no_more, 1)
        };
        let (mut world, mut dispatch) = begin();
        world.wake(&mut dispatch);
        world.end(&mut dispatch, refuses, 3, 0, refused());
        world.run(&mut dispatch);
        assert!(!world.over, "the other may draw it");
        world.end(&mut dispatch, other, 5, 1, CallEnd::default());
        world.run(&mut dispatch);
        assert!(world.over && dispatch.error("all", world.time(), Moment::default()).is_none());

        let (mut world, mut dispatch) = begin();
        world.wake(&mut dispatch);
        world.end(&mut dispatch, refuses, 3, 0, refused());
        // It is overdue long since, and nobody is asked in its place: one vendor has refused it.
        at(&mut world, &mut dispatch, 50);
        world.end(&mut dispatch, other, 51, 0, failed(Class::Server));
        world.run(&mut dispatch);
        let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
        assert_eq!((world.over, error.kind, world.told.len()), (true, ErrorKind::Refused, 2));
    }
}

#[test]
fn nobody_is_asked_besides_without_a_free_slot_and_then_as_soon_as_there_is_one() {
    let (mut world, mut dispatch) = begun(2, 1);
    (world.slots[1], world.queue[1]) = (0, 9);
    assert_eq!(world.wake(&mut dispatch), Some(Duration::from_millis(2500)), "it is looked at again soon");
    assert_eq!(world.wake(&mut dispatch), Some(Duration::from_millis(3000)));
    assert_eq!(world.told, ["0 draws [0]", "0 not hedged: no_offer"], "told once");
    world.slots[1] = 1;
    world.wake(&mut dispatch);
    assert_eq!(world.told[2..], ["1 hedges [0]"]);
}

/// What is told of a call that is late when nothing but this stands against a hedge.
fn not_hedged(world: World, candidates: Vec<Candidate>, change: impl FnOnce(DispatchRules) -> DispatchRules) -> String {
    let (mut world, mut dispatch) = begun_with(world, candidates, change, 1);
    at(&mut world, &mut dispatch, 3);
    assert_eq!(world.told.len(), 2, "{:?}", world.told);
    world.told.pop().unwrap()
}

#[test]
fn a_hedge_passes_no_pause_no_price_cap_no_budget_and_not_its_own_bounds() {
    let world = || World::new(&[1, 1], Duration::from_secs(60));
    let two = || vec![candidate(0, 1), candidate(1, 1)];
    let told = |change: &dyn Fn(&mut World)| {
        let mut world = world();
        change(&mut world);
        not_hedged(world, two(), |rules| rules)
    };
    assert_eq!(told(&|_| ()), "1 hedges [0]");
    assert_eq!(told(&|world| world.pause(1, Pause::RateLimited, Duration::from_secs(4))), "0 not hedged: no_offer");
    assert_eq!(told(&|world| world.left = CENT), "0 not hedged: no_offer");
    assert_eq!(told(&|world| world.hedges = 0), "0 not hedged: share");
    assert_eq!(told(&|world| world.hedge_usd = Usd::from_nanos(CENT.nanos() - 1)), "0 not hedged: dollars");
    let capped = |cents: i64| {
        let usd = Usd::from_nanos(cents * CENT.nanos());
        let caps = Caps { per_request: Some(Cap { usd, whose: CapOwner::Caller }), ..Caps::default() };
        not_hedged(world(), two(), |rules| DispatchRules { caps, ..rules })
    };
    assert_eq!([capped(1), capped(2)], ["0 not hedged: no_offer", "1 hedges [0]"], "the first call counts");
    // An offer that draws fewer pictures than one call asks for could not take its place.
    let (mut world, mut dispatch) = begun_with(world(), vec![candidate(0, 2), candidate(1, 1)], |rules| rules, 2);
    at(&mut world, &mut dispatch, 3);
    assert_eq!(world.told.last().unwrap(), "0 not hedged: no_offer");
}

#[test]
fn a_dear_offer_that_the_dollars_left_do_not_pay_for_gives_way_to_a_cheaper_one() {
    let mut world = World::new(&[1, 1, 1], Duration::from_secs(60));
    world.hedge_usd = CENT;
    let dear = Candidate { usd: CENT.checked_mul(2).unwrap(), ..candidate(1, 1) };
    assert_eq!(not_hedged(world, vec![candidate(0, 1), dear, candidate(2, 1)], |rules| rules), "2 hedges [0]");
}

#[test]
fn an_offer_that_waits_for_a_late_call_is_asked_and_one_that_is_only_for_the_beginning_is_not() {
    let told = |when: AskWhen| {
        let candidates = vec![candidate(0, 1), Candidate { when: vec![when], ..candidate(1, 1) }];
        let (mut world, mut dispatch) =
            begun_with(World::new(&[1, 1], Duration::from_secs(60)), candidates, |rules| rules, 1);
        at(&mut world, &mut dispatch, 3);
        world.told.pop().unwrap()
    };
    assert_eq!(told(AskWhen::Late), "1 hedges [0]");
    assert_eq!(told(AskWhen::First), "0 not hedged: no_offer");
    assert_eq!(told(AskWhen::Rejected), "0 not hedged: no_offer");
}

#[test]
fn an_offer_whose_calls_nobody_knows_well_enough_is_not_hedged_and_nor_is_the_only_one() {
    let (mut world, mut dispatch) = begun(2, 1);
    world.hedge_after[0] = None;
    assert_eq!(at(&mut world, &mut dispatch, 3), Some(Duration::from_secs(30)));
    let (mut world, mut dispatch) = begun(1, 1);
    assert_eq!(at(&mut world, &mut dispatch, 3), Some(Duration::from_secs(30)));
    assert_eq!(world.told, ["0 draws [0]"]);
}

#[test]
fn a_late_call_that_has_failed_nobody_but_the_hedged_offer_leaves_its_failures_out() {
    // The second has failed the request; it is no help, and the third is.
    let mut world = World::new(&[1, 1, 1], Duration::from_secs(60));
    world.hedge_after[1] = Some(Duration::from_secs(2));
    let candidates = (0..3).map(|offer| candidate(offer, 1)).collect();
    let (mut world, mut dispatch) = begun_with(world, candidates, |rules| rules, 1);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::Server));
    world.run(&mut dispatch);
    at(&mut world, &mut dispatch, 4);
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]", "2 hedges [0]"]);
}

#[test]
fn a_hedged_call_is_given_up_only_when_its_hedge_is_overdue_too() {
    let (mut world, mut dispatch) = begun(3, 1);
    world.wake(&mut dispatch);
    // Half of the sixty seconds, and half of the fifty-eight that the hedge had.
    assert_eq!(at(&mut world, &mut dispatch, 30), Some(Duration::from_millis(30_500)));
    assert_eq!(world.told.len(), 2);
    at(&mut world, &mut dispatch, 31);
    assert_eq!(world.told[2..], ["0 slow", "1 slow", "2 draws [0]"]);
    // All three are under way for one place; what comes first is delivered.
    assert_eq!(world.end(&mut dispatch, 0, 33, 1, CallEnd::default()), [Disposition::Deliver(0)]);
    assert_eq!(world.end(&mut dispatch, 2, 34, 1, CallEnd::default()), [Disposition::Keep]);
    assert_eq!(world.end(&mut dispatch, 1, 35, 1, CallEnd::default()), [Disposition::Keep]);
}

#[test]
fn a_hedge_that_cannot_start_after_all_is_nothing_that_the_answer_tells() {
    let (mut world, mut dispatch) = begun(2, 1);
    world.now = world.began + Duration::from_secs(2);
    dispatch.timer(world.time());
    let start = dispatch.next(&world, world.time());
    assert!(matches!(start, Action::Start { candidate: 1, reason: ChoiceReason::Hedge, .. }), "{start:?}");
    dispatch.not_started(1, Obstacle::AtCapacity);
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_millis(2500)));
    assert_eq!(world.told[1..], ["0 not hedged: no_offer"]);
    world.wake(&mut dispatch);
    assert_eq!(world.told[2..], ["1 hedges [0]"]);
    // Likewise where another request took what was left of the route's bound.
    let (mut world, mut dispatch) = begun(2, 1);
    world.now = world.began + Duration::from_secs(2);
    dispatch.timer(world.time());
    dispatch.next(&world, world.time());
    dispatch.hedge_exceeded(HedgeBudgetExceeded::Dollars);
    world.run(&mut dispatch);
    assert_eq!(world.told[1..], ["0 not hedged: dollars"]);
}

#[test]
fn a_place_has_no_second_hedge_while_the_first_is_under_way_even_where_that_is_not_waited_for() {
    let (mut world, mut dispatch) = begun(4, 1);
    world.hedge_after[2] = Some(Duration::from_secs(2));
    world.wake(&mut dispatch);
    at(&mut world, &mut dispatch, 31);
    assert_eq!(world.told[2..], ["0 slow", "1 slow", "2 draws [0]"]);
    at(&mut world, &mut dispatch, 35);
    assert_eq!(world.told.len(), 5, "the third is late, and the second's call may come still");
    world.end(&mut dispatch, 1, 36, 0, failed(Class::Server));
    world.run(&mut dispatch);
    assert_eq!(world.told[5..], ["3 hedges [0]"]);
}

#[test]
fn only_those_pictures_are_hedged_that_are_not_there_yet() {
    let (mut world, mut dispatch) = begun(3, 2);
    (world.hedge_after[0], world.hedge_after[1]) = (None, Some(Duration::from_secs(2)));
    at(&mut world, &mut dispatch, 30);
    assert_eq!(world.told, ["0 draws [0, 1]", "0 slow", "1 draws [0, 1]"]);
    // The slow call brings one of the two after all.
    assert_eq!(world.end(&mut dispatch, 0, 31, 1, CallEnd::default()), [Disposition::Deliver(0)]);
    world.run(&mut dispatch);
    at(&mut world, &mut dispatch, 33);
    assert_eq!(world.told[3..], ["2 hedges [1]"]);
}

#[test]
fn with_a_seed_what_is_left_on_both_sides_of_a_picture_is_no_one_call() {
    let world = World::new(&[1, 1, 1], Duration::from_secs(60));
    let seeded = |rules| DispatchRules { seeded: true, ..rules };
    let candidates = (0..3).map(|offer| candidate(offer, 4)).collect();
    let (mut world, mut dispatch) = begun_with(world, candidates, seeded, 3);
    (world.hedge_after[0], world.hedge_after[1]) = (None, Some(Duration::from_secs(2)));
    at(&mut world, &mut dispatch, 30);
    assert_eq!(world.told, ["0 draws [0, 1, 2]", "0 slow", "1 draws [0, 1, 2]"]);
    let slow = world.carried.swap_remove(0);
    let middle = CallEnd { at: vec![1], promised: CENT, ..CallEnd::default() };
    let ended = dispatch.ended(slow.call, middle, world.now).unwrap();
    assert_eq!(ended.dispositions, [Disposition::Deliver(1)]);
    at(&mut world, &mut dispatch, 33);
    assert_eq!(world.told.len(), 3);
}
