//! Breakers as calls go well and badly and time passes.

use std::time::Duration;

use super::*;
use crate::breaker::circuit::spread;
use crate::breaker::failure_policy::LONGEST_PAUSE;
use crate::failure::{Class, Classification};

mod recovery;

const LIMITS: Limits = Limits {
    failures: 3,
    window: Duration::from_secs(30),
    pause: Duration::from_secs(20),
    max_pause: Duration::from_secs(300),
};

struct Story {
    breakers: Arc<Breakers>,
    now: Instant,
    account: u64,
    operation: ModelOperation,
}

impl Story {
    fn new() -> Story {
        Story { breakers: Breakers::new(), now: Instant::now(), account: 1, operation: ModelOperation::Generate }
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn target<'a>(&self, model: &'a str) -> BreakerTarget<'a> {
        BreakerTarget { provider: "p", account: self.account, model, operation: self.operation }
    }

    fn fail(&self, model: &str, class: Class) {
        self.find(model, Classification::stated(class), None);
    }

    fn find(&self, model: &str, finding: Classification, after: Option<u64>) -> Option<PausedUntil> {
        let failure = Failure::found(finding, "").with_retry_after(after.map(Duration::from_secs));
        self.pass(model).unwrap().failed(&failure, LIMITS, 0, self.now)
    }

    fn pass(&self, model: &str) -> Result<Pass, PausedUntil> {
        self.breakers.pass(self.target(model), self.now)
    }

    fn pause(&self, model: &str) -> Option<Pause> {
        self.breakers.paused_until(self.target(model), self.now).map(|paused_until| paused_until.pause)
    }
}

#[test]
fn a_tripped_offer_is_skipped_until_its_pause_ends_and_one_probe_decides() {
    let mut story = Story::new();
    story.fail("m", Class::Server);
    story.fail("m", Class::Malformed);
    assert_eq!(story.pause("m"), None);
    story.fail("m", Class::TimeoutAmbiguous);
    assert_eq!(story.pause("m"), Some(Pause::Failing));
    assert_eq!(story.pause("other"), None);
    story.later(20);
    assert_eq!(story.pause("m"), None);
    let probe = story.pass("m").unwrap();
    assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing);
    probe.failed(&Failure::new(Class::Server, ""), LIMITS, 0, story.now);
    assert_eq!(story.pause("m"), Some(Pause::Failing));
    story.later(40);
    story.pass("m").unwrap().succeeded(story.now);
    assert_eq!(story.pause("m"), None);
    assert_eq!(story.breakers.state("p", 1, "m", story.now), 0);
}

#[test]
fn the_state_of_a_model_is_paused_then_probing_until_the_probe_is_back_then_passing() {
    let mut story = Story::new();
    let state = |story: &Story| story.breakers.state("p", 1, "m", story.now);
    story.fail("m", Class::Auth);
    assert_eq!(state(&story), 2);
    story.later(60);
    assert_eq!(state(&story), 1, "the next call is the probe");
    let probe = story.pass("m").unwrap();
    assert_eq!(state(&story), 1, "the probe is out");
    probe.succeeded(story.now);
    assert_eq!(state(&story), 0);
}

#[test]
fn failures_far_apart_do_not_trip() {
    let mut story = Story::new();
    for _ in 0..6 {
        story.fail("m", Class::Server);
        story.later(16);
    }
    assert_eq!(story.pause("m"), None);
}

#[test]
fn a_success_between_failures_starts_the_count_again() {
    let story = Story::new();
    story.fail("m", Class::Server);
    story.fail("m", Class::Server);
    story.pass("m").unwrap().succeeded(story.now);
    story.fail("m", Class::Server);
    assert_eq!(story.pause("m"), None);
}

#[test]
fn what_a_vendor_states_pauses_at_once_and_as_wide_as_it_reaches() {
    let elsewhere = |class: Class, scope: FailureScope| {
        let mut story = Story::new();
        story.find("m", Classification::stated(class).at(scope), None);
        let same = story.pause("m");
        let other_model = story.pause("other");
        story.operation = ModelOperation::Edit;
        (same.is_some(), story.pause("m").is_some(), other_model.is_some())
    };
    for class in [Class::RateLimited, Class::Quota, Class::Auth, Class::ModelGone] {
        assert_eq!(elsewhere(class, FailureScope::Account), (true, true, true), "{class:?}");
        assert_eq!(elsewhere(class, FailureScope::Model), (true, true, false), "{class:?}");
        assert_eq!(elsewhere(class, FailureScope::Operation), (true, false, false), "{class:?}");
    }
    let usual =
        [Class::Quota, Class::Auth, Class::RateLimited, Class::ModelGone].map(|c| Classification::stated(c).scope);
    assert_eq!(usual, [FailureScope::Account, FailureScope::Account, FailureScope::Model, FailureScope::Operation]);
}

