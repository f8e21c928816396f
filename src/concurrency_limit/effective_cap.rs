//! How many calls may run at once as the vendor's own refusals tell: additive increase, multiplicative decrease.
//!
//! A limit in the config is what somebody believes of an account; what holds is the vendor's. Each answer that says "too
//! many" (429, 529) halves the number of calls that may run, and each round of calls that all went well allows one more, as TCP
//! does (RFC 5681: half on loss, one segment more a round trip).
//!
//! It goes by refusals alone. Limits that go by latency (Netflix's gradient, Envoy's adaptive concurrency) compare each
//! call with the fastest ones, over hundreds of calls in a second. A picture takes 10 to 120 s, and what decides how long
//! is its size, its quality and its prompt: a rise in latency tells nothing of a queue at the vendor, and by the time
//! that enough calls have been measured the queue is another. Netflix's own advice for clients is the loss based limit.

use std::time::{Duration, Instant};

/// A slot is counted in millionths, because one success among many calls allows a part of a slot.
const SLOT: u64 = 1_000_000;

/// What was learned is forgotten when the cap has neither been cut nor been in the way for so long. Limits by the minute are
/// the longest that vendors state for calls at once; ten of them are long enough that whoever is at the limit all day
/// learns it once, and short enough that a cut of the night does not meet the morning.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// A cap that the vendor's refusals made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveCap {
    millionths: u64,
    /// When the last cut was.
    cut_at: Instant,
    /// When it was cut, or allowed more, the last time.
    changed_at: Instant,
}

impl EffectiveCap {
    /// How many calls may run.
    pub fn slots(&self) -> usize {
        usize::try_from(self.millionths / SLOT).unwrap_or(usize::MAX)
    }

    /// A call was refused that began at `began`, as one of `in_flight` calls: half of them may run, and always one.
    ///
    /// Of the calls that were sent before the last cut more are refused, all for the same reason; they cut nothing.
    pub fn cut(cap: &mut Option<EffectiveCap>, in_flight: usize, began: Instant, now: Instant) {
        if cap.is_some_and(|cap| began <= cap.cut_at) {
            return;
        }
        let ran = cap.map_or(in_flight, |cap| cap.slots().min(in_flight));
        let slots = u64::try_from(ran / 2).unwrap_or(u64::MAX / SLOT).max(1);
        *cap = Some(EffectiveCap { millionths: slots * SLOT, cut_at: now, changed_at: now });
    }

    /// A call brought what it promised that began at `began`, as one of `in_flight` calls; `limit` is the config's.
    ///
    /// A success counts where the cap was at least half used: with two calls in flight nobody learns whether forty may be.
    /// A cap that has come back to the limit is no cap any more.
    pub fn grow(cap: &mut Option<EffectiveCap>, (in_flight, limit): (usize, usize), began: Instant, now: Instant) {
        let Some(known) = cap else { return };
        if now.saturating_duration_since(known.changed_at) >= FORGOTTEN_AFTER {
            *cap = None;
            return;
        }
        if began > known.cut_at && in_flight.saturating_mul(2) >= known.slots() {
            known.millionths += SLOT * SLOT / known.millionths.max(SLOT);
            known.changed_at = now;
        }
        if known.slots() >= limit {
            *cap = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn slots(cap: Option<EffectiveCap>) -> Option<usize> {
        cap.map(|cap| cap.slots())
    }

    #[test]
    fn a_burst_of_refusals_halves_the_cap_once_and_the_next_refusal_halves_it_again() {
        let (mut cap, start) = (None, Instant::now());
        for _ in 0..22 {
            EffectiveCap::cut(&mut cap, 32, start, start + SECOND);
        }
        assert_eq!(slots(cap), Some(16));
        EffectiveCap::cut(&mut cap, 16, start + SECOND, start + 2 * SECOND);
        assert_eq!(slots(cap), Some(16), "it was sent in the very moment of the cut");
        EffectiveCap::cut(&mut cap, 12, start + 2 * SECOND, start + 3 * SECOND);
        assert_eq!(slots(cap), Some(6), "twelve were too many, whatever may run");
        for nth in 0..5 {
            let sent = start + (4 + nth) * SECOND;
            EffectiveCap::cut(&mut cap, 1, sent, sent);
        }
        assert_eq!(slots(cap), Some(1), "one call is always allowed to look");
    }

    #[test]
    fn each_round_of_good_calls_allows_one_more_until_the_limit_is_reached() {
        let (mut cap, start) = (None, Instant::now());
        EffectiveCap::cut(&mut cap, 8, start, start);
        for more in 5..=10 {
            let round = start + more * 10 * SECOND;
            for _ in 0..more {
                let running = slots(cap).unwrap();
                EffectiveCap::grow(&mut cap, (running, 32), round, round + 9 * SECOND);
            }
            assert_eq!(slots(cap), Some(more as usize), "a round of {more}");
        }
        let later = start + 200 * SECOND;
        (0..500).for_each(|_| EffectiveCap::grow(&mut cap, (12, 12), later, later));
        assert_eq!(cap, None);
    }

    #[test]
    fn calls_sent_before_the_cut_and_calls_that_leave_most_of_it_idle_allow_nothing() {
        let (mut cap, start) = (None, Instant::now());
        EffectiveCap::cut(&mut cap, 20, start, start + SECOND);
        let before = cap;
        (0..100).for_each(|_| EffectiveCap::grow(&mut cap, (10, 32), start, start + 2 * SECOND));
        (0..100).for_each(|_| EffectiveCap::grow(&mut cap, (4, 32), start + 2 * SECOND, start + 3 * SECOND));
        assert_eq!(cap, before);
        (0..11).for_each(|_| EffectiveCap::grow(&mut cap, (5, 32), start + 2 * SECOND, start + 3 * SECOND));
        assert_eq!(slots(cap), Some(11), "half of it is enough");
    }

    #[test]
    fn a_cap_that_was_not_in_the_way_for_ten_minutes_is_forgotten() {
        let (mut cap, start) = (None, Instant::now());
        EffectiveCap::cut(&mut cap, 20, start, start);
        EffectiveCap::grow(&mut cap, (1, 32), start + SECOND, start + FORGOTTEN_AFTER - SECOND);
        assert_eq!(slots(cap), Some(10));
        let mut in_the_way = cap;
        EffectiveCap::grow(&mut in_the_way, (10, 32), start + SECOND, start + FORGOTTEN_AFTER - SECOND);
        EffectiveCap::grow(&mut in_the_way, (1, 32), start + SECOND, start + FORGOTTEN_AFTER);
        assert_eq!(slots(in_the_way), Some(10), "a second ago it was in the way");
        EffectiveCap::grow(&mut cap, (1, 32), start + SECOND, start + FORGOTTEN_AFTER);
        assert_eq!(cap, None);
    }
}
