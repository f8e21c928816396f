//! One breaker: the failures it counts, the pauses that run, and its probe.
//!
//! Each kind of pause is kept by itself, so that none is told in another's name. When a pause for failing ends, a
//! single probe goes out and everyone else keeps away until it has come back; a pause whose length the vendor named
//! needs no proof.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::breaker::change::BreakerEvent;
use crate::breaker::pause::{Pause, PausedUntil};
use crate::config::plan::Breaker as Limits;

/// A pause ends up to a twentieth of itself later than is told, each process's at another moment: enough that the Easels
/// beside many applications, which the same vendor told the same time, come back over a span and not in one instant; so
/// little that nobody notices it in the time to a picture.
const SPREAD: u32 = 20;
/// And never later than this: after minutes of pause the calls of one span this long are no more than usual traffic.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);

/// How long a probe is waited for alone. Most pictures take 5 to 20 s, so a provider that works has answered by then; at
/// one that hangs a further probe every 30 s costs little, while a probe's whole timeout (two minutes by default) would
/// keep everybody from a provider that has recovered in the meantime.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

/// Pauses in a row after which the length is doubled no more: 2^20 times any length is beyond its bound.
const MOST_DOUBLINGS: u32 = 20;

/// One kind of pause that was called for.
#[derive(Clone, Copy, Debug)]
struct ActiveKind {
    pause: Pause,
    since: Instant,
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
    /// Pauses for failing since the last success.
    failing_in_a_row: u32,
    /// When the latest probe was sent that has not come back.
    probe_sent: Option<Instant>,
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
            return Verdict::Paused(PausedUntil { pause: last.pause, until: last.until, opens: last.opens });
        }
        if !self.pauses.iter().any(|over| over.pause.wants_proof()) {
            return Verdict::Pass;
        }
        match self.probe_sent {
            Some(sent) if now < sent + PROBE_PATIENCE => {
                Verdict::Paused(PausedUntil { pause: Pause::Probing, until: now, opens: sent + PROBE_PATIENCE })
            }
            _ => Verdict::Probe,
        }
    }

    /// A probe goes out.
    pub fn send_probe(&mut self, now: Instant) {
        self.probe_sent = Some(now);
    }

    /// The probe that was sent at `sent` is back, or given up. An earlier one that another has replaced changes nothing.
    pub fn probe_is_back(&mut self, sent: Instant) {
        if self.probe_sent == Some(sent) {
            self.probe_sent = None;
        }
    }

    /// Pauses for `length`, or for longer where a pause of this kind runs longer already.
    pub fn pause(&mut self, pause: Pause, length: Duration, chance: u32, now: Instant) {
        let new = ActiveKind { pause, since: now, until: now + length, opens: now + length + spread(length, chance) };
        // What has run out and wants no proof is forgotten here, where the list would grow.
        self.pauses.retain(|running| running.opens > now || running.pause.wants_proof());
        match self.pauses.iter_mut().find(|running| running.pause == pause) {
            Some(running) if running.until >= new.until => {}
            Some(running) => *running = new,
            None => self.pauses.push(new),
        }
    }

    /// Counts a failure of a call that began at `began`. A failed probe, or the last of too many failures, pauses for
    /// failing, and each such pause without a success in between is twice as long as the one before.
    ///
    /// While it is paused for failing only probes count. The calls that were under way when the pause began tell of the
    /// same trouble, and must neither lengthen the pause nor double the next one.
    pub fn failed(&mut self, (began, was_probe): (Instant, bool), limits: Limits, chance: u32, now: Instant) {
        if self.pauses.iter().any(|known| known.pause == Pause::Failing && began < known.opens) {
            return;
        }
        self.failures.retain(|at| now.saturating_duration_since(*at) < limits.window);
        self.failures.push_back(now);
        let many = self.failures.len() >= usize::try_from(limits.failures).unwrap_or(usize::MAX);
        if was_probe || many {
            self.failures.clear();
            let length = limits.pause.saturating_mul(1 << self.failing_in_a_row.min(MOST_DOUBLINGS));
            self.failing_in_a_row = self.failing_in_a_row.saturating_add(1);
            self.pause(Pause::Failing, length.min(limits.max_pause), chance, now);
        }
    }

    /// A call that began at `began` brought what it promised: the count starts again, and so does the growth of pauses.
    ///
    /// It ends the pause for failing, whenever it began: that it works now is what the pause is in doubt of. What the
    /// vendor stated (no money, no key, no such model) is disproved only by a call that was sent after it was said. A
    /// waiting time that the vendor named is kept, however well its other calls go.
    ///
    /// What comes back by that, if it was paused.
    pub fn succeeded(&mut self, began: Instant, now: Instant) -> Option<BreakerEvent> {
        let first = self.pauses.iter().min_by_key(|paused| paused.since).copied();
        self.failures.clear();
        self.failing_in_a_row = 0;
        self.pauses.retain(|called_for| match called_for.pause {
            Pause::Failing | Pause::Probing => false,
            Pause::RateLimited | Pause::RateSpent | Pause::Overloaded => called_for.opens > now,
            Pause::Quota | Pause::Auth | Pause::ModelGone => began <= called_for.since,
        });
        let first = first.filter(|_| self.pauses.is_empty())?;
        let after = now.saturating_duration_since(first.since);
        Some(BreakerEvent::Back { pause: first.pause, after })
    }

    /// What a change of this breaker from `before` is, if it is paused now and was not.
    pub fn newly_paused(&self, before: Verdict, now: Instant) -> Option<BreakerEvent> {
        match (before, self.verdict(now)) {
            (Verdict::Pass | Verdict::Probe, Verdict::Paused(paused)) if paused.pause != Pause::Probing => {
                Some(BreakerEvent::Paused { pause: paused.pause, length: paused.until.saturating_duration_since(now) })
            }
            _ => None,
        }
    }
}

/// How much later than it is told a pause ends. `chance` is out of 1000.
pub fn spread(length: Duration, chance: u32) -> Duration {
    (length / SPREAD).min(LONGEST_SPREAD) * chance.min(1000) / 1000
}
