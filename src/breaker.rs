//! When to stop asking for a while: one circuit breaker per offer and one per provider.
//!
//! Plain arithmetic that is handed the time. Trouble with one model (errors, timeouts, garbage) pauses that offer after
//! several failures; trouble with the account (rate limit, quota, credentials) pauses the whole provider at once. When
//! a pause ends, a single probe goes out, and everyone else keeps away until it has come back. Nothing here decides
//! who is asked instead.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::plan::Breaker as Limits;
use crate::failure::{Class, Failure};

/// Pause after a 429 that does not say how long.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(2);
/// Pause when the account is out of money or quota; waiting does not help, a person must act.
const QUOTA_PAUSE: Duration = Duration::from_secs(300);
/// Pause when the credentials were refused; a reload may bring better ones.
const AUTH_PAUSE: Duration = Duration::from_secs(60);
/// Pause when the model is gone.
const GONE_PAUSE: Duration = Duration::from_secs(600);
/// No provider's own waiting time is believed beyond this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Why an offer is paused. The word goes to log, metric and header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pause {
    /// The provider said "too many requests".
    RateLimited,
    /// Too many failures in a row of time.
    Failing,
    /// The account is out of money or quota.
    Quota,
    /// The credentials were refused.
    Auth,
    /// The model does not exist.
    ModelGone,
    /// The pause is over and a probe is out.
    Probing,
}

impl Pause {
    /// The word for log, metric and header.
    pub fn word(self) -> &'static str {
        match self {
            Pause::RateLimited => "rate_limited",
            Pause::Failing => "failing",
            Pause::Quota => "quota",
            Pause::Auth => "auth",
            Pause::ModelGone => "model_gone",
            Pause::Probing => "probing",
        }
    }
}

/// An offer that must not be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooling {
    /// Why.
    pub pause: Pause,
    /// Until when, at the earliest.
    pub until: Instant,
}

/// One breaker's memory.
#[derive(Debug, Default)]
struct Breaker {
    failures: VecDeque<Instant>,
    paused: Option<Cooling>,
    probe_out: bool,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Probe,
    Paused(Cooling),
}

impl Breaker {
    fn verdict(&self, now: Instant) -> Verdict {
        match self.paused {
            None => Verdict::Pass,
            Some(cooling) if cooling.until > now => Verdict::Paused(cooling),
            // A rate limit that has run out needs no proof.
            Some(cooling) if cooling.pause == Pause::RateLimited => Verdict::Pass,
            Some(_) if self.probe_out => Verdict::Paused(Cooling { pause: Pause::Probing, until: now }),
            Some(_) => Verdict::Probe,
        }
    }

    fn pause(&mut self, pause: Pause, until: Instant) {
        // A longer pause that already runs is not cut short.
        let until = self.paused.map_or(until, |running| running.until.max(until));
        self.paused = Some(Cooling { pause, until });
    }

    fn failed(&mut self, was_probe: bool, limits: Limits, now: Instant) {
        self.failures.retain(|at| now.saturating_duration_since(*at) < limits.window);
        self.failures.push_back(now);
        let many = self.failures.len() >= usize::try_from(limits.failures).unwrap_or(usize::MAX);
        if was_probe || many {
            self.failures.clear();
            self.pause(Pause::Failing, now + limits.pause);
        }
    }

    fn succeeded(&mut self, was_probe: bool) {
        self.failures.clear();
        if was_probe {
            self.paused = None;
        }
    }
}

/// Every breaker by name; survives reloads.
#[derive(Debug, Default)]
pub struct Breakers {
    by_name: Mutex<HashMap<String, Breaker>>,
}

impl Breakers {
    /// All passing.
    pub fn new() -> Arc<Breakers> {
        Arc::default()
    }

    /// Whether `offer` (`provider/model`) of `provider` is paused, without asking to call it.
    pub fn cooling(&self, provider: &str, offer: &str, now: Instant) -> Option<Cooling> {
        let by_name = self.lock();
        [provider, offer].iter().find_map(|name| match by_name.get(*name)?.verdict(now) {
            Verdict::Paused(cooling) => Some(cooling),
            Verdict::Pass | Verdict::Probe => None,
        })
    }

