//! Requests that wait for a provider that is paused, was just failing, or has its rate spent: how many, with a bound, for each
//! holds its body meanwhile; and how many go before each where what comes back is for one after the other.
//!
//! A party is a tenant's requests of one class. It may have as many places as are still free after it took one, so that
//! whoever floods a provider alone has half of its places, and another that comes finds room. Within a class parties take
//! turns, live goes before batch, and inside a party it is first come, first served.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::plan::Priority;

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Whether somebody waits for the picture.
    pub priority: Priority,
    /// The tenant that asks.
    pub tenant: Arc<str>,
}

/// The requests that wait, by their provider's name, in the order in which they came.
#[derive(Debug, Default)]
pub struct WaitingRequests {
    providers: Mutex<HashMap<String, Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    /// Grows from one to the next.
    number: u64,
    who: Waiter,
}

impl WaitingRequests {
    /// A place among the at most `bound` requests that wait for `provider`, if there is one for this party.
    pub fn enter(self: &Arc<WaitingRequests>, provider: &str, who: &Waiter, bound: usize) -> Option<WaitingPlace> {
        let mut providers = self.lock();
        let waiting = providers.get(provider).map_or(&[][..], Vec::as_slice);
        let own = waiting.iter().filter(|waiting| waiting.who == *who).count();
        let free = bound.saturating_sub(waiting.len());
        if free == 0 || own > free {
            return None;
        }
        let number = waiting.last().map_or(0, |last| last.number + 1);
        providers.entry(provider.to_owned()).or_default().push(Waiting { number, who: who.clone() });
        Some(WaitingPlace { among: self.clone(), provider: provider.to_owned(), who: who.clone(), number })
    }

    /// How many wait for `provider`.
    pub fn count(&self, provider: &str) -> usize {
        self.lock().get(provider).map_or(0, Vec::len)
    }

    /// How many of those that wait for `provider` go before one of this party: before the one at `place`, or before one that
    /// comes now.
    pub fn before(&self, provider: &str, who: &Waiter, place: Option<&WaitingPlace>) -> usize {
        let providers = self.lock();
        let Some(waiting) = providers.get(provider) else { return 0 };
        let number = place.filter(|place| place.provider == provider).map_or(u64::MAX, |place| place.number);
        before(waiting, who, number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Waiting>>> {
        // No code panics while it holds the lock, and each list is whole between statements.
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn before(waiting: &[Waiting], who: &Waiter, number: u64) -> usize {
    let own = waiting.iter().filter(|waiting| waiting.who == *who);
    let oldest = own.clone().map(|waiting| waiting.number).next().unwrap_or(number);
    let own = own.filter(|waiting| waiting.number < number).count();
    // Each other party by its oldest request, with how many it has.
    let mut others: Vec<(&Waiter, u64, usize)> = Vec::new();
    for waiting in waiting.iter().filter(|waiting| waiting.who.priority == who.priority && waiting.who != *who) {
        match others.iter_mut().find(|(other, ..)| **other == waiting.who) {
            Some((_, _, count)) => *count += 1,
            None => others.push((&waiting.who, waiting.number, 1)),
        }
    }
    // In each turn the party goes first whose oldest request came first.
    let turns = |first: u64| if first < oldest { own + 1 } else { own };
    let others: usize = others.into_iter().map(|(_, first, count)| count.min(turns(first))).sum();
    let live = waiting.iter().filter(|waiting| waiting.who.priority == Priority::Live);
    own + others + if who.priority == Priority::Batch { live.count() } else { 0 }
}

/// The right to wait; dropped, it makes room for another request.
#[derive(Debug)]
pub struct WaitingPlace {
    among: Arc<WaitingRequests>,
    provider: String,
    who: Waiter,
    number: u64,
}

impl WaitingPlace {
    /// Who waits here.
    pub fn who(&self) -> &Waiter {
        &self.who
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut providers = self.among.lock();
        let Some(waiting) = providers.get_mut(&self.provider) else { return };
        waiting.retain(|waiting| waiting.number != self.number);
        // A provider for which nobody waits takes no room in the map.
        if waiting.is_empty() {
            providers.remove(&self.provider);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(tenant: &str) -> Waiter {
        Waiter { priority: Priority::Live, tenant: tenant.into() }
    }

    fn batch(tenant: &str) -> Waiter {
        Waiter { priority: Priority::Batch, tenant: tenant.into() }
    }

    #[test]
    fn as_many_wait_as_may_and_who_goes_makes_room() {
        let waiting = Arc::new(WaitingRequests::default());
        let enter = || waiting.enter("p", &live("a"), 2);
        let (first, second) = (enter().unwrap(), enter().unwrap());
        assert!(enter().is_none() && waiting.enter("other", &live("a"), 1).is_some());
        assert!(waiting.enter("none", &live("a"), 0).is_none());
        assert_eq!((waiting.count("p"), waiting.count("other")), (2, 0));
        drop(first);
        let third = enter().unwrap();
        drop((second, third));
        assert!(waiting.lock().is_empty());
    }

    #[test]
    fn who_floods_a_provider_leaves_room_for_another_tenant_and_a_job_for_people() {
        let waiting = Arc::new(WaitingRequests::default());
        let flood = |who: &Waiter| (0..500).filter_map(|_| waiting.enter("p", who, 100)).collect::<Vec<_>>();
        let greedy = flood(&live("greedy"));
        let modest = flood(&live("modest"));
        let job = flood(&batch("greedy"));
        assert_eq!((greedy.len(), modest.len(), job.len()), (51, 25, 13));
        assert!(waiting.enter("p", &live("third"), 100).is_some());
    }

    #[test]
    fn tenants_take_turns_and_people_go_before_jobs() {
        let waiting = Arc::new(WaitingRequests::default());
        let enter = |who: Waiter| waiting.enter("p", &who, 100).unwrap();
        let places = [live("a"), batch("n"), live("a"), live("a"), live("b"), live("b"), live("c")].map(enter);
        let before = |place: &WaitingPlace| waiting.before("p", &place.who, Some(place));
        // a b c, a b, a, and then the job.
        assert_eq!(places.each_ref().map(before), [0, 6, 3, 5, 1, 4, 2]);
        let newcomer = |who: Waiter| waiting.before("p", &who, None);
        assert_eq!((newcomer(live("a")), newcomer(live("d")), newcomer(batch("n"))), (6, 3, 7));
        assert_eq!(
            (waiting.before("other", &live("a"), None), waiting.before("other", &live("a"), Some(&places[0]))),
            (0, 0)
        );
    }

    proptest! {
        #[test]
        fn no_two_have_the_same_place_in_the_line_and_none_is_empty(
            came in prop::collection::vec((any::<bool>(), 0..4usize), 1..40),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let waiting = Arc::new(WaitingRequests::default());
            let who = |(live, tenant): (bool, usize)| Waiter {
                priority: if live { Priority::Live } else { Priority::Batch },
                tenant: ["a", "b", "c", "d"][tenant].into(),
            };
            let mut places: Vec<_> = came.into_iter().map(|one| waiting.enter("p", &who(one), 10_000).unwrap()).collect();
            for index in gone {
                if places.len() > 1 {
                    drop(places.swap_remove(index.index(places.len())));
                }
            }
            let mut line: Vec<usize> =
                places.iter().map(|place| waiting.before("p", &place.who, Some(place))).collect();
            line.sort_unstable();
            prop_assert_eq!(line, (0..places.len()).collect::<Vec<_>>());
        }
    }
}
