//! One breaker: the failures it counts, the pauses that run, and its probe.
//!
//! Each kind of pause is kept by itself, so that none is told in another's name. When a pause for failing ends, a
//! single probe goes out and everyone else keeps away until it has come back; a pause whose length the vendor named
//! needs no proof.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::breaker::pause::{Pause, PausedUntil};
use crate::config::plan::Breaker as Limits;

/// Pauses shorter than this end at the time that is told: after so short a time, calls that come back together do no
/// harm.
const SPREAD_FROM: Duration = Duration::from_secs(10);
/// Longer ones end up to this part of themselves later, each process's at another moment.
const SPREAD: u32 = 20;
/// And never later than this.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);

/// One kind of pause that was called for.
#[derive(Clone, Copy, Debug)]
struct ActiveKind {
    pause: Pause,
    /// Until when, as it is told.
    until: Instant,
    /// When it really ends, a little later.
    opens: Instant,
}

/// One breaker.
#[derive(Debug, Default)]
pub struct Circuit {
    failures: VecDeque<Instant>,
    /// At most one of each kind.
    pauses: Vec<ActiveKind>,
    /// A probe was sent and has not come back.
    pub probe_out: bool,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Pass,
    /// It may as the probe that decides.
    Probe,
    /// It may not.
    Paused(PausedUntil),
}

impl Circuit {
    /// Of several pauses the last to end is told: until then nobody may ask.
    pub fn verdict(&self, now: Instant) -> Verdict {
        let running = self.pauses.iter().filter(|running| running.opens > now);
        if let Some(last) = running.max_by_key(|running| running.until) {
            return Verdict::Paused(PausedUntil { pause: last.pause, until: last.until });
        }
        match (self.pauses.iter().any(|over| over.pause.wants_proof()), self.probe_out) {
            (false, _) => Verdict::Pass,
            (true, true) => Verdict::Paused(PausedUntil { pause: Pause::Probing, until: now }),
            (true, false) => Verdict::Probe,
        }
    }

    /// Pauses for `length`, or for longer where a pause of this kind runs longer already.
    pub fn pause(&mut self, pause: Pause, length: Duration, chance: u32, now: Instant) {
        let new = ActiveKind { pause, until: now + length, opens: now + length + spread(length, chance) };
        // What has run out and wants no proof is forgotten here, where the list would grow.
        self.pauses.retain(|running| running.opens > now || running.pause.wants_proof());
        match self.pauses.iter_mut().find(|running| running.pause == pause) {
            Some(running) if running.until >= new.until => {}
            Some(running) => *running = new,
            None => self.pauses.push(new),
        }
    }

    /// Counts a failure. A failed probe, or the last of too many failures, pauses for failing.
    pub fn failed(&mut self, was_probe: bool, limits: Limits, chance: u32, now: Instant) {
        self.failures.retain(|at| now.saturating_duration_since(*at) < limits.window);
        self.failures.push_back(now);
        let many = self.failures.len() >= usize::try_from(limits.failures).unwrap_or(usize::MAX);
        if was_probe || many {
            self.failures.clear();
            self.pause(Pause::Failing, limits.pause, chance, now);
        }
    }

    /// Starts the count again; a probe ends the pauses that have run out.
    pub fn succeeded(&mut self, was_probe: bool, now: Instant) {
        self.failures.clear();
        if was_probe {
            self.pauses.retain(|running| running.opens > now);
        }
    }
}

/// How much later than it is told a pause ends, so that the Easels beside many applications, which were all told the
/// same time by the same vendor, do not come back all at once. `chance` is out of 1000.
pub fn spread(length: Duration, chance: u32) -> Duration {
    if length < SPREAD_FROM {
        return Duration::ZERO;
    }
    (length / SPREAD).min(LONGEST_SPREAD) * chance.min(1000) / 1000
}
