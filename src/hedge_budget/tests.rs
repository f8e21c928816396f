//! Stories of a route's hedges, and that no order of events takes them above share or dollars.

use proptest::prelude::*;

use super::*;
use crate::config::plan::HedgeAfter;

const MINUTE: Duration = Duration::from_secs(60);
const CENT: Usd = Usd::from_nanos(10_000_000);

fn cents(cents: i64) -> Usd {
    Usd::from_nanos(cents * CENT.nanos())
}

/// One hedge for twenty other calls, and ten cents an hour.
const USUAL: Hedge =
    Hedge { after: HedgeAfter::Percentile(95), at_most_ppm: 50_000, max_usd_per_hour: Usd::from_nanos(100_000_000) };

/// A route whose calls have earned all that is kept.
fn earned(hedge: &Hedge, now: Instant) -> HedgeBudgets {
    let budgets = HedgeBudgets::default();
    (0..1000).for_each(|_| budgets.earn("r", hedge, now));
    budgets
}

#[test]
fn twenty_calls_earn_one_hedge_and_the_first_nineteen_none() {
    let (budgets, now) = (HedgeBudgets::default(), Instant::now());
    (0..19).for_each(|_| budgets.earn("r", &USUAL, now));
    assert_eq!(budgets.reserve("r", &USUAL, CENT, now).err(), Some(HedgeBudgetExceeded::Share));
    budgets.earn("r", &USUAL, now);
    assert_eq!(budgets.exceeded("other", &USUAL, CENT, now), Some(HedgeBudgetExceeded::Share));
    budgets.reserve("r", &USUAL, CENT, now).unwrap().settle(CENT, now);
    assert_eq!(budgets.exceeded("r", &USUAL, CENT, now), Some(HedgeBudgetExceeded::Share));
}

#[test]
fn an_hour_of_peace_pays_for_ten_hedges_and_no_storm() {
    let now = Instant::now();
    let rich = Hedge { max_usd_per_hour: cents(1000), ..USUAL };
    let budgets = earned(&rich, now);
    let reserved: Vec<_> = (0..1000).map_while(|_| budgets.reserve("r", &rich, CENT, now).ok()).collect();
    assert_eq!(reserved.len(), 10);
    drop(reserved);
    assert_eq!((0..1000).map_while(|_| budgets.reserve("r", &rich, CENT, now).ok()).collect::<Vec<_>>().len(), 10);
}

#[test]
fn dollars_are_held_while_a_hedge_is_under_way_and_for_an_hour_after_it_has_ended() {
    let now = Instant::now();
    let budgets = earned(&USUAL, now);
    let long = budgets.reserve("r", &USUAL, cents(6), now).unwrap();
    let never_sent = budgets.reserve("r", &USUAL, cents(4), now).unwrap();
    assert_eq!(budgets.exceeded("r", &USUAL, CENT, now), Some(HedgeBudgetExceeded::Dollars));
    drop(never_sent);
    assert_eq!(budgets.exceeded("r", &USUAL, cents(4), now), None);
    assert_eq!(budgets.exceeded("r", &USUAL, cents(5), now), Some(HedgeBudgetExceeded::Dollars));
    // It takes two hours, and then it came to less.
    let ended = now + 120 * MINUTE;
    assert_eq!(budgets.exceeded("r", &USUAL, cents(5), ended), Some(HedgeBudgetExceeded::Dollars));
    long.settle(cents(2), ended);
    assert_eq!(budgets.exceeded("r", &USUAL, cents(8), ended), None);
    assert_eq!(budgets.exceeded("r", &USUAL, cents(9), ended + 60 * MINUTE), Some(HedgeBudgetExceeded::Dollars));
    assert_eq!(budgets.exceeded("r", &USUAL, cents(10), ended + 61 * MINUTE), None);
}

#[test]
fn a_reload_brings_new_bounds_at_once_and_a_route_that_is_gone_is_forgotten() {
    let now = Instant::now();
    let budgets = earned(&USUAL, now);
    let under_way = budgets.reserve("r", &USUAL, cents(6), now).unwrap();
    let less = Hedge { max_usd_per_hour: cents(6), ..USUAL };
    assert_eq!(budgets.exceeded("r", &less, CENT, now), Some(HedgeBudgetExceeded::Dollars));
    budgets.keep_only(|route| route != "r");
    assert!(lock(&budgets.routes).is_empty());
    under_way.settle(cents(6), now);
    assert_eq!(budgets.exceeded("r", &USUAL, CENT, now), Some(HedgeBudgetExceeded::Share), "it begins anew");
}

