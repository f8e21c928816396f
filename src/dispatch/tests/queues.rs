//! Requests whose providers are full: who waits for how many slots, and who is told at once that it would be in vain.

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A request for `wanted` pictures, one a call, within ten seconds, at offers that are full.
fn full(offers: usize, wanted: u8, all_or_none: bool) -> (World, Dispatch) {
    let mut world = World::new(&vec![0; offers], seconds(10));
    world.queue = vec![9; offers];
    let candidates = (0..offers).map(|offer| candidate(offer, 1)).collect();
    let dispatch =
        Dispatch::new(DispatchRules { all_or_none, ..rules(&world, wanted) }, candidates, Vec::new(), offers);
    (world, dispatch)
}

fn forecast(wait: u64, call: u64) -> Option<SlotForecast> {
    Some(SlotForecast { wait: seconds(wait), call: seconds(call) })
}

#[test]
fn a_request_for_four_pictures_waits_for_four_slots_at_once_and_leaves_the_queue_when_it_has_them() {
    let (mut world, mut dispatch) = full(2, 4, false);
    world.forecasts[0] = forecast(1, 3);
    world.run(&mut dispatch);
    assert_eq!(world.told.last().unwrap(), "queue [0, 0, 0, 0, 1, 1, 1, 1]");
    for candidate in [0, 1, 0, 0] {
        let place = world.queued.iter().position(|queued| *queued == candidate).unwrap();
        world.queued.remove(place);
        world.granted = Some(candidate);
        dispatch.slot_granted(candidate);
        world.run(&mut dispatch);
    }
    let drawn: Vec<&String> = world.told.iter().filter(|told| told.contains("draws")).collect();
    assert_eq!(drawn, ["0 draws [0]", "1 draws [1]", "0 draws [2]", "0 draws [3]"]);
    assert!(world.queued.is_empty(), "nobody waits for a slot that is not needed");
}

#[test]
fn who_would_get_its_slot_too_late_is_told_at_once_and_when_it_could_have_been_served() {
    let told = |wait, call| {
        let (mut world, mut dispatch) = full(1, 1, false);
        world.forecasts[0] = forecast(wait, call);
        world.run(&mut dispatch);
        let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
        (world.over, world.told.last().unwrap().clone(), error.kind, error.retry_after.unwrap().as_secs())
    };
    let late = "0 would_be_late".to_owned();
    // Its queue is ten seconds long at the most, and so is its deadline.
    assert_eq!(told(7, 4), (true, late.clone(), ErrorKind::Busy, 1));
    assert_eq!(told(9, 6), (true, late.clone(), ErrorKind::Busy, 5));
    assert_eq!(told(25, 3), (true, late.clone(), ErrorKind::Busy, 18));
    assert_eq!(told(4, 60), (true, late, ErrorKind::Busy, 4), "a free slot is all that a slow offer can give");
    assert_eq!(told(6, 4).1, "queue [0]");
}

#[test]
fn a_wait_that_is_longer_than_the_queue_lets_anybody_wait_is_not_begun() {
    let (mut world, mut dispatch) = full(1, 1, false);
    world.max_wait = seconds(2);
    world.forecasts[0] = forecast(5, 1);
    world.run(&mut dispatch);
    let error = dispatch.error("all", world.time(), Moment::default()).unwrap();
    assert_eq!((world.over, error.retry_after), (true, Some(seconds(3))));
}

#[test]
fn of_two_full_offers_only_the_one_that_may_be_in_time_is_waited_for() {
    let (mut world, mut dispatch) = full(2, 1, false);
    (world.forecasts[0], world.forecasts[1]) = (forecast(30, 5), forecast(1, 5));
    world.run(&mut dispatch);
    assert_eq!(world.told[2..], ["0 would_be_late", "queue [1]"]);
}

#[test]
fn where_some_pictures_are_better_than_none_the_first_slot_decides_and_else_the_last() {
    let (mut world, mut dispatch) = full(1, 4, false);
    world.forecasts[0] = forecast(2, 3);
    world.run(&mut dispatch);
    assert_eq!(world.told.last().unwrap(), "queue [0, 0, 0, 0]");
    let (mut world, mut dispatch) = full(1, 4, true);
    world.forecasts[0] = forecast(2, 3);
    world.run(&mut dispatch);
    assert!(world.over && world.told.last().unwrap() == "0 would_be_late", "the fourth comes after eight seconds");
}
