//! How long calls to an offer take, over the last minutes: its median, its percentiles, and how many are under way.
//!
//! Each offer has two quantile sketches (DDSketch, within one part in a hundred of the true value) that are filled side by
//! side and emptied in turn, so that the older one always knows of at least [`ROTATION`] and of at most twice that. What an
//! offer was like before is forgotten, and an offer of which nothing is known any more is asked again by who wants the
//! fastest. The time comes in as an argument.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sketches_ddsketch::{Config, DDSketch};

/// How often a sketch is emptied. A call takes 10 to 120 seconds, so five minutes of even little traffic are some dozens
/// of calls, and a vendor's bad quarter of an hour is forgotten soon after it is over.
const ROTATION: Duration = Duration::from_secs(300);

/// Fewer calls than this have no percentile: below, the p90 is nothing but the slowest one or two.
const FEWEST_FOR_PERCENTILE: usize = 20;

/// Offers that are known of. The config bounds them; should it be changed ever again, what is there begins anew.
const MOST_OFFERS: usize = 4096;

/// One offer's calls of one operation.
struct Recent {
    /// Each with the moment it was emptied at.
    sketches: [(Instant, DDSketch); 2],
    under_way: usize,
}

impl Recent {
    fn new(now: Instant) -> Recent {
        // The second is emptied half a turn after the first, from the beginning.
        let earlier = now.checked_sub(ROTATION).unwrap_or(now);
        Recent { sketches: [(earlier, empty()), (now, empty())], under_way: 0 }
    }

    /// Empties what has known of two rotations.
    fn rotate(&mut self, now: Instant) {
        for (since, sketch) in &mut self.sketches {
            if now.saturating_duration_since(*since) >= 2 * ROTATION {
                (*since, *sketch) = (now, empty());
            }
        }
        // After a long silence both were emptied at once, and would be again.
        let [(first, _), (second, _)] = &mut self.sketches;
        if *first == *second {
            *first = first.checked_sub(ROTATION).unwrap_or(*first);
        }
    }

    fn add(&mut self, took: Duration) {
        self.sketches.iter_mut().for_each(|(_, sketch)| sketch.add(took.as_secs_f64()));
    }

    /// The one that has been filled for longest.
    fn longest(&self) -> &DDSketch {
        let [first, second] = &self.sketches;
        if first.0 <= second.0 { &first.1 } else { &second.1 }
    }
}

fn empty() -> DDSketch {
    DDSketch::new(Config::defaults())
}

/// What is known of an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTime {
    /// Half of its calls were faster; `None` where none ended lately.
    pub median: Option<Duration>,
    /// Calls under way.
    pub under_way: usize,
}

/// All offers' times, by `provider/model` and whether pictures are edited.
#[derive(Default)]
pub struct ServiceTimes {
    offers: Mutex<HashMap<String, [Option<Recent>; 2]>>,
}

impl ServiceTimes {
    /// A call to `offer` begins now. It is under way until the guard is dropped.
    pub fn begin(self: &Arc<ServiceTimes>, offer: &str, edits: bool, now: Instant) -> Timing {
        let mut offers = self.lock();
        if offers.len() >= MOST_OFFERS && !offers.contains_key(offer) {
            offers.clear();
        }
        let recent =
            offers.entry(offer.to_owned()).or_default()[usize::from(edits)].get_or_insert_with(|| Recent::new(now));
        recent.under_way += 1;
        Timing { times: self.clone(), offer: offer.to_owned(), edits, began: now }
    }

    /// What is known of an offer.
    pub fn of(&self, offer: &str, edits: bool, now: Instant) -> ServiceTime {
        self.look(offer, edits, now, |recent| ServiceTime {
            median: quantile(recent.longest(), 0.5),
            under_way: recent.under_way,
        })
        .unwrap_or_default()
    }

    /// The time within which `percent` of a hundred calls to an offer ended lately; `None` of fewer than twenty.
    pub fn percentile(&self, offer: &str, edits: bool, percent: u8, now: Instant) -> Option<Duration> {
        self.look(offer, edits, now, |recent| {
            let sketch = recent.longest();
            (sketch.count() >= FEWEST_FOR_PERCENTILE).then(|| quantile(sketch, f64::from(percent.min(100)) / 100.0))?
        })?
    }

    /// The time within which all but one in `late` calls to an offer ended lately, or, of too few for that, all but two; of
    /// fewer than twenty, half of them.
    ///
    /// The slowest call or two say nothing of the others: where a vendor's hiccup took two minutes once, the next hundred
    /// calls are not expected to.
    pub fn all_but_one_in(&self, late: u32, offer: &str, edits: bool, now: Instant) -> Option<Duration> {
        self.look(offer, edits, now, |recent| {
            let sketch = recent.longest();
            let calls = u32::try_from(sketch.count()).unwrap_or(u32::MAX);
            let few = sketch.count() < FEWEST_FOR_PERCENTILE;
            let late = if few { 0.5 } else { (1.0 / f64::from(late.max(1))).max(2.0 / f64::from(calls)) };
            quantile(sketch, 1.0 - late)
        })?
    }

