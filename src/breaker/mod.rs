//! When to stop asking for a while: circuit breakers for an account, for a model, and for what a model is asked to do.
//!
//! Plain arithmetic that is handed the time. [`Breakers`] has one breaker for each account, model and operation; a
//! caller takes a [`Pass`] before it calls an offer and reports with it how the call went. Which offer is asked instead
//! is decided elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::breaker::change::UntoldChanges;
pub use crate::breaker::change::{BreakerChange, BreakerEvent};
use crate::breaker::circuit::{Circuit, Verdict};
use crate::breaker::failure_policy::failure_policy;
pub use crate::breaker::pause::{Pause, PausedUntil};
pub use crate::breaker::target::{BreakerTarget, ModelOperation};
use crate::breaker::target::{CircuitName, place};
pub use crate::breaker::waiting_requests::{Waiter, WaitingPlace, WaitingRequests};
use crate::config::plan::Breaker as Limits;
use crate::failure::{Class, Failure, FailureScope};

mod change;
mod circuit;
mod failure_policy;
mod pause;
mod target;
mod waiting_requests;

/// Every breaker by name; survives reloads.
#[derive(Debug, Default)]
pub struct Breakers {
    circuits: Mutex<HashMap<CircuitName, Circuit>>,
    untold: Mutex<UntoldChanges>,
}

impl Breakers {
    /// All passing.
    pub fn new() -> Arc<Breakers> {
        Arc::default()
    }

    /// Whether anything of `target` is paused, without asking to call it.
    pub fn paused_until(&self, target: BreakerTarget<'_>, now: Instant) -> Option<PausedUntil> {
        let circuits = self.lock();
        last_of(target.names().iter().filter_map(|name| circuits.get(name)).map(|breaker| breaker.verdict(now)))
    }

    /// Asks for a call now. The pass must be told how the call went ([`Pass::succeeded`], [`Pass::failed`]); dropped
    /// without, it only gives back the probe.
    pub fn pass(self: &Arc<Breakers>, target: BreakerTarget<'_>, now: Instant) -> Result<Pass, PausedUntil> {
        let names = target.names();
        let mut circuits = self.lock();
        let verdicts =
            names.each_ref().map(|name| circuits.get(name).map_or(Verdict::Pass, |breaker| breaker.verdict(now)));
        if let Some(paused_until) = last_of(verdicts.into_iter()) {
            return Err(paused_until);
        }
        let probes = verdicts.map(|verdict| verdict == Verdict::Probe);
        for (name, probe) in names.iter().zip(probes) {
            if probe && let Some(breaker) = circuits.get_mut(name) {
                breaker.send_probe(now);
            }
        }
        Ok(Pass { breakers: self.clone(), names, probes, began: now, reported: false })
    }

    /// What was paused and what came back since this was asked last.
    pub fn take_changes(&self) -> Vec<BreakerChange> {
        self.untold().take()
    }

    /// What is paused now, by its name, or has a probe under way.
    pub fn paused(&self, now: Instant) -> Vec<(String, PausedUntil)> {
        let circuits = self.lock();
        let mut paused: Vec<(String, PausedUntil)> = circuits
            .iter()
            .filter_map(|(name, breaker)| match breaker.verdict(now) {
                Verdict::Paused(paused_until) => Some((name.to_string(), paused_until)),
                Verdict::Pass | Verdict::Probe => None,
            })
            .collect();
        paused.sort_by(|one, other| one.0.cmp(&other.0));
        paused
    }

    /// Forgets every account that is not among these, by its provider's name and its fingerprint.
    pub fn keep_only(&self, accounts: &[(&str, u64)]) {
        let in_force = |name: &CircuitName| {
            accounts.iter().any(|(provider, account)| name.provider == *provider && name.account == *account)
        };
        self.lock().retain(|name, _| in_force(name));
    }

