//! Offers that wait for a reason (`when`), and why each call is made.

use super::*;
use crate::config::plan::AskWhen;

fn waiting(offer: usize, when: &[AskWhen]) -> Candidate {
    Candidate { when: when.to_vec(), ..candidate(offer, 1) }
}

fn paused_till(until: Instant) -> PausedUntil {
    PausedUntil { pause: Pause::Failing, until, opens: until }
}

fn rejected() -> CallEnd {
    CallEnd { rejected: true, ..failed(Class::Unlike) }
}

/// A request for one picture of two offers, of which the second waits for `when`.
fn backed_up(slots: &[usize], when: &[AskWhen]) -> (World, Dispatch) {
    let world = World::new(slots, Duration::from_secs(10));
    let candidates = vec![candidate(0, 1), waiting(1, when)];
    let dispatch = Dispatch::new(rules(&world, 1), candidates, Vec::new(), 2);
    (world, dispatch)
}

#[test]
fn the_premium_offer_is_asked_after_a_rejected_picture_and_not_after_a_failure() {
    let (mut world, mut dispatch) = backed_up(&[1, 1], &[AskWhen::Rejected]);
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::Server));
    world.wake(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "1 condition_not_met", "0 draws [0]"]);
    world.end(&mut dispatch, 0, 2, 0, rejected());
    world.run(&mut dispatch);
    assert_eq!(world.told[3..], ["1 draws [0]"]);
    assert_eq!(world.reasons, [ChoiceReason::First, ChoiceReason::Repeat, ChoiceReason::Fallback]);
}

#[test]
fn the_reserved_offer_takes_what_the_others_have_no_slot_for() {
    let (mut world, mut dispatch) = backed_up(&[0, 1], &[AskWhen::Saturated]);
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 at_capacity", "1 draws [0]"]);
    assert_eq!(world.reasons.last(), Some(&ChoiceReason::Spill));
    // A provider that is paused is not saturated.
    let (mut world, mut dispatch) = backed_up(&[1, 1], &[AskWhen::Saturated]);
    world.paused[0] = Some(paused_till(world.deadline));
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 failing", "1 condition_not_met"]);
}

#[test]
fn the_backup_is_asked_while_the_others_are_paused_or_have_failed_and_not_while_they_are_only_full() {
    let (mut world, mut dispatch) = backed_up(&[1, 1], &[AskWhen::Unavailable]);
    world.paused[0] = Some(paused_till(world.deadline));
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 failing", "1 draws [0]"]);
    assert_eq!(world.reasons, [ChoiceReason::NextAble]);
    let (mut world, mut dispatch) = backed_up(&[1, 1], &[AskWhen::Unavailable]);
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::RateLimited));
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]"]);
    let (mut world, mut dispatch) = backed_up(&[0, 1], &[AskWhen::Unavailable]);
    world.queue[0] = 1;
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 at_capacity", "1 condition_not_met", "queue [0]"]);
}

#[test]
fn an_offer_that_is_asked_too_much_lets_both_the_one_for_bursts_and_the_one_for_outages_be_asked() {
    for pause in [Pause::RateLimited, Pause::RateSpent] {
        for when in [AskWhen::Saturated, AskWhen::Unavailable] {
            let (mut world, mut dispatch) = backed_up(&[1, 1], &[when]);
            let until = world.deadline;
            world.paused[0] = Some(PausedUntil { pause, until, opens: until });
            world.run(&mut dispatch);
            assert_eq!(world.told, [format!("0 {}", pause.as_str()).as_str(), "1 draws [0]"], "{when:?}");
        }
    }
    let (mut world, mut dispatch) = backed_up(&[1, 1], &[AskWhen::Saturated]);
    world.paused[0] = Some(paused_till(world.deadline));
    world.run(&mut dispatch);
    assert!(world.over, "a provider that fails is not saturated");
    // Where another is only full, a slot may come, and that is no outage.
    let mut world = World::new(&[0, 1, 1], Duration::from_secs(10));
    let until = world.deadline;
    world.queue[0] = 1;
    world.paused[1] = Some(PausedUntil { pause: Pause::RateLimited, until, opens: until });
    let candidates = vec![candidate(0, 1), candidate(1, 1), waiting(2, &[AskWhen::Unavailable])];
    let mut dispatch = Dispatch::new(rules(&world, 1), candidates, Vec::new(), 3);
    world.run(&mut dispatch);
    assert_eq!(world.told.last().unwrap(), "queue [0]");
}