    /// Asks to call `offer` now. The pass must be told how the call went ([`Pass::succeeded`], [`Pass::failed`]);
    /// dropped without, it only gives back the probe.
    pub fn pass(self: &Arc<Breakers>, provider: &str, offer: &str, now: Instant) -> Result<Pass, Cooling> {
        let mut by_name = self.lock();
        let verdict = |by_name: &HashMap<String, Breaker>, name: &str| {
            by_name.get(name).map_or(Verdict::Pass, |breaker| breaker.verdict(now))
        };
        let verdicts = [provider, offer].map(|name| verdict(&by_name, name));
        if let Some(cooling) = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Paused(cooling) => Some(*cooling),
            Verdict::Pass | Verdict::Probe => None,
        }) {
            return Err(cooling);
        }
        let probes = verdicts.map(|verdict| verdict == Verdict::Probe);
        for (name, probe) in [provider, offer].iter().zip(probes) {
            if probe && let Some(breaker) = by_name.get_mut(*name) {
                breaker.probe_out = true;
            }
        }
        Ok(Pass { breakers: self.clone(), names: [provider.to_owned(), offer.to_owned()], probes, reported: false })
    }

    /// Forgets everything held against a provider's account.
    pub fn forgive(&self, provider: &str) {
        self.lock().remove(provider);
    }

    /// 0 passing, 1 probing, 2 tripped: the value of `easel_breaker_state`.
    pub fn state(&self, provider: &str, offer: &str, now: Instant) -> i64 {
        let by_name = self.lock();
        let level = |name: &str| match by_name.get(name).map(|breaker| breaker.verdict(now)) {
            None | Some(Verdict::Pass) => 0,
            Some(Verdict::Probe) => 1,
            Some(Verdict::Paused(cooling)) if cooling.pause == Pause::Probing => 1,
            Some(Verdict::Paused(_)) => 2,
        };
        level(provider).max(level(offer))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Breaker>> {
        // No code panics while it holds the lock, and each breaker is whole between statements.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to call an offer, and the duty to say how it went.
#[derive(Debug)]
pub struct Pass {
    breakers: Arc<Breakers>,
    names: [String; 2],
    probes: [bool; 2],
    reported: bool,
}

impl Pass {
    /// The call brought what it promised.
    pub fn succeeded(mut self) {
        self.reported = true;
        let mut by_name = self.breakers.lock();
        for (name, probe) in self.names.iter().zip(self.probes) {
            if let Some(breaker) = by_name.get_mut(name) {
                breaker.probe_out &= !probe;
                breaker.succeeded(probe);
            }
        }
    }

    /// The call failed. A caller's mistake or a refusal says nothing against the offer, so it counts as an answer.
    pub fn failed(mut self, failure: &Failure, limits: Limits, now: Instant) {
        let Some(blame) = blame(failure) else { return self.succeeded() };
        self.reported = true;
        let mut by_name = self.breakers.lock();
        for (name, probe) in self.names.iter().zip(self.probes) {
            if probe && let Some(breaker) = by_name.get_mut(name) {
                breaker.probe_out = false;
            }
        }
        let (which, pause) = match blame {
            Blame::Offer(pause) => (1, pause),
            Blame::Provider(pause) => (0, pause),
        };
        let (name, was_probe) = (&self.names[which], self.probes[which]);
        let breaker = by_name.entry(name.clone()).or_default();
        match pause {
            Some((pause, length)) => breaker.pause(pause, now + length),
            None => breaker.failed(was_probe, limits, now),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.reported || self.probes == [false; 2] {
            return;
        }
        let mut by_name = self.breakers.lock();
        for (name, probe) in self.names.iter().zip(self.probes) {
            if probe && let Some(breaker) = by_name.get_mut(name) {
                breaker.probe_out = false;
            }
        }
    }
}

/// Whose fault a failure is, and whether it pauses at once (for how long) or only counts.
enum Blame {
    Offer(Option<(Pause, Duration)>),
    Provider(Option<(Pause, Duration)>),
}

fn blame(failure: &Failure) -> Option<Blame> {
    let at_least = |own: Duration| failure.retry_after.map_or(own, |told| told.max(own)).min(LONGEST_PAUSE);
    match failure.class {
        Class::CallerInvalid | Class::Policy | Class::AdapterBug | Class::Unlike | Class::Unrecorded => None,
        Class::RateLimited => {
            let told = failure.retry_after.unwrap_or(RATE_LIMIT_PAUSE).min(LONGEST_PAUSE);
            Some(Blame::Provider(Some((Pause::RateLimited, told))))
        }
        Class::Quota => Some(Blame::Provider(Some((Pause::Quota, at_least(QUOTA_PAUSE))))),
        Class::Auth => Some(Blame::Provider(Some((Pause::Auth, at_least(AUTH_PAUSE))))),
        Class::ModelGone => Some(Blame::Offer(Some((Pause::ModelGone, GONE_PAUSE)))),
        Class::Server | Class::Unreachable | Class::TimeoutAmbiguous | Class::Malformed => {
            let told = failure.retry_after.map(|told| (Pause::Failing, told.min(LONGEST_PAUSE)));
            Some(Blame::Offer(told))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { failures: 3, window: Duration::from_secs(30), pause: Duration::from_secs(20) };

    struct Story {
        breakers: Arc<Breakers>,
        now: Instant,
    }

    impl Story {
        fn new() -> Story {
            Story { breakers: Breakers::new(), now: Instant::now() }
        }

        fn later(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn fail(&self, model: &str, class: Class) {
            let pass = self.pass(model).unwrap();
            pass.failed(&Failure::new(class, ""), LIMITS, self.now);
        }

        fn pass(&self, model: &str) -> Result<Pass, Cooling> {
            self.breakers.pass("p", &format!("p/{model}"), self.now)
        }

        fn pause(&self, model: &str) -> Option<Pause> {
            self.breakers.cooling("p", &format!("p/{model}"), self.now).map(|cooling| cooling.pause)
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
        probe.failed(&Failure::new(Class::Server, ""), LIMITS, story.now);
        assert_eq!(story.pause("m"), Some(Pause::Failing));
        story.later(20);
        story.pass("m").unwrap().succeeded();
        assert_eq!(story.pause("m"), None);
        assert_eq!(story.breakers.state("p", "p/m", story.now), 0);
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
        story.pass("m").unwrap().succeeded();
        story.fail("m", Class::Server);
        assert_eq!(story.pause("m"), None);
    }

    #[test]
    fn trouble_with_the_account_pauses_the_whole_provider_at_once() {
        for (class, pause) in
            [(Class::RateLimited, Pause::RateLimited), (Class::Quota, Pause::Quota), (Class::Auth, Pause::Auth)]
        {
            let story = Story::new();
            story.fail("m", class);
            assert_eq!(story.pause("other"), Some(pause), "{class:?}");
        }
        let story = Story::new();
        story.fail("m", Class::ModelGone);
        assert_eq!((story.pause("m"), story.pause("other")), (Some(Pause::ModelGone), None));
    }

    #[test]
    fn the_providers_own_waiting_time_counts() {
        let mut story = Story::new();
        let told = Failure::new(Class::RateLimited, "").with_retry_after(Some(Duration::from_secs(7)));
        story.pass("m").unwrap().failed(&told, LIMITS, story.now);
        story.later(6);
        assert_eq!(story.pause("m"), Some(Pause::RateLimited));
        story.later(1);
        assert_eq!(story.pause("m"), None);
    }

    #[test]
    fn a_rate_limit_that_has_run_out_lets_everybody_through_and_a_new_key_is_tried_at_once() {
        let mut story = Story::new();
        story.fail("m", Class::RateLimited);
        story.later(2);
        let (one, two) = (story.pass("m"), story.pass("m"));
        assert!(one.is_ok() && two.is_ok());
        story.fail("m", Class::Auth);
        story.breakers.forgive("p");
        assert_eq!(story.pause("m"), None);
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
}
