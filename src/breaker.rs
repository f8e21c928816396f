//! When to stop asking for a while: circuit breakers for an account, for a model, and for what a model is asked to do.
//!
//! Plain arithmetic that is handed the time. How wide a pause is, the evidence decides: an account-wide error that the
//! vendor states (key, money) pauses the account, a rate limit the model or, where the vendor limits by account, the
//! account; errors, timeouts and garbage pause one operation of one model after several of them; so do answers that
//! may come from anybody, such as a firewall's page. Each kind of pause is kept by itself, so that none is told in
//! another's name. When a pause for failing ends, a single probe goes out and everyone else keeps away until it has
//! come back; a pause whose length the vendor named needs no proof. Nothing here decides who is asked instead.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::plan::Breaker as Limits;
use crate::failure::{Class, Failure, Scope};

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
/// Pauses shorter than this end when they end. After so short a time nobody notices that all calls come at once.
const SPREAD_FROM: Duration = Duration::from_secs(10);
/// Longer ones end up to this part of themselves later, each process's at another moment.
const SPREAD: u32 = 20;
/// And never later than this.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);

/// Why an offer is paused. The word goes to log, metric and header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pause {
    /// The provider said "too many requests".
    RateLimited,
    /// The provider has trouble and said when to come back.
    Overloaded,
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
            Pause::Overloaded => "overloaded",
            Pause::Failing => "failing",
            Pause::Quota => "quota",
            Pause::Auth => "auth",
            Pause::ModelGone => "model_gone",
            Pause::Probing => "probing",
        }
    }

    /// Whether the account or the model is used up for now, and nothing is broken.
    pub fn is_a_limit(self) -> bool {
        matches!(self, Pause::RateLimited | Pause::Quota)
    }

    /// Whether one probe must prove that it is over. Where the vendor named the time, its word is enough.
    fn wants_proof(self) -> bool {
        !matches!(self, Pause::RateLimited | Pause::Overloaded)
    }
}

/// An offer that must not be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooling {
    /// Why.
    pub pause: Pause,
    /// Until when, as everybody is told who asks meanwhile.
    pub until: Instant,
}

/// What a model is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelOperation {
    /// To draw from words.
    Generate,
    /// To change a picture.
    Edit,
    /// To rewrite a prompt.
    Write,
}

/// What a call is for, as the breakers distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerTarget<'a> {
    /// The provider's name in the config.
    pub provider: &'a str,
    /// The fingerprint of the account that the call is sent with. What happens to an old key is nothing to a new one.
    pub account: u64,
    /// The model, as the vendor knows it.
    pub model: &'a str,
    /// What it is to do.
    pub operation: ModelOperation,
}

impl BreakerTarget<'_> {
    /// The names of its breakers: the account's, the model's, the operation's.
    fn names(&self) -> [Name; 3] {
        let account = Name { provider: self.provider.to_owned(), account: self.account, model: None, operation: None };
        let model = Name { model: Some(self.model.to_owned()), ..account.clone() };
        let operation = Name { operation: Some(self.operation), ..model.clone() };
        [account, model, operation]
    }
}

/// What a breaker is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    provider: String,
    account: u64,
    model: Option<String>,
    operation: Option<ModelOperation>,
}

/// The place of a scope's breaker among the three.
fn place(scope: Scope) -> usize {
    match scope {
        Scope::Account => 0,
        Scope::Model => 1,
        Scope::Operation => 2,
    }
}

/// One kind of pause that was called for.
#[derive(Clone, Copy, Debug)]
struct Running {
    pause: Pause,
    /// Until when, as it is told.
    until: Instant,
    /// When it really ends, a little later.
    opens: Instant,
}

/// One breaker's memory.
#[derive(Debug, Default)]
struct Breaker {
    failures: VecDeque<Instant>,
    /// At most one of each kind.
    pauses: Vec<Running>,
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
    /// Of several pauses the last to end is told: until then nobody may ask.
    fn verdict(&self, now: Instant) -> Verdict {
        let running = self.pauses.iter().filter(|running| running.opens > now);
        if let Some(last) = running.max_by_key(|running| running.until) {
            return Verdict::Paused(Cooling { pause: last.pause, until: last.until });
        }
        match (self.pauses.iter().any(|over| over.pause.wants_proof()), self.probe_out) {
            (false, _) => Verdict::Pass,
            (true, true) => Verdict::Paused(Cooling { pause: Pause::Probing, until: now }),
            (true, false) => Verdict::Probe,
        }
    }

