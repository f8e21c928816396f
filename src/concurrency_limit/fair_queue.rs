//! The calls of one class that wait, by tenant: who is next, and who makes room.
//!
//! Tenants take turns, and each tenant's own calls are first come, first served. A tenant that has a thousand calls
//! waiting is served as often as one that has two. A call whose model may not be asked now is passed over, and keeps its
//! place. Nothing here knows slots, locks or time.

use std::collections::VecDeque;
use std::sync::Arc;

/// The calls of one class that wait. `W` is how each is told.
#[derive(Debug)]
pub struct FairQueue<W> {
    /// Tenants in the order of their turns; none is here without a call that waits.
    tenants: VecDeque<TenantQueue<W>>,
    waiting: usize,
}

#[derive(Debug)]
struct TenantQueue<W> {
    tenant: Arc<str>,
    /// Numbers grow, so the oldest is in front.
    calls: VecDeque<WaitingCall<W>>,
}

#[derive(Debug)]
struct WaitingCall<W> {
    number: u64,
    model: Arc<str>,
    waiter: W,
}

impl<W> Default for FairQueue<W> {
    fn default() -> FairQueue<W> {
        FairQueue { tenants: VecDeque::new(), waiting: 0 }
    }
}

impl<W> FairQueue<W> {
    /// How many calls wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// How many calls of this tenant wait.
    pub fn len_of(&self, tenant: &str) -> usize {
        self.tenants.iter().find(|queue| *queue.tenant == *tenant).map_or(0, |queue| queue.calls.len())
    }

    /// The most calls that any tenant has waiting.
    pub fn longest(&self) -> usize {
        self.tenants.iter().map(|queue| queue.calls.len()).max().unwrap_or(0)
    }

    /// How many calls that ask one of these models go before the next one of this tenant.
    pub fn before(&self, tenant: &str, counts: impl Fn(&str) -> bool) -> usize {
        let waiting = |queue: &TenantQueue<W>| queue.calls.iter().filter(|call| counts(&call.model)).count();
        let own = self.tenants.iter().find(|queue| *queue.tenant == *tenant).map_or(0, &waiting);
        // Whoever has more waiting than this tenant goes before it once a turn, and no more often.
        let others = self.tenants.iter().filter(|queue| *queue.tenant != *tenant);
        own + others.map(|queue| waiting(queue).min(own + 1)).sum::<usize>()
    }

    /// Puts a call behind the tenant's others; a tenant that had none comes last. `number` is greater than any before.
    pub fn push(&mut self, (tenant, model): (&Arc<str>, &Arc<str>), number: u64, waiter: W) {
        self.waiting += 1;
        let call = WaitingCall { number, model: model.clone(), waiter };
        match self.tenants.iter_mut().find(|queue| *queue.tenant == **tenant) {
            Some(queue) => queue.calls.push_back(call),
            None => self.tenants.push_back(TenantQueue { tenant: tenant.clone(), calls: VecDeque::from([call]) }),
        }
    }

    /// The model of the call that is next among those whose model may be asked.
    pub fn next_model(&self, may_ask: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        let (place, index) = self.find_next(may_ask)?;
        Some(&self.tenants[place].calls[index].model)
    }

    /// Takes out the oldest such call of the tenant whose turn it is; the tenant's next turn comes after all others'.
    pub fn pop(&mut self, may_ask: impl Fn(&str) -> bool) -> Option<(Arc<str>, W)> {
        let (place, index) = self.find_next(may_ask)?;
        let mut queue = self.tenants.remove(place)?;
        let call = queue.calls.remove(index);
        self.waiting -= usize::from(call.is_some());
        if !queue.calls.is_empty() {
            self.tenants.push_back(queue);
        }
        call.map(|call| (call.model, call.waiter))
    }

    /// The tenant whose turn it is, and which of its calls.
    fn find_next(&self, may_ask: impl Fn(&str) -> bool) -> Option<(usize, usize)> {
        let oldest = |queue: &TenantQueue<W>| queue.calls.iter().position(|call| may_ask(&call.model));
        self.tenants.iter().enumerate().find_map(|(place, queue)| Some((place, oldest(queue)?)))
    }