    /// 0 passing, 1 probing, 2 paused: the value of `easel_breaker_state`. Of a model's operations the worst counts.
    pub fn state(&self, provider: &str, account: u64, model: &str, now: Instant) -> i64 {
        let circuits = self.lock();
        let level = |breaker: &Circuit| match breaker.verdict(now) {
            Verdict::Pass => 0,
            Verdict::Probe => 1,
            Verdict::Paused(paused_until) if paused_until.pause == Pause::Probing => 1,
            Verdict::Paused(_) => 2,
        };
        let operations = [ModelOperation::Generate, ModelOperation::Edit, ModelOperation::Write];
        let names =
            operations.into_iter().flat_map(|operation| BreakerTarget { provider, account, model, operation }.names());
        names.filter_map(|name| circuits.get(&name)).map(level).max().unwrap_or(0)
    }

    fn untold(&self) -> MutexGuard<'_, UntoldChanges> {
        // As below.
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CircuitName, Circuit>> {
        // No code panics while it holds the lock, and each breaker is whole between statements.
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause that lasts longest, if there is one.
fn last_of(verdicts: impl Iterator<Item = Verdict>) -> Option<PausedUntil> {
    let paused = verdicts.filter_map(|verdict| match verdict {
        Verdict::Paused(paused_until) => Some(paused_until),
        Verdict::Pass | Verdict::Probe => None,
    });
    paused.max_by_key(|paused_until| paused_until.until)
}

/// The right to call an offer, and the duty to say how it went.
#[derive(Debug)]
pub struct Pass {
    breakers: Arc<Breakers>,
    names: [CircuitName; 3],
    probes: [bool; 3],
    began: Instant,
    reported: bool,
}

impl Pass {
    /// The call brought what it promised.
    pub fn succeeded(mut self, now: Instant) {
        self.reported = true;
        let mut circuits = self.breakers.lock();
        self.give_back(&mut circuits);
        for name in &self.names {
            if let Some(breaker) = circuits.get_mut(name) {
                let back = breaker.succeeded(self.began, now);
                self.breakers.untold().note(name, back);
            }
        }
    }

    /// The call failed. A caller's mistake or a refusal says nothing against the offer, so it counts as an answer; a call
    /// that was never made counts as nothing.
    /// `chance`, out of 1000, decides how much later than told a pause ends. Returns the pause that this brought, if
    /// any: everybody who asks before its end is told the same time.
    pub fn failed(mut self, failure: &Failure, limits: Limits, chance: u32, now: Instant) -> Option<PausedUntil> {
        if failure.class == Class::Unrecorded {
            return None;
        }
        let Some(failure_policy) = failure_policy(failure) else {
            self.succeeded(now);
            return None;
        };
        self.reported = true;
        let mut circuits = self.breakers.lock();
        self.give_back(&mut circuits);
        if let Some((pause, length)) = failure_policy.pause {
            let name = &self.names[place(failure.scope)];
            let breaker = circuits.entry(name.clone()).or_default();
            let before = breaker.verdict(now);
            breaker.pause(pause, length, chance, now);
            self.breakers.untold().note(name, breaker.newly_paused(before, now));
        }
        if failure_policy.counts {
            let operation = place(FailureScope::Operation);
            let breaker = circuits.entry(self.names[operation].clone()).or_default();
            let before = breaker.verdict(now);
            breaker.failed((self.began, self.probes[operation]), limits, chance, now);
            self.breakers.untold().note(&self.names[operation], breaker.newly_paused(before, now));
        }
        last_of(self.names.iter().filter_map(|name| circuits.get(name)).map(|breaker| breaker.verdict(now)))
    }

    fn give_back(&self, circuits: &mut HashMap<CircuitName, Circuit>) {
        for (name, probe) in self.names.iter().zip(self.probes) {
            if probe && let Some(breaker) = circuits.get_mut(name) {
                breaker.probe_is_back(self.began);
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

#[cfg(test)]
mod tests;
