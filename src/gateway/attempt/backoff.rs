//! How patiently something is asked for that is paid already: how a job stands, and the picture behind a link.
//!
//! Asking again costs nothing, and buying anew would cost it twice. So whatever went wrong is tried again over a span
//! in which a cache or a vendor's new release comes back; and no try may use up the time of those after it. Arithmetic
//! only: the time that is left comes in as an argument.

use std::time::Duration;

/// Tries after the first one, in a row. With the pauses between them they span some 20 s.
pub const AGAIN: u32 = 8;
/// The first pause; each is twice the one before.
const FIRST: Duration = Duration::from_millis(250);
/// And none is longer than this, unless the vendor asks for it.
const LONGEST: Duration = Duration::from_secs(4);
/// The longest silence in a try. Somebody who has the answer begins to tell it.
const SILENCE: Duration = Duration::from_secs(15);

/// The pause before the `again`th further try, with so much time left; `None` when there is to be no other. `told` is
/// how long the vendor asks to wait, which counts unless it would use up what is left.
pub fn pause(again: u32, told: Option<Duration>, left: Duration) -> Option<Duration> {
    if again > AGAIN || left.is_zero() {
        return None;
    }
    let own = FIRST.saturating_mul(1 << again.saturating_sub(1).min(AGAIN)).min(LONGEST);
    Some(own.max(told.unwrap_or(Duration::ZERO).min(left / 2)))
}

/// The time for one try: long enough for a slow line, and something is left for another.
pub fn share(left: Duration) -> Duration {
    left * 2 / 3
}

/// How long one try may be silent.
pub fn silence(left: Duration) -> Duration {
    SILENCE.min(left / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_grow_to_a_bound_and_come_to_an_end() {
        let pauses: Vec<_> = (1..).map_while(|again| pause(again, None, MINUTE)).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
        assert!(pause(u32::MAX, None, MINUTE).is_none() && pause(1, None, Duration::ZERO).is_none());
    }

    #[test]
    fn a_vendor_that_asks_for_a_longer_pause_gets_it_as_far_as_there_is_time() {
        let told = |seconds| pause(1, Some(Duration::from_secs(seconds)), MINUTE).unwrap().as_secs_f64();
        assert_eq!((told(0), told(7), told(3600)), (0.25, 7.0, 30.0));
    }

    #[test]
    fn a_try_that_hangs_leaves_time_for_the_next_however_little_there_is() {
        for left in [Duration::from_millis(300), Duration::from_secs(3), MINUTE, 10 * MINUTE] {
            assert!(silence(left) < share(left) && share(left) < left && silence(left) <= SILENCE);
        }
    }
}