    /// Pauses for `length`, or for longer where a pause of this kind runs longer already.
    fn pause(&mut self, pause: Pause, length: Duration, chance: u32, now: Instant) {
        let new = Running { pause, until: now + length, opens: now + length + spread(length, chance) };
        // What has run out and wants no proof is forgotten here, where the list would grow.
        self.pauses.retain(|running| running.opens > now || running.pause.wants_proof());
        match self.pauses.iter_mut().find(|running| running.pause == pause) {
            Some(running) if running.until >= new.until => {}
            Some(running) => *running = new,
            None => self.pauses.push(new),
        }
    }

    fn failed(&mut self, was_probe: bool, limits: Limits, chance: u32, now: Instant) {
        self.failures.retain(|at| now.saturating_duration_since(*at) < limits.window);
        self.failures.push_back(now);
        let many = self.failures.len() >= usize::try_from(limits.failures).unwrap_or(usize::MAX);
        if was_probe || many {
            self.failures.clear();
            self.pause(Pause::Failing, limits.pause, chance, now);
        }
    }

    fn succeeded(&mut self, was_probe: bool, now: Instant) {
        self.failures.clear();
        if was_probe {
            self.pauses.retain(|running| running.opens > now);
        }
    }
}

/// How much later than it is told a pause ends, so that the Easels beside many applications, which were all told the
/// same time by the same vendor, do not come back all at once. `chance` is out of 1000.
fn spread(length: Duration, chance: u32) -> Duration {
    if length < SPREAD_FROM {
        return Duration::ZERO;
    }
    (length / SPREAD).min(LONGEST_SPREAD) * chance.min(1000) / 1000
}

/// Every breaker by name; survives reloads.
#[derive(Debug, Default)]
pub struct Breakers {
    by_name: Mutex<HashMap<Name, Breaker>>,
}

impl Breakers {
    /// All passing.
    pub fn new() -> Arc<Breakers> {
        Arc::default()
    }

    /// Whether anything of `target` is paused, without asking to call it.
    pub fn cooling(&self, target: BreakerTarget<'_>, now: Instant) -> Option<Cooling> {
        let by_name = self.lock();
        last_of(target.names().iter().filter_map(|name| by_name.get(name)).map(|breaker| breaker.verdict(now)))
    }

    /// Asks for a call now. The pass must be told how the call went ([`Pass::succeeded`], [`Pass::failed`]); dropped
    /// without, it only gives back the probe.
    pub fn pass(self: &Arc<Breakers>, target: BreakerTarget<'_>, now: Instant) -> Result<Pass, Cooling> {
        let names = target.names();
        let mut by_name = self.lock();
        let verdicts =
            names.each_ref().map(|name| by_name.get(name).map_or(Verdict::Pass, |breaker| breaker.verdict(now)));
        if let Some(cooling) = last_of(verdicts.into_iter()) {
            return Err(cooling);
        }
        let probes = verdicts.map(|verdict| verdict == Verdict::Probe);
        for (name, probe) in names.iter().zip(probes) {
            if probe && let Some(breaker) = by_name.get_mut(name) {
                breaker.probe_out = true;
            }
        }
        Ok(Pass { breakers: self.clone(), names, probes, reported: false })
    }

    /// Forgets every account that is not among these, by its provider's name and its fingerprint.
    pub fn keep_only(&self, accounts: &[(&str, u64)]) {
        let in_force = |name: &Name| {
            accounts.iter().any(|(provider, account)| name.provider == *provider && name.account == *account)
        };
        self.lock().retain(|name, _| in_force(name));
    }

