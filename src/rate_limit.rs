//! How much a client may ask for in a minute, and how much a provider or a model may be asked for.
//!
//! The generic cell rate algorithm: a minute's worth may come at once, and what was used comes back evenly. Only one
//! moment is remembered for each, so a changed rate takes effect at once. The time comes in as an argument.
//!
//! Of a provider's rate batch calls may leave a part untouched. What comes back goes to whoever asks first, but a live call
//! always finds that part of a minute's worth: so a night's jobs take all that nobody else wants, and keep nobody waiting.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may come at once is what comes back in so long.
const SPAN: Duration = Duration::from_secs(60);

/// All of it, in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateUnit {
    /// Pictures.
    Images,
    /// Requests.
    Requests,
}

/// Why a client has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateExceeded {
    /// It may ask again after this time.
    RetryAfter(Duration),
    /// It may never ask for so much at once.
    TooMuch,
}

/// What a moment is remembered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Count {
    /// What a client used.
    Used,
    /// What it was given back for requests that were refused.
    Forgiven,
}

/// How much of a rate is used at a moment, for another process to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLevel {
    /// Whose rate it is.
    pub who: String,
    /// Whether pictures are counted, or requests.
    pub images: bool,
    /// Whether it is what was given back for requests that were refused.
    pub forgiven: bool,
    /// How long it takes until all of it has come back.
    pub full_in: Duration,
}

/// The rates of all clients, or of all providers and models.
#[derive(Debug, Default)]
pub struct RateLimiter {
    /// When all that was counted will have come back.
    full_at: Mutex<HashMap<(String, RateUnit, Count), Instant>>,
}

/// Something that is, or was, taken of a rate.
#[derive(Clone, Copy, Debug)]
pub struct RateCharge {
    /// What.
    pub what: RateUnit,
    /// The rate then.
    pub per_minute: NonZeroU32,
    /// How much.
    pub count: u32,
    /// When.
    pub at: Instant,
}

impl RateLimiter {
    /// Uses `count` of what `client` may ask for in a minute, or says how long that takes to come back.
    pub fn take(
        &self,
        client: &str,
        what: RateUnit,
        per_minute: NonZeroU32,
        count: u32,
        now: Instant,
    ) -> Result<(), RateExceeded> {
        let cost = cost(per_minute, count);
        if cost > SPAN {
            return Err(RateExceeded::TooMuch);
        }
        self.count(client, what, Count::Used, cost, now)
    }

    fn count(&self, client: &str, what: RateUnit, of: Count, cost: Duration, now: Instant) -> Result<(), RateExceeded> {
        self.count_up_to(SPAN, (client, what, of), cost, now).map_err(RateExceeded::RetryAfter)
    }

    fn count_up_to(
        &self,
        most: Duration,
        (who, what, of): (&str, RateUnit, Count),
        cost: Duration,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut table = self.lock();
        let full_at = table.entry((who.to_owned(), what, of)).or_insert(now);
        let counted = full_at.saturating_duration_since(now) + cost;
        if counted > most {
            return Err(counted - most);
        }
        *full_at = now + counted;
        Ok(())
    }

    /// Uses what `charge` says of the rate of `who`, and leaves a part of a minute's worth untouched; `charge.at` is now.
    ///
    /// # Errors
    /// How long it takes until so much has come back.
    pub fn take_sparing(&self, who: &str, charge: RateCharge, spared_ppm: u32) -> Result<(), Duration> {
        let cost = cost(charge.per_minute, charge.count);
        self.count_up_to(most(cost, spared_ppm), (who, charge.what, Count::Used), cost, charge.at)
    }