#[test]
fn what_an_earlier_process_spent_counts_for_an_hour_more() {
    let now = Instant::now();
    let budgets = earned(&USUAL, now);
    budgets.recall("r", cents(8), now);
    assert_eq!(budgets.exceeded("r", &USUAL, cents(2), now), None);
    assert_eq!(budgets.exceeded("r", &USUAL, cents(3), now + 60 * MINUTE), Some(HedgeBudgetExceeded::Dollars));
    assert_eq!(budgets.exceeded("r", &USUAL, cents(10), now + 61 * MINUTE), None);
}

#[derive(Clone, Debug)]
enum Event {
    Passes(u64),
    Call,
    /// So many cents may it cost.
    Hedge(i64),
    /// The nth hedge under way ends, and came to so much less.
    Ends(usize, i64),
    /// It was not sent after all.
    NotSent(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        2 => (0..1500u64).prop_map(Event::Passes),
        4 => Just(Event::Call),
        4 => (0..5i64).prop_map(Event::Hedge),
        2 => (0..8usize, 0..5i64).prop_map(|(nth, less)| Event::Ends(nth, less)),
        1 => (0..8usize).prop_map(Event::NotSent),
    ];
    prop::collection::vec(event, 0..400)
}

/// A hedge that was sent: when, when it ended, what it came to.
struct Sent {
    began: Instant,
    ended: Option<Instant>,
    usd: Usd,
}

proptest! {
    #[test]
    fn hedges_are_never_above_their_share_or_their_dollars(
        events in events(),
        at_most_ppm in 1..1_000_000u32,
        most in 1..12i64,
    ) {
        let hedge = Hedge { at_most_ppm, max_usd_per_hour: cents(most), ..USUAL };
        let (budgets, mut now) = (HedgeBudgets::default(), Instant::now());
        let (mut calls, mut sent, mut under_way) = (0_u64, Vec::<Sent>::new(), Vec::new());
        for event in events {
            match event {
                Event::Passes(seconds) => now += Duration::from_secs(seconds),
                Event::Call => {
                    budgets.earn("r", &hedge, now);
                    calls += 1;
                }
                Event::Hedge(usd) => {
                    let foretold = budgets.exceeded("r", &hedge, cents(usd), now);
                    let reserved = budgets.reserve("r", &hedge, cents(usd), now);
                    prop_assert_eq!(foretold, reserved.as_ref().err().copied());
                    if let Ok(reservation) = reserved {
                        under_way.push((sent.len(), reservation));
                        sent.push(Sent { began: now, ended: None, usd: cents(usd) });
                    }
                }
                Event::Ends(nth, less) if !under_way.is_empty() => {
                    let (nth, reservation) = under_way.swap_remove(nth % under_way.len());
                    let usd = cents((sent[nth].usd.nanos() / CENT.nanos() - less).max(0));
                    (sent[nth].usd, sent[nth].ended) = (usd, Some(now));
                    reservation.settle(usd, now);
                }
                Event::NotSent(nth) if !under_way.is_empty() => {
                    let (nth, reservation) = under_way.swap_remove(nth % under_way.len());
                    (sent[nth].usd, sent[nth].began, sent[nth].ended) = (Usd::ZERO, now, Some(now));
                    sent[nth].usd = Usd::ZERO;
                    drop(reservation);
                    sent.remove(nth);
                    under_way.iter_mut().for_each(|(known, _)| *known -= usize::from(*known > nth));
                }
                Event::Ends(..) | Event::NotSent(_) => {}
            }
            prop_assert!(sent.len() as u64 * HEDGE <= calls * u64::from(at_most_ppm), "{} of {calls}", sent.len());
            // Whichever way the hedges of the last 60 minutes are picked out.
            let hour = |at: Instant| now.saturating_duration_since(at) < 60 * MINUTE;
            let lately = sent.iter().filter(|sent| hour(sent.began) || sent.ended.is_none_or(hour));
            let usd = crate::money::sum(lately.map(|sent| sent.usd)).unwrap();
            prop_assert!(usd <= hedge.max_usd_per_hour, "{usd}");
            let known = budgets.of("r", now);
            prop_assert!(lock(&known).earned <= MOST_KEPT);
        }
    }
}