    /// Takes out the newest call of the tenant that has the most.
    pub fn pop_newest_of_longest(&mut self) -> Option<W> {
        let (place, _) = self.tenants.iter().enumerate().max_by_key(|(_, queue)| queue.calls.len())?;
        let call = self.tenants[place].calls.pop_back()?;
        self.took_from(place);
        Some(call.waiter)
    }

    /// Takes a call out that does not want to wait any more. Nothing happens where it waits no more.
    pub fn remove(&mut self, tenant: &str, number: u64) {
        let Some(place) = self.tenants.iter().position(|queue| *queue.tenant == *tenant) else { return };
        let calls = &mut self.tenants[place].calls;
        if let Ok(index) = calls.binary_search_by_key(&number, |call| call.number) {
            calls.remove(index);
            self.took_from(place);
        }
    }

    fn took_from(&mut self, place: usize) {
        self.waiting -= 1;
        if self.tenants[place].calls.is_empty() {
            self.tenants.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls by tenant, each with the model that stands behind a slash.
    fn queue(calls: &[&str]) -> FairQueue<String> {
        let mut queue = FairQueue::default();
        for (number, call) in calls.iter().enumerate() {
            let (tenant, model) = call.split_once('/').unwrap_or((call, "m"));
            queue.push((&Arc::from(tenant), &Arc::from(model)), number as u64, format!("{tenant}{number}"));
        }
        queue
    }

    fn drained(mut queue: FairQueue<String>) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(|_| true).map(|(_, call)| call)).collect()
    }

    #[test]
    fn tenants_take_turns_and_each_ones_calls_keep_their_order() {
        let queue = queue(&["a", "a", "a", "a", "b", "b", "c"]);
        assert_eq!(drained(queue), ["a0", "b4", "c6", "a1", "b5", "a2", "a3"]);
    }

    #[test]
    fn a_call_whose_model_is_at_its_cap_is_passed_over_and_keeps_its_place() {
        let mut queue = queue(&["a/slow", "a", "b/slow", "b"]);
        let not_slow = |model: &str| model != "slow";
        assert_eq!(queue.next_model(not_slow).map(|model| &**model), Some("m"));
        assert_eq!(queue.pop(not_slow), Some(("m".into(), "a1".to_owned())));
        assert_eq!(queue.pop(not_slow), Some(("m".into(), "b3".to_owned())));
        assert_eq!((queue.pop(not_slow), queue.len()), (None, 2));
        assert_eq!(drained(queue), ["a0", "b2"]);
    }

    #[test]
    fn before_a_tenants_next_call_go_its_own_and_of_each_other_tenant_one_a_turn() {
        let queue = queue(&["a", "a", "a", "a", "b", "c", "c/slow"]);
        let before = |tenant| queue.before(tenant, |_| true);
        assert_eq!(["a", "b", "c", "new"].map(before), [4 + 1 + 2, 1 + 2 + 2, 2 + 3 + 1, 3]);
        assert_eq!(queue.before("c", |model| model == "slow"), 1);
    }

    #[test]
    fn the_newest_call_of_the_tenant_with_the_most_makes_room() {
        let mut queue = queue(&["a", "b", "b", "b", "c", "c"]);
        assert_eq!(queue.pop_newest_of_longest().as_deref(), Some("b3"));
        assert_eq!((queue.len(), queue.longest(), queue.len_of("b"), queue.len_of("d")), (5, 2, 2, 0));
    }

    #[test]
    fn a_call_that_leaves_takes_no_other_with_it() {
        let mut queue = queue(&["a", "b", "a", "a"]);
        queue.remove("a", 2);
        queue.remove("a", 2);
        queue.remove("b", 3);
        queue.remove("b", 1);
        assert_eq!(queue.len(), 2);
        assert_eq!(drained(queue), ["a0", "a3"]);
    }
}