    /// 0 passing, 1 probing, 2 paused: the value of `easel_breaker_state`. Of a model's operations the worst counts.
    pub fn state(&self, provider: &str, account: u64, model: &str, now: Instant) -> i64 {
        let by_name = self.lock();
        let level = |breaker: &Breaker| match breaker.verdict(now) {
            Verdict::Pass => 0,
            Verdict::Probe => 1,
            Verdict::Paused(cooling) if cooling.pause == Pause::Probing => 1,
            Verdict::Paused(_) => 2,
        };
        let operations = [ModelOperation::Generate, ModelOperation::Edit, ModelOperation::Write];
        let names =
            operations.into_iter().flat_map(|operation| BreakerTarget { provider, account, model, operation }.names());
        names.filter_map(|name| by_name.get(&name)).map(level).max().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Breaker>> {
        // No code panics while it holds the lock, and each breaker is whole between statements.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause that lasts longest, if there is one.
fn last_of(verdicts: impl Iterator<Item = Verdict>) -> Option<Cooling> {
    let paused = verdicts.filter_map(|verdict| match verdict {
        Verdict::Paused(cooling) => Some(cooling),
        Verdict::Pass | Verdict::Probe => None,
    });
    paused.max_by_key(|cooling| cooling.until)
}

/// The right to call an offer, and the duty to say how it went.
#[derive(Debug)]
pub struct Pass {
    breakers: Arc<Breakers>,
    names: [Name; 3],
    probes: [bool; 3],
    reported: bool,
}

impl Pass {
    /// The call brought what it promised.
    pub fn succeeded(mut self, now: Instant) {
        self.reported = true;
        let mut by_name = self.breakers.lock();
        for (name, probe) in self.names.iter().zip(self.probes) {
            if let Some(breaker) = by_name.get_mut(name) {
                breaker.probe_out &= !probe;
                breaker.succeeded(probe, now);
            }
        }
    }

    /// The call failed. A caller's mistake or a refusal says nothing against the offer, so it counts as an answer.
    /// `chance`, out of 1000, decides how much later than told a pause ends. Returns the pause that this brought, if
    /// any: everybody who asks before its end is told the same time.
    pub fn failed(mut self, failure: &Failure, limits: Limits, chance: u32, now: Instant) -> Option<Cooling> {
        let Some(blame) = blame(failure) else {
            self.succeeded(now);
            return None;
        };
        self.reported = true;
        let mut by_name = self.breakers.lock();
        self.give_back(&mut by_name);
        if let Some((pause, length)) = blame.pause {
            let breaker = by_name.entry(self.names[place(failure.scope)].clone()).or_default();
            breaker.pause(pause, length, chance, now);
        }
        if blame.counts {
            let operation = place(Scope::Operation);
            let breaker = by_name.entry(self.names[operation].clone()).or_default();
            breaker.failed(self.probes[operation], limits, chance, now);
        }
        last_of(self.names.iter().filter_map(|name| by_name.get(name)).map(|breaker| breaker.verdict(now)))
    }

    fn give_back(&self, by_name: &mut HashMap<Name, Breaker>) {
        for (name, probe) in self.names.iter().zip(self.probes) {
            if probe && let Some(breaker) = by_name.get_mut(name) {
                breaker.probe_out = false;
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.reported || self.probes == [false; 3] {
            return;
        }
        self.give_back(&mut self.breakers.lock());
    }
}

/// What a failure calls for: a pause at once, as wide as its scope, and whether it counts as one failure of the
/// operation.
struct Blame {
    pause: Option<(Pause, Duration)>,
    counts: bool,
}

fn blame(failure: &Failure) -> Option<Blame> {
    let told = failure.retry_after.map(|told| told.min(LONGEST_PAUSE));
    let at_least = |own: Duration| told.map_or(own, |told| told.max(own));
    let pause = match failure.class {
        Class::CallerInvalid | Class::Policy | Class::AdapterBug | Class::Unlike | Class::Unrecorded => return None,
        Class::RateLimited => Some((Pause::RateLimited, told.unwrap_or(RATE_LIMIT_PAUSE))),
        Class::Quota => Some((Pause::Quota, at_least(QUOTA_PAUSE))),
        Class::Auth => Some((Pause::Auth, at_least(AUTH_PAUSE))),
        Class::ModelGone => Some((Pause::ModelGone, GONE_PAUSE)),
        Class::Server | Class::Unreachable | Class::TimeoutAmbiguous | Class::Malformed => {
            let pause = told.map(|told| (Pause::Overloaded, told));
            return Some(Blame { pause, counts: true });
        }
    };
    // What the vendor did not say itself is one failure and no more.
    Some(Blame { pause: pause.filter(|_| failure.stated), counts: !failure.stated })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Finding;

    const LIMITS: Limits = Limits { failures: 3, window: Duration::from_secs(30), pause: Duration::from_secs(20) };

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
            self.find(model, Finding::stated(class), None);
        }

        fn find(&self, model: &str, finding: Finding, after: Option<u64>) -> Option<Cooling> {
            let failure = Failure::found(finding, "").with_retry_after(after.map(Duration::from_secs));
            self.pass(model).unwrap().failed(&failure, LIMITS, 0, self.now)
        }

        fn pass(&self, model: &str) -> Result<Pass, Cooling> {
            self.breakers.pass(self.target(model), self.now)
        }

        fn pause(&self, model: &str) -> Option<Pause> {
            self.breakers.cooling(self.target(model), self.now).map(|cooling| cooling.pause)
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
        story.later(20);
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
        let elsewhere = |class: Class, scope: Scope| {
            let mut story = Story::new();
            story.find("m", Finding::stated(class).at(scope), None);
            let same = story.pause("m");
            let other_model = story.pause("other");
            story.operation = ModelOperation::Edit;
            (same.is_some(), story.pause("m").is_some(), other_model.is_some())
        };
        for class in [Class::RateLimited, Class::Quota, Class::Auth, Class::ModelGone] {
            assert_eq!(elsewhere(class, Scope::Account), (true, true, true), "{class:?}");
            assert_eq!(elsewhere(class, Scope::Model), (true, true, false), "{class:?}");
            assert_eq!(elsewhere(class, Scope::Operation), (true, false, false), "{class:?}");
        }
        let usual = [Class::Quota, Class::Auth, Class::RateLimited, Class::ModelGone].map(|c| Finding::stated(c).scope);
        assert_eq!(usual, [Scope::Account, Scope::Account, Scope::Model, Scope::Operation]);
    }

    #[test]
    fn what_may_come_from_anybody_counts_as_one_failure_of_the_operation() {
        for class in [Class::Auth, Class::Quota, Class::ModelGone] {
            let mut story = Story::new();
            for _ in 0..2 {
                assert_eq!(story.find("m", Finding::guess(class), None), None, "{class:?}");
            }
            assert_eq!(story.pause("m"), None, "{class:?}");
            story.find("m", Finding::guess(class), None);
            assert_eq!((story.pause("m"), story.pause("other")), (Some(Pause::Failing), None), "{class:?}");
            story.operation = ModelOperation::Edit;
            assert_eq!(story.pause("m"), None, "{class:?}");
        }
    }

    #[test]
    fn the_providers_own_waiting_time_counts_up_to_a_limit_and_is_told_alike_to_everybody() {
        let mut story = Story::new();
        let told = story.find("m", Finding::stated(Class::RateLimited), Some(99_999)).unwrap();
        assert_eq!(told.until, story.now + LONGEST_PAUSE);
        story.later(599);
        assert_eq!(story.breakers.cooling(story.target("m"), story.now), Some(told));
        story.later(1);
        assert_eq!(story.pause("m"), None);
    }

    #[test]
    fn one_failure_that_names_a_time_is_over_after_it_and_needs_no_proof() {
        let mut story = Story::new();
        story.find("m", Finding::stated(Class::Server), Some(1));
        assert_eq!(story.pause("m"), Some(Pause::Overloaded));
        story.later(1);
        let all: Vec<Result<Pass, Cooling>> = (0..10).map(|_| story.pass("m")).collect();
        assert!(all.iter().all(Result::is_ok), "everybody may ask");
    }

    #[test]
    fn failures_that_name_a_time_trip_all_the_same_when_there_are_many() {
        let mut story = Story::new();
        for _ in 0..3 {
            story.find("m", Finding::stated(Class::Server), Some(1));
            story.later(1);
        }
        assert_eq!(story.pause("m"), Some(Pause::Failing));
    }

    #[test]
    fn each_kind_of_pause_is_told_by_its_own_name_and_ends_in_its_own_way() {
        let mut story = Story::new();
        let slow = [story.pass("m").unwrap(), story.pass("m").unwrap(), story.pass("m").unwrap()];
        story.find("m", Finding::stated(Class::RateLimited), Some(60));
        for pass in slow {
            pass.failed(&Failure::new(Class::Server, ""), LIMITS, 0, story.now);
        }
        assert_eq!(story.pause("m"), Some(Pause::RateLimited), "it is the one that lasts longest");
        story.later(60);
        let probe = story.pass("m").unwrap();
        assert_eq!(story.pass("m").unwrap_err().pause, Pause::Probing, "that it fails is not disproved");
        probe.succeeded(story.now);
        assert!(story.pass("m").is_ok() && story.pass("m").is_ok());
        story.find("m", Finding::stated(Class::Quota), None);
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
    fn a_long_pause_ends_a_little_later_by_chance_and_a_short_one_when_it_was_told() {
        let seconds = Duration::from_secs;
        assert_eq!([0, 500, 1000].map(|chance| spread(seconds(40), chance)), [seconds(0), seconds(1), seconds(2)]);
        assert_eq!([spread(seconds(9), 1000), spread(seconds(600), 1000)], [seconds(0), seconds(5)]);
        let mut story = Story::new();
        let told = Failure::new(Class::RateLimited, "").with_retry_after(Some(seconds(40)));
        let cooling = story.pass("m").unwrap().failed(&told, LIMITS, 1000, story.now).unwrap();
        assert_eq!(cooling.until, story.now + seconds(40), "what is told is the vendor's time");
        story.later(41);
        assert_eq!(story.pause("m"), Some(Pause::RateLimited));
        story.later(1);
        assert_eq!(story.pause("m"), None);
    }
}