#[test]
fn of_two_others_one_full_and_one_paused_the_burst_is_taken_and_the_outage_is_not() {
    for (when, asked) in [(AskWhen::Saturated, true), (AskWhen::Unavailable, false)] {
        let mut world = World::new(&[0, 1, 1], Duration::from_secs(10));
        world.paused[1] = Some(paused_till(world.deadline));
        let candidates = vec![candidate(0, 1), candidate(1, 1), waiting(2, &[when])];
        let mut dispatch = Dispatch::new(rules(&world, 1), candidates, Vec::new(), 3);
        world.run(&mut dispatch);
        assert_eq!(world.told.contains(&"2 draws [0]".to_owned()), asked, "{when:?}: {:?}", world.told);
    }
}

#[test]
fn who_is_for_the_late_draws_in_place_of_a_call_that_takes_too_long() {
    let (mut world, mut dispatch) = backed_up(&[1, 1], &[AskWhen::Late]);
    assert_eq!(world.run(&mut dispatch), Some(Duration::from_secs(5)));
    world.now = world.began + Duration::from_secs(5);
    dispatch.timer(world.time());
    world.run(&mut dispatch);
    assert_eq!(world.told[world.told.len() - 2..], ["0 slow", "1 draws [0]"]);
    assert_eq!(world.reasons, [ChoiceReason::First, ChoiceReason::Late]);
}

#[test]
fn who_is_asked_first_alone_is_no_fallback() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    let candidates = vec![waiting(0, &[AskWhen::First]), candidate(1, 1)];
    let mut dispatch = Dispatch::new(rules(&world, 1), candidates, Vec::new(), 2);
    world.run(&mut dispatch);
    world.end(&mut dispatch, 0, 1, 0, failed(Class::Server));
    world.run(&mut dispatch);
    world.end(&mut dispatch, 1, 2, 0, failed(Class::Server));
    world.wake(&mut dispatch);
    assert_eq!(world.told, ["0 draws [0]", "1 draws [0]", "0 condition_not_met", "1 draws [0]"]);
}

#[test]
fn where_every_offer_waits_for_a_reason_the_one_for_outages_begins() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    let candidates = vec![waiting(0, &[AskWhen::Rejected]), waiting(1, &[AskWhen::Unavailable])];
    let mut dispatch = Dispatch::new(rules(&world, 1), candidates, Vec::new(), 2);
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 condition_not_met", "1 draws [0]"]);
}

#[test]
fn a_call_says_that_it_explores() {
    let mut world = World::new(&[1], Duration::from_secs(10));
    let rules = DispatchRules { explores: true, ..rules(&world, 1) };
    let mut dispatch = Dispatch::new(rules, vec![candidate(0, 1)], Vec::new(), 1);
    world.run(&mut dispatch);
    assert_eq!(world.reasons, [ChoiceReason::Explore]);
}

#[test]
fn who_waits_for_a_reason_is_nobodys_predecessor_wherever_it_stands() {
    let mut world = World::new(&[1, 1], Duration::from_secs(10));
    let rules = DispatchRules { explores: true, ..rules(&world, 1) };
    let candidates = vec![waiting(0, &[AskWhen::Rejected]), candidate(1, 1)];
    let mut dispatch = Dispatch::new(rules, candidates, Vec::new(), 2);
    world.run(&mut dispatch);
    assert_eq!(world.told, ["0 condition_not_met", "1 draws [0]"]);
    assert_eq!(world.reasons, [ChoiceReason::Explore]);
}
