//! How many calls may repeat what the same offer has just failed in: a share of the calls to its provider, and a few a
//! second besides.
//!
//! Where everything fails, repeats without a bound double the traffic of a provider that is down already, and pay twice
//! where a failure was charged. So every first call earns a part of a repeat and every repeat spends a whole one, as
//! Finagle's and Linkerd's retry budgets do. Plain arithmetic that is handed the time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::plan::RetryBudget;

/// A repeat, in the unit that is counted in; a share of one is a number of parts per million.
const REPEAT: u64 = 1_000_000;

/// What is not spent is kept for about so many seconds, as in Finagle and Linkerd (`ttl`): an hour of peace must not pay
/// for a storm of repeats.
const KEPT_SECONDS: u64 = 10;

/// And so many repeats may be kept at least, so that a small budget lets the calls of one request, ten at most, be
/// repeated.
const LEAST_KEPT: u64 = 10;

/// The budgets by provider. They survive reloads; new bounds hold from the next call on.
#[derive(Debug, Default)]
pub struct RetryBudgets {
    balances: Mutex<HashMap<String, Balance>>,
}

#[derive(Clone, Copy, Debug)]
struct Balance {
    /// In millionths of a repeat.
    left: u64,
    at: Instant,
}

impl RetryBudgets {
    /// A call that repeats nothing was started.
    pub fn earn(&self, provider: &str, budget: RetryBudget, now: Instant) {
        let mut balances = self.lock();
        let left = balance(&balances, provider, budget, now).saturating_add(u64::from(budget.ratio_ppm));
        balances.insert(provider.to_owned(), Balance { left: left.min(most(budget)), at: now });
    }

    /// Spends a repeat, if there is one left.
    pub fn spend(&self, provider: &str, budget: RetryBudget, now: Instant) -> bool {
        let mut balances = self.lock();
        let Some(left) = balance(&balances, provider, budget, now).checked_sub(REPEAT) else { return false };
        balances.insert(provider.to_owned(), Balance { left, at: now });
        true
    }

    /// How many repeats are left now.
    pub fn left(&self, provider: &str, budget: RetryBudget, now: Instant) -> u64 {
        balance(&self.lock(), provider, budget, now) / REPEAT
    }

    /// Forgets the providers that are not among these.
    pub fn keep_only(&self, providers: impl Fn(&str) -> bool) {
        self.lock().retain(|provider, _| providers(provider));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Balance>> {
        // No code panics while it holds the lock, and each balance is whole between statements.
        self.balances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left at `now`. A provider that was never asked has all that may be kept.
fn balance(balances: &HashMap<String, Balance>, provider: &str, budget: RetryBudget, now: Instant) -> u64 {
    let most = most(budget);
    let Some(known) = balances.get(provider) else { return most };
    let elapsed = now.saturating_duration_since(known.at).min(Duration::from_secs(KEPT_SECONDS));
    let refill = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).saturating_mul(budget.min_per_second.into());
    known.left.saturating_add(refill).min(most)
}

/// The most that is kept. A budget of nothing is nothing.
fn most(budget: RetryBudget) -> u64 {
    if budget.ratio_ppm == 0 && budget.min_per_second == 0 {
        return 0;
    }
    KEPT_SECONDS.saturating_mul(budget.min_per_second.into()).max(LEAST_KEPT).saturating_mul(REPEAT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: RetryBudget = RetryBudget { ratio_ppm: 200_000, min_per_second: 1 };

    fn spent(budgets: &RetryBudgets, budget: RetryBudget, now: Instant) -> usize {
        (0..1000).take_while(|_| budgets.spend("p", budget, now)).count()
    }

    #[test]
    fn five_first_calls_earn_one_repeat_and_a_second_earns_another() {
        let (budgets, now) = (RetryBudgets::default(), Instant::now());
        assert_eq!(spent(&budgets, USUAL, now), 10, "what a new process has");
        (0..9).for_each(|_| budgets.earn("p", USUAL, now));
        assert_eq!((budgets.left("p", USUAL, now), spent(&budgets, USUAL, now)), (1, 1));
        budgets.earn("p", USUAL, now);
        assert_eq!(spent(&budgets, USUAL, now), 1, "the rest of before counts");
        let later = now + Duration::from_secs(3);
        assert_eq!((budgets.left("other", USUAL, now), spent(&budgets, USUAL, later)), (10, 3));
    }

    #[test]
    fn an_hour_of_peace_pays_for_no_storm() {
        let (budgets, now) = (RetryBudgets::default(), Instant::now());
        (0..5000).for_each(|_| budgets.earn("p", USUAL, now));
        assert_eq!(spent(&budgets, USUAL, now + Duration::from_secs(3600)), 10);
    }

    #[test]
    fn a_budget_of_nothing_allows_no_repeat_and_new_bounds_hold_at_once() {
        let (budgets, now) = (RetryBudgets::default(), Instant::now());
        let (none, more) =
            (RetryBudget { ratio_ppm: 0, min_per_second: 0 }, RetryBudget { min_per_second: 5, ..USUAL });
        budgets.earn("p", USUAL, now);
        assert_eq!(spent(&budgets, none, now), 0);
        assert_eq!((spent(&budgets, more, now), spent(&budgets, more, now + Duration::from_secs(2))), (10, 10));
        budgets.keep_only(|provider| provider != "p");
        assert!(budgets.lock().is_empty());
    }

    proptest! {
        /// Over any time there are no more repeats than what was kept at its start, the share of its first calls, and so
        /// many a second.
        #[test]
        fn repeats_never_pass_their_share(
            calls in prop::collection::vec((0..500u64, any::<bool>()), 0..300),
            ratio_ppm in 0..1_000_000u32,
            min_per_second in 0..5u32,
        ) {
            let budget = RetryBudget { ratio_ppm, min_per_second };
            let (budgets, began) = (RetryBudgets::default(), Instant::now());
            let (mut now, mut firsts, mut repeats) = (began, 0_u64, 0_u64);
            for (millis, repeat) in calls {
                now += Duration::from_millis(millis);
                if repeat {
                    repeats += u64::from(budgets.spend("p", budget, now));
                } else {
                    budgets.earn("p", budget, now);
                    firsts += 1;
                }
                let earned = firsts * u64::from(ratio_ppm);
                let refilled = u64::try_from((now - began).as_micros()).unwrap() * u64::from(min_per_second);
                prop_assert!(repeats * REPEAT <= most(budget) + earned + refilled);
            }
        }
    }
}