#[test]
fn what_may_come_from_anybody_counts_as_one_failure_of_the_operation() {
    for class in [Class::Auth, Class::Quota, Class::ModelGone] {
        let mut story = Story::new();
        for _ in 0..2 {
            assert_eq!(story.find("m", Classification::guess(class), None), None, "{class:?}");
        }
        assert_eq!(story.pause("m"), None, "{class:?}");
        story.find("m", Classification::guess(class), None);
        assert_eq!((story.pause("m"), story.pause("other")), (Some(Pause::Failing), None), "{class:?}");
        story.operation = ModelOperation::Edit;
        assert_eq!(story.pause("m"), None, "{class:?}");
    }
}

#[test]
fn the_providers_own_waiting_time_counts_up_to_a_limit_and_is_told_alike_to_everybody() {
    let mut story = Story::new();
    let told = story.find("m", Classification::stated(Class::RateLimited), Some(99_999)).unwrap();
    assert_eq!(told.until, story.now + LONGEST_PAUSE);
    story.later(599);
    assert_eq!(story.breakers.paused_until(story.target("m"), story.now), Some(told));
    story.later(1);
    assert_eq!(story.pause("m"), None);
}

#[test]
fn one_failure_that_names_a_time_is_over_after_it_and_needs_no_proof() {
    let mut story = Story::new();
    story.find("m", Classification::stated(Class::Server), Some(1));
    assert_eq!(story.pause("m"), Some(Pause::Overloaded));
    story.later(1);
    let all: Vec<Result<Pass, PausedUntil>> = (0..10).map(|_| story.pass("m")).collect();
    assert!(all.iter().all(Result::is_ok), "everybody may ask");
}

#[test]
fn failures_that_name_a_time_trip_all_the_same_when_there_are_many() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.find("m", Classification::stated(Class::Server), Some(1));
        story.later(1);
    }
    assert_eq!(story.pause("m"), Some(Pause::Failing));
}

#[test]
fn each_kind_of_pause_is_told_by_its_own_name_and_ends_in_its_own_way() {
    let mut story = Story::new();
    let slow = [story.pass("m").unwrap(), story.pass("m").unwrap(), story.pass("m").unwrap()];
    story.find("m", Classification::stated(Class::RateLimited), Some(60));
    for pass in slow {
        pass.failed(&Failure::new(Class::Server, ""), LIMITS, 0, story.now);
    }
    assert_eq!(story.pause("m"), Some(Pause::RateLimited), "it is the one that lasts longest");
    story.later(60);
    let probe = story.pass("m").unwrap();
    assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing, "that it fails is not disproved");
    probe.succeeded(story.now);
    assert!(story.pass("m").is_ok() && story.pass("m").is_ok());
    story.find("m", Classification::stated(Class::Quota), None);
    assert_eq!(story.pause("other"), Some(Pause::Quota));
}

#[test]
fn a_rate_limit_that_has_run_out_lets_everybody_through() {
    let mut story = Story::new();
    story.fail("m", Class::RateLimited);
    story.later(2);
    let (one, two) = (story.pass("m"), story.pass("m"));
    assert!(one.is_ok() && two.is_ok());
}

#[test]
fn a_new_key_is_tried_at_once_and_a_late_answer_to_the_old_one_is_nothing_to_it() {
    let mut story = Story::new();
    let late = story.pass("m").unwrap();
    story.fail("m", Class::Auth);
    assert_eq!(story.pause("m"), Some(Pause::Auth));
    story.account = 2;
    assert_eq!(story.pause("m"), None);
    story.breakers.keep_only(&[("p", 2)]);
    late.failed(&Failure::new(Class::Auth, ""), LIMITS, 0, story.now);
    assert_eq!(story.pause("m"), None);
    story.breakers.keep_only(&[("p", 2)]);
    assert!(story.breakers.lock().is_empty(), "nothing is remembered of accounts that are gone");
}

#[test]
fn a_probe_that_is_given_up_lets_another_go() {
    let mut story = Story::new();
    story.fail("m", Class::Auth);
    story.later(60);
    let probe = story.pass("m").unwrap();
    assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing);
    drop(probe);
    assert!(story.pass("m").is_ok());
}

#[test]
fn a_callers_mistake_says_nothing_against_the_offer() {
    let story = Story::new();
    for _ in 0..9 {
        story.fail("m", Class::CallerInvalid);
        story.fail("m", Class::Policy);
    }
    assert_eq!(story.pause("m"), None);
}

#[test]
fn a_pause_ends_a_little_later_by_chance_and_a_short_one_hardly_later() {
    let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
    assert_eq!([0, 500, 1000].map(|chance| spread(seconds(40), chance)), [seconds(0), seconds(1), seconds(2)]);
    assert_eq!([spread(seconds(1), 1000), spread(seconds(600), 1000)], [millis(50), seconds(5)]);
    let mut story = Story::new();
    let told = Failure::new(Class::RateLimited, "").with_retry_after(Some(seconds(40)));
    let paused_until = story.pass("m").unwrap().failed(&told, LIMITS, 1000, story.now).unwrap();
    assert_eq!(paused_until.until, story.now + seconds(40), "what is told is the vendor's time");
    assert_eq!(paused_until.opens, story.now + seconds(42));
    story.later(41);
    assert_eq!(story.pause("m"), Some(Pause::RateLimited));
    story.later(1);
    assert_eq!(story.pause("m"), None);
}