    fn look<T>(&self, offer: &str, edits: bool, now: Instant, look: impl FnOnce(&Recent) -> T) -> Option<T> {
        let mut offers = self.lock();
        let recent = offers.get_mut(offer)?[usize::from(edits)].as_mut()?;
        recent.rotate(now);
        Some(look(recent))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, [Option<Recent>; 2]>> {
        // No code panics while it holds the lock, and a sketch is whole between statements.
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quantile(sketch: &DDSketch, at: f64) -> Option<Duration> {
    // The only errors are of a quantile that is none; an empty sketch has no value.
    let seconds = sketch.quantile(at).ok().flatten()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A call under way.
pub struct Timing {
    times: Arc<ServiceTimes>,
    offer: String,
    edits: bool,
    began: Instant,
}

impl Timing {
    /// The call ended in a way that says how long the offer takes: with pictures, or because they took too long. A call that
    /// failed at once does not make its offer a fast one.
    pub fn count(self, now: Instant) {
        let took = now.saturating_duration_since(self.began);
        let mut offers = self.times.lock();
        if let Some(recent) = recent(&mut offers, &self.offer, self.edits) {
            recent.rotate(now);
            recent.add(took);
        }
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        if let Some(recent) = recent(&mut self.times.lock(), &self.offer, self.edits) {
            recent.under_way = recent.under_way.saturating_sub(1);
        }
    }
}

fn recent<'a>(
    offers: &'a mut HashMap<String, [Option<Recent>; 2]>,
    offer: &str,
    edits: bool,
) -> Option<&'a mut Recent> {
    offers.get_mut(offer)?[usize::from(edits)].as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const OFFER: &str = "p/m";

    fn run(times: &Arc<ServiceTimes>, seconds: u32, now: Instant) {
        let timing = times.begin(OFFER, false, now);
        timing.count(now + seconds * SECOND);
    }

    /// Within one part in a hundred, and a little for what is rounded.
    fn is_about(found: Option<Duration>, expected: Duration) {
        let found = found.unwrap();
        assert!(found.abs_diff(expected) <= expected / 50, "{found:?} is not about {expected:?}");
    }

    #[test]
    fn the_median_is_of_what_ended_and_calls_under_way_are_counted() {
        let (times, now) = (Arc::new(ServiceTimes::default()), Instant::now());
        assert_eq!(times.of(OFFER, false, now), ServiceTime::default());
        for seconds in [10, 20, 90] {
            run(&times, seconds, now);
        }
        let waiting = times.begin(OFFER, false, now);
        is_about(times.of(OFFER, false, now + SECOND).median, 20 * SECOND);
        assert_eq!(times.of(OFFER, false, now + SECOND).under_way, 1);
        drop(waiting);
        assert_eq!(times.of(OFFER, false, now + SECOND).under_way, 0);
        assert_eq!(times.of(OFFER, true, now).median, None, "an edit is another work");
    }

    #[test]
    fn a_call_that_is_not_counted_leaves_no_time() {
        let (times, now) = (Arc::new(ServiceTimes::default()), Instant::now());
        drop(times.begin(OFFER, false, now));
        assert_eq!(times.of(OFFER, false, now + SECOND), ServiceTime::default());
    }

    #[test]
    fn a_few_calls_have_no_percentile() {
        let (times, now) = (Arc::new(ServiceTimes::default()), Instant::now());
        for seconds in 1..20 {
            run(&times, seconds, now);
        }
        assert_eq!(times.percentile(OFFER, false, 90, now), None);
        run(&times, 20, now);
        is_about(times.percentile(OFFER, false, 90, now), 18 * SECOND);
        is_about(times.percentile(OFFER, false, 50, now), 10 * SECOND);
    }

    #[test]
    fn one_slow_call_among_few_is_not_what_is_expected_and_one_in_a_hundred_of_many_is() {
        let (times, now) = (Arc::new(ServiceTimes::default()), Instant::now());
        assert_eq!(times.all_but_one_in(100, OFFER, false, now), None);
        for seconds in [10, 12, 14, 90] {
            run(&times, seconds, now);
        }
        is_about(times.all_but_one_in(100, OFFER, false, now), 12 * SECOND);
        (0..46).for_each(|_| run(&times, 13, now));
        is_about(times.all_but_one_in(100, OFFER, false, now), 13 * SECOND);
        (0..450).for_each(|nth| run(&times, if nth % 50 == 0 { 60 } else { 13 }, now));
        is_about(times.all_but_one_in(100, OFFER, false, now), 60 * SECOND);
        is_about(times.all_but_one_in(10, OFFER, false, now), 13 * SECOND);
    }

    #[test]
    fn what_an_offer_was_like_is_forgotten_after_two_rotations_and_not_before_one() {
        let (times, now) = (Arc::new(ServiceTimes::default()), Instant::now());
        run(&times, 100, now);
        is_about(times.of(OFFER, false, now + ROTATION - SECOND).median, 100 * SECOND);
        for minute in 0..30 {
            run(&times, 10, now + ROTATION + minute * 60 * SECOND);
        }
        let later = now + ROTATION + 30 * 60 * SECOND;
        is_about(times.percentile(OFFER, false, 99, later).or(times.of(OFFER, false, later).median), 10 * SECOND);
        assert_eq!(times.of(OFFER, false, later + 3 * ROTATION).median, None);
    }

    #[test]
    fn after_a_silence_the_two_sketches_are_emptied_in_turn_again() {
        let (times, start) = (Arc::new(ServiceTimes::default()), Instant::now());
        run(&times, 5, start);
        let woken = start + 10 * ROTATION;
        run(&times, 7, woken);
        // One of the two is due a rotation before the other, so that the seven are known of for one at least.
        is_about(times.of(OFFER, false, woken + ROTATION - 8 * SECOND).median, 7 * SECOND);
        run(&times, 9, woken + ROTATION + SECOND);
        is_about(times.of(OFFER, false, woken + 2 * ROTATION + 8 * SECOND).median, 9 * SECOND);
    }
}
