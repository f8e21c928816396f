//! How a pause grows, what ends it, and how an offer that recovers gets its traffic back.

use super::*;

impl Story {
    /// Three failures: the operation is paused for failing.
    fn trip(&self) -> Duration {
        let passes = [(); 3].map(|()| self.pass("m").unwrap());
        let paused = passes.map(|pass| pass.failed(&Failure::new(Class::Server, ""), LIMITS, 0, self.now));
        paused.into_iter().flatten().last().unwrap().until - self.now
    }

    /// A probe that fails: how long the next pause is.
    fn probe_fails(&self) -> Duration {
        let failure = Failure::new(Class::Server, "");
        self.pass("m").unwrap().failed(&failure, LIMITS, 0, self.now).unwrap().until - self.now
    }
}

#[test]
fn each_failed_probe_doubles_the_pause_up_to_its_bound_and_a_success_starts_from_the_first_again() {
    let mut story = Story::new();
    let mut pauses = vec![story.trip()];
    for _ in 0..6 {
        story.now += pauses[pauses.len() - 1];
        pauses.push(story.probe_fails());
    }
    assert_eq!(pauses.iter().map(Duration::as_secs).collect::<Vec<_>>(), [20, 40, 80, 160, 300, 300, 300]);
    story.later(300);
    story.pass("m").unwrap().succeeded(story.now);
    assert_eq!(story.trip(), Duration::from_secs(20));
}

#[test]
fn calls_that_were_under_way_when_the_pause_began_neither_lengthen_nor_double_it() {
    let mut story = Story::new();
    let under_way: Vec<Pass> = (0..7).map(|_| story.pass("m").unwrap()).collect();
    assert_eq!(story.trip().as_secs(), 20);
    story.later(19);
    let mut late = under_way.into_iter();
    for pass in late.by_ref().take(6) {
        pass.failed(&Failure::new(Class::TimeoutAmbiguous, ""), LIMITS, 0, story.now);
    }
    story.later(1);
    let probe = story.pass("m").unwrap();
    late.next().unwrap().failed(&Failure::new(Class::TimeoutAmbiguous, ""), LIMITS, 0, story.now);
    assert_eq!(story.pause("m"), Some(Pause::Probing), "only the probe decides");
    let paused = probe.failed(&Failure::new(Class::Server, ""), LIMITS, 0, story.now).unwrap();
    assert_eq!(paused.until - story.now, Duration::from_secs(40));
}

#[test]
fn a_call_that_was_under_way_when_the_pause_for_failing_began_and_brings_its_picture_ends_it() {
    let mut story = Story::new();
    let under_way = story.pass("m").unwrap();
    story.trip();
    story.later(3);
    assert_eq!(story.pause("m"), Some(Pause::Failing));
    under_way.succeeded(story.now);
    let all: Vec<Result<Pass, PausedUntil>> = (0..10).map(|_| story.pass("m")).collect();
    assert!(all.iter().all(Result::is_ok), "it works, so everybody may ask");
    drop(all);
    assert_eq!(story.trip(), Duration::from_secs(20), "and the pauses grow from the first again");
}

#[test]
fn what_the_vendor_stated_is_ended_by_a_success_of_a_call_that_was_sent_after_it_and_by_no_other() {
    for class in [Class::Quota, Class::Auth, Class::ModelGone] {
        let mut story = Story::new();
        let before = story.pass("m").unwrap();
        story.fail("m", class);
        let stated = story.pause("m");
        before.succeeded(story.now);
        assert_eq!(story.pause("m"), stated, "{class:?}: it was let in before");
        story.later(600);
        let after = story.pass("m").unwrap();
        assert_eq!(story.pause("m"), Some(Pause::Probing), "{class:?}");
        after.succeeded(story.now);
        assert_eq!((story.pause("m"), story.pass("m").is_ok(), story.pass("m").is_ok()), (None, true, true));
    }
}

#[test]
fn a_waiting_time_that_the_vendor_named_is_kept_however_well_its_other_calls_go() {
    for class in [Class::RateLimited, Class::Server] {
        let mut story = Story::new();
        let under_way = story.pass("m").unwrap();
        let told = story.find("m", Classification::stated(class), Some(9));
        story.later(8);
        under_way.succeeded(story.now);
        assert_eq!(story.breakers.paused_until(story.target("m"), story.now), told, "{class:?}");
        story.later(1);
        assert_eq!(story.pause("m"), None, "{class:?}");
    }
}

#[test]
fn a_probe_that_takes_as_long_as_its_timeout_keeps_the_others_away_for_half_a_minute_and_no_longer() {
    let mut story = Story::new();
    story.trip();
    story.later(20);
    let hanging = story.pass("m").unwrap();
    story.later(29);
    let told = story.pass("m").unwrap_err();
    assert_eq!((told.pause, told.opens), (Pause::Probing, story.now + Duration::from_secs(1)));
    story.later(1);
    let second = story.pass("m").unwrap();
    assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing, "one more, and not everybody");
    drop(hanging);
    assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing, "the first is nothing to the second");
    second.succeeded(story.now);
    assert!(story.pass("m").is_ok() && story.pass("m").is_ok());
}