    /// How long it takes until so much could be taken of the rate of `who`, after `before` has been; nothing, where it can be
    /// at once.
    pub fn ready_in(&self, who: &str, charge: RateCharge, before: u32, spared_ppm: u32) -> Duration {
        let (before, cost) = (cost(charge.per_minute, before), cost(charge.per_minute, charge.count));
        let full_at = self.lock().get(&(who.to_owned(), charge.what, Count::Used)).copied();
        let used = full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(charge.at));
        (used + before + cost).saturating_sub(most(cost, spared_ppm))
    }

    /// All that is used, and has not come back yet.
    pub fn levels(&self, now: Instant) -> Vec<RateLevel> {
        let level = |((who, what, count), full_at): (&(String, RateUnit, Count), &Instant)| RateLevel {
            who: who.clone(),
            images: *what == RateUnit::Images,
            forgiven: *count == Count::Forgiven,
            full_in: full_at.saturating_duration_since(now),
        };
        self.lock().iter().map(level).filter(|level| !level.full_in.is_zero()).collect()
    }

    /// Goes on where another process says that it stands.
    pub fn restore(&self, levels: &[RateLevel], now: Instant) {
        let mut table = self.lock();
        for RateLevel { who, images, forgiven, full_in } in levels {
            let what = if *images { RateUnit::Images } else { RateUnit::Requests };
            let count = if *forgiven { Count::Forgiven } else { Count::Used };
            table.insert((who.clone(), what, count), now + (*full_in).min(SPAN));
        }
    }

    /// Forgets everybody that is not among these.
    pub fn keep_only(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(|(who, _, _), _| keep(who));
    }

    /// Gives back what was taken for a request that came to nothing. What has come back by itself since is not given a
    /// second time.
    pub fn give_back(&self, client: &str, taken: RateCharge, now: Instant) {
        let left = cost(taken.per_minute, taken.count).saturating_sub(now.saturating_duration_since(taken.at));
        if let Some(full_at) = self.lock().get_mut(&(client.to_owned(), taken.what, Count::Used))
            && let Some(earlier) = full_at.checked_sub(left)
        {
            *full_at = earlier;
        }
    }

    /// The same for a request that a vendor refused: no more than a minute's worth in a minute, so that no client can
    /// have a vendor refuse one request after the other for ever.
    pub fn forgive(&self, client: &str, taken: RateCharge, now: Instant) {
        if self.count(client, taken.what, Count::Forgiven, cost(taken.per_minute, taken.count), now).is_ok() {
            self.give_back(client, taken, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, RateUnit, Count), Instant>> {
        // No code panics while it holds the lock.
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much may be used at once where a part is spared: what something costs may always be, when all has come back.
fn most(cost: Duration, spared_ppm: u32) -> Duration {
    let spared = SPAN.saturating_mul(spared_ppm.min(WHOLE_PPM)) / WHOLE_PPM;
    (SPAN - spared).max(cost)
}

/// How long `count` take to come back. Rounded up, so that no rate is ever passed.
fn cost(per_minute: NonZeroU32, count: u32) -> Duration {
    let nanos = SPAN.as_nanos() * u128::from(count);
    Duration::from_nanos(u64::try_from(nanos.div_ceil(u128::from(per_minute.get()))).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOUR: NonZeroU32 = NonZeroU32::new(4).unwrap();
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_minutes_worth_may_come_at_once_and_comes_back_evenly() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        let take = |count, now| rates.take("web", RateUnit::Images, FOUR, count, now);
        assert_eq!(take(3, now), Ok(()));
        assert_eq!(take(1, now), Ok(()));
        assert_eq!(take(1, now), Err(RateExceeded::RetryAfter(15 * SECOND)));
        assert_eq!(take(2, now + 15 * SECOND), Err(RateExceeded::RetryAfter(15 * SECOND)));
        assert_eq!(take(1, now + 15 * SECOND), Ok(()));
        assert_eq!(take(4, now + 600 * SECOND), Ok(()));
    }

    #[test]
    fn another_process_goes_on_where_this_one_stands() {
        let (old, new, now) = (RateLimiter::default(), RateLimiter::default(), Instant::now());
        assert_eq!(old.take("web", RateUnit::Images, FOUR, 3, now), Ok(()));
        assert_eq!(old.take("web", RateUnit::Requests, FOUR, 1, now), Ok(()));
        let later = now + 15 * SECOND;
        let levels = old.levels(later);
        assert_eq!(levels.len(), 1, "the one request has come back: {levels:?}");
        new.restore(&levels, later);
        assert_eq!(new.take("web", RateUnit::Images, FOUR, 2, later), Ok(()));
        assert_eq!(new.take("web", RateUnit::Images, FOUR, 1, later), Err(RateExceeded::RetryAfter(15 * SECOND)));
        assert_eq!(new.take("web", RateUnit::Requests, FOUR, 4, later), Ok(()));
    }

    #[test]
    fn clients_pictures_and_requests_do_not_use_each_others_rates() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        assert_eq!(rates.take("web", RateUnit::Images, FOUR, 4, now), Ok(()));
        assert_eq!(rates.take("web", RateUnit::Requests, FOUR, 4, now), Ok(()));
        assert_eq!(rates.take("batch", RateUnit::Images, FOUR, 4, now), Ok(()));
        assert!(rates.take("web", RateUnit::Images, FOUR, 1, now).is_err());
    }

    #[test]
    fn more_than_a_minutes_worth_never_comes() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        assert_eq!(rates.take("web", RateUnit::Images, FOUR, 5, now), Err(RateExceeded::TooMuch));
        assert_eq!(rates.take("web", RateUnit::Images, FOUR, u32::MAX, now), Err(RateExceeded::TooMuch));
        assert_eq!(rates.take("web", RateUnit::Images, FOUR, 4, now), Ok(()), "nothing was used");
    }

    #[test]
    fn what_came_to_nothing_is_given_back() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        rates.take("web", RateUnit::Images, FOUR, 4, now).unwrap();
        rates.give_back("web", taken(3, now), now);
        assert_eq!(rates.take("web", RateUnit::Images, FOUR, 3, now), Ok(()));
        assert!(rates.take("web", RateUnit::Images, FOUR, 1, now).is_err());
    }

    fn taken(count: u32, at: Instant) -> RateCharge {
        RateCharge { what: RateUnit::Images, per_minute: FOUR, count, at }
    }

    #[test]
    fn what_came_back_by_itself_is_not_given_back_again() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        let take = |count, now| rates.take("web", RateUnit::Images, FOUR, count, now);
        take(4, now).unwrap();
        take(4, now + 60 * SECOND).unwrap();
        rates.give_back("web", taken(4, now), now + 61 * SECOND);
        assert!(take(1, now + 61 * SECOND).is_err(), "the second four are still used");
        rates.give_back("web", taken(4, now + 60 * SECOND), now + 75 * SECOND);
        assert_eq!(take(4, now + 75 * SECOND), Ok(()));
    }

    #[test]
    fn who_is_refused_for_ever_is_not_given_back_for_ever() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        let refused = |now| {
            let took = rates.take("web", RateUnit::Images, FOUR, 1, now);
            rates.forgive("web", taken(1, now), now);
            took
        };
        for _ in 0..8 {
            assert_eq!(refused(now), Ok(()));
        }
        assert_eq!(refused(now), Err(RateExceeded::RetryAfter(15 * SECOND)));
        assert_eq!(refused(now + 15 * SECOND), Ok(()));
    }

    #[test]
    fn what_batch_spares_is_there_for_live_and_batch_has_all_that_comes_back() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        let forty = NonZeroU32::new(40).unwrap();
        let charge = |at| RateCharge { what: RateUnit::Images, per_minute: forty, count: 1, at };
        let batch = |at| rates.take_sparing("p", charge(at), 900_000);
        let live = |at| rates.take_sparing("p", charge(at), 0);
        assert_eq!((0..5).filter(|_| batch(now).is_ok()).count(), 4, "a tenth of a minute's worth");
        assert_eq!(batch(now), Err(Duration::from_millis(1500)));
        assert_eq!(rates.ready_in("p", charge(now), 0, 900_000), Duration::from_millis(1500));
        assert_eq!(rates.ready_in("p", charge(now), 2, 900_000), Duration::from_millis(4500));
        assert_eq!((0..50).filter(|_| live(now).is_ok()).count(), 36);
        assert_eq!(live(now), Err(Duration::from_millis(1500)));
        // A quiet minute later it goes on at the pace at which it comes back.
        let later = now + Duration::from_secs(60);
        let took = (0..60).filter(|second| batch(later + *second * SECOND).is_ok()).count();
        assert!((40..=44).contains(&took), "{took}");
    }

    #[test]
    fn what_is_more_than_batch_may_use_goes_when_all_has_come_back() {
        let (rates, now) = (RateLimiter::default(), Instant::now());
        let charge = |count, at| RateCharge { what: RateUnit::Images, per_minute: FOUR, count, at };
        assert_eq!(rates.take_sparing("p", charge(2, now), 900_000), Ok(()));
        assert_eq!(rates.take_sparing("p", charge(1, now), 900_000), Err(30 * SECOND));
        assert_eq!(rates.take_sparing("p", charge(1, now), 0), Ok(()));
        rates.keep_only(|who| who != "p");
        assert_eq!(rates.take_sparing("p", charge(4, now), 0), Ok(()));
    }

    /// The most that a rate allows within so long, a minute's worth at once included.
    fn allowed(per_minute: u32, within: Duration) -> u128 {
        u128::from(per_minute) * (SPAN + within).as_nanos() / SPAN.as_nanos()
    }

    proptest! {
        #[test]
        fn no_rate_is_ever_passed_batch_leaves_lives_part_and_who_is_told_to_wait_is_served_then(
            per_minute in 1..120u32,
            asks in prop::collection::vec((0..15_000u64, any::<bool>(), 1..6u32), 1..80),
        ) {
            let (rates, start) = (RateLimiter::default(), Instant::now());
            let rate = NonZeroU32::new(per_minute).unwrap();
            let charge = |count, at| RateCharge { what: RateUnit::Images, per_minute: rate, count, at };
            let (mut now, mut taken) = (start, Vec::new());
            for (millis, batch, count) in asks {
                now += Duration::from_millis(millis);
                let (count, spared) = (count.min(per_minute), if batch { 900_000 } else { 0 });
                let wait = rates.ready_in("p", charge(count, now), 0, spared);
                match rates.take_sparing("p", charge(count, now), spared) {
                    Ok(()) => prop_assert_eq!(wait, Duration::ZERO),
                    Err(told) => {
                        prop_assert_eq!(wait, told);
                        prop_assert!(!told.is_zero() && told <= SPAN);
                        now += told;
                        prop_assert_eq!(rates.take_sparing("p", charge(count, now), spared), Ok(()));
                    }
                }
                taken.push((now, count));
                for first in 0..taken.len() {
                    let all: u32 = taken[first..].iter().map(|(_, count)| count).sum();
                    prop_assert!(u128::from(all) <= allowed(per_minute, now - taken[first].0), "{all} of {per_minute}");
                }
                // What is more than batch's part goes alone, when all has come back.
                let lives = per_minute * 9 / 10;
                if batch && count + lives <= per_minute && lives > 0 {
                    // But for nanoseconds: what each use takes is rounded up.
                    prop_assert!(rates.ready_in("p", charge(lives, now), 0, 0) < Duration::from_micros(1));
                }
            }
        }
    }
}
