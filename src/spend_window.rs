//! What was spent lately: the dollars of any so long a time, among them those that are set aside for what is under way.
//!
//! Money counts from the moment it is reserved until the window's length after what it was for has ended, at what was reserved
//! and then at what it came to. So neither what began in any window nor what ended in it costs more than a bound that is asked
//! before, unless a vendor charges more than was estimated. Plain arithmetic that is handed the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::money::{self, Usd};

/// A window is summed up in so many parts, so that it holds 61 sums whatever its length.
const PARTS: u32 = 60;

/// The dollars of a window.
#[derive(Debug)]
pub struct SpendWindow {
    /// A sixtieth of the window.
    part: Duration,
    /// What is set aside for what is under way.
    reserved: Usd,
    /// What came to an end lately, by its part of the time since `began`; at most [`PARTS`] and one.
    ended: VecDeque<(u64, Usd)>,
    began: Instant,
}

impl SpendWindow {
    /// Nothing was spent. `window` is at least a minute.
    pub fn new(window: Duration, now: Instant) -> SpendWindow {
        let part = (window / PARTS).max(Duration::from_secs(1));
        SpendWindow { part, reserved: Usd::ZERO, ended: VecDeque::new(), began: now }
    }

    /// Whether `usd` more stays within `most`.
    pub fn has_room(&mut self, usd: Usd, most: Usd, now: Instant) -> bool {
        // An amount that does not fit is more than any bound.
        self.spent(now).and_then(|spent| spent.checked_add(usd)).is_some_and(|all| all <= most)
    }

    /// What is left of `most`; nothing where the sum does not fit, as that is more than any bound.
    pub fn left(&mut self, most: Usd, now: Instant) -> Usd {
        self.spent(now).and_then(|spent| most.checked_sub(spent)).unwrap_or(Usd::ZERO).max(Usd::ZERO)
    }

    fn spent(&mut self, now: Instant) -> Option<Usd> {
        self.forget(now);
        money::sum(self.ended.iter().map(|(_, usd)| *usd).chain([self.reserved]))
    }

    /// Sets `usd` aside.
    pub fn reserve(&mut self, usd: Usd) {
        self.reserved = self.reserved.saturating_add(usd);
    }

    /// Gives back what was set aside for something that was never done.
    pub fn release(&mut self, reserved: Usd) {
        self.reserved = self.reserved.checked_sub(reserved).unwrap_or(Usd::ZERO);
    }

    /// What `reserved` was set aside for has ended and came to `usd`.
    pub fn settle(&mut self, reserved: Usd, usd: Usd, now: Instant) {
        self.release(reserved);
        self.forget(now);
        let part = self.part_of(now);
        match self.ended.back_mut() {
            // Two that end at once may come in the other order.
            Some((last, sum)) if *last >= part => *sum = sum.saturating_add(usd),
            _ => self.ended.push_back((part, usd)),
        }
    }

    /// Forgets what ended longer ago than the window: a part that began within it may have ended up to a part later.
    fn forget(&mut self, now: Instant) {
        let part = self.part_of(now);
        while self.ended.front().is_some_and(|(ended, _)| *ended + u64::from(PARTS) < part) {
            self.ended.pop_front();
        }
    }

    fn part_of(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos() / self.part.as_nanos().max(1)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn cents(cents: i64) -> Usd {
        Usd::from_nanos(cents * 10_000_000)
    }

    #[test]
    fn money_counts_from_when_it_is_reserved_until_a_day_after_it_was_spent() {
        let now = Instant::now();
        let mut day = SpendWindow::new(24 * HOUR, now);
        day.reserve(cents(6));
        assert!(day.has_room(cents(4), cents(10), now) && !day.has_room(cents(5), cents(10), now));
        day.settle(cents(6), cents(3), now + HOUR);
        assert!(day.has_room(cents(7), cents(10), now + HOUR) && !day.has_room(cents(8), cents(10), now + HOUR));
        assert_eq!(day.left(cents(10), now + HOUR), cents(7));
        assert_eq!(day.left(cents(2), now + HOUR), Usd::ZERO);
        assert!(!day.has_room(cents(8), cents(10), now + 25 * HOUR));
        assert!(day.has_room(cents(10), cents(10), now + 26 * HOUR));
        day.reserve(cents(10));
        day.release(cents(10));
        assert!(day.has_room(cents(10), cents(10), now + 26 * HOUR));
    }

    #[test]
    fn a_window_holds_sixty_one_sums_however_much_is_spent_in_it() {
        let now = Instant::now();
        let mut hour = SpendWindow::new(HOUR, now);
        (0..7200).for_each(|second| hour.settle(Usd::ZERO, cents(1), now + Duration::from_secs(second)));
        assert_eq!(hour.ended.len(), 61);
    }

    #[test]
    fn a_sum_that_does_not_fit_is_over_every_bound() {
        let now = Instant::now();
        let mut hour = SpendWindow::new(HOUR, now);
        hour.reserve(Usd::from_nanos(i64::MAX));
        assert!(!hour.has_room(Usd::from_nanos(1), Usd::from_nanos(i64::MAX), now));
    }
}