#[test]
fn of_two_probes_that_hang_the_second_failure_does_not_double_the_pause_once_more() {
    let mut story = Story::new();
    story.trip();
    story.later(20);
    let first = story.pass("m").unwrap();
    story.later(30);
    let second = story.pass("m").unwrap();
    story.later(5);
    let fail = |pass: Pass, now| pass.failed(&Failure::new(Class::TimeoutAmbiguous, ""), LIMITS, 0, now).unwrap();
    let told = fail(first, story.now);
    assert_eq!(told.until - story.now, Duration::from_secs(40));
    story.later(10);
    assert_eq!(fail(second, story.now), told);
}

#[test]
fn a_recovering_offer_gets_one_probe_and_then_traffic() {
    let mut story = Story::new();
    story.trip();
    story.later(20);
    let asked: Vec<Result<Pass, PausedUntil>> = (0..50).map(|_| story.pass("m")).collect();
    assert_eq!(asked.iter().filter(|pass| pass.is_ok()).count(), 1);
    story.later(4);
    asked.into_iter().flatten().next().unwrap().succeeded(story.now);
    let asked: Vec<Result<Pass, PausedUntil>> = (0..50).map(|_| story.pass("m")).collect();
    assert!(asked.iter().all(Result::is_ok));
}

#[test]
fn of_twenty_calls_one_503_that_asks_for_a_second_does_not_take_the_offer_from_ten_new_requests_after_it() {
    let mut story = Story::new();
    let mut calls: Vec<Pass> = (0..20).map(|_| story.pass("m").unwrap()).collect();
    let busy = Failure::new(Class::Server, "").with_retry_after(Some(Duration::from_secs(1)));
    calls.swap_remove(7).failed(&busy, LIMITS, 1000, story.now);
    assert_eq!(story.pause("m"), Some(Pause::Overloaded));
    calls.into_iter().for_each(|call| call.succeeded(story.now));
    story.now += Duration::from_millis(1100);
    let new: Vec<Result<Pass, PausedUntil>> = (0..10).map(|_| story.pass("m")).collect();
    assert!(new.iter().all(Result::is_ok), "latest of all chances included");
}

#[test]
fn a_call_that_was_never_made_is_no_success_and_gives_its_probe_back() {
    let mut story = Story::new();
    story.trip();
    story.later(20);
    let unmade = story.pass("m").unwrap();
    unmade.failed(&Failure::new(Class::Unrecorded, ""), LIMITS, 0, story.now);
    let probe = story.pass("m").unwrap();
    assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing, "it is not proved yet");
    probe.succeeded(story.now);
    assert!(story.pass("m").is_ok());
}

#[test]
fn new_bounds_hold_from_the_next_failure_on() {
    let mut story = Story::new();
    story.trip();
    story.later(20);
    let short = Limits { pause: Duration::from_secs(1), max_pause: Duration::from_secs(3), ..LIMITS };
    let fail = |story: &Story| {
        let failed = story.pass("m").unwrap().failed(&Failure::new(Class::Server, ""), short, 0, story.now);
        failed.unwrap().until - story.now
    };
    assert_eq!(fail(&story), Duration::from_secs(2), "twice the new first one");
    story.later(2);
    assert_eq!(fail(&story), Duration::from_secs(3), "the new bound");
}

proptest::proptest! {
    /// Whatever happens, an offer that would work is asked again in bounded time: no pause of failing is longer than its
    /// bound, and after it somebody may ask at least every half minute.
    #[test]
    fn no_story_keeps_an_offer_away_for_longer_than_its_bounds(
        happenings in proptest::collection::vec((0..4u8, 0..40u64, 0..6usize), 0..80),
        chance in 0..=1000u32,
    ) {
        let mut story = Story::new();
        let mut under_way: Vec<Pass> = Vec::new();
        for (what, seconds, which) in happenings {
            story.later(seconds);
            match what {
                0 => under_way.extend(story.pass("m").ok()),
                _ if under_way.is_empty() => {}
                1 => drop(under_way.swap_remove(which % under_way.len())),
                2 => under_way.swap_remove(which % under_way.len()).succeeded(story.now),
                _ => {
                    let pass = under_way.swap_remove(which % under_way.len());
                    pass.failed(&Failure::new(Class::Server, ""), LIMITS, chance, story.now);
                }
            }
            if let Some(paused) = story.breakers.paused_until(story.target("m"), story.now) {
                proptest::prop_assert!(paused.until <= story.now + LIMITS.max_pause);
                proptest::prop_assert!(paused.opens <= story.now + LIMITS.max_pause + Duration::from_secs(5));
            }
        }
        story.later(305);
        let waits = if story.pass("m").is_ok() { 0 } else { 30 };
        story.later(waits);
        proptest::prop_assert!(story.pass("m").is_ok(), "nobody may ask any more");
    }
}
