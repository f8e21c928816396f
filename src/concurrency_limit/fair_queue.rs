//! The calls of one class that wait, by tenant: who is next, and who makes room.
//!
//! Tenants take turns, and each tenant's own calls are first come, first served. A tenant that has a thousand calls
//! waiting is served as often as one that has two. Nothing here knows slots, locks or time.

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
    /// Each with its number. Numbers grow, so the oldest is in front.
    calls: VecDeque<(u64, W)>,
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

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How many calls of this tenant wait.
    pub fn len_of(&self, tenant: &str) -> usize {
        self.tenants.iter().find(|queue| *queue.tenant == *tenant).map_or(0, |queue| queue.calls.len())
    }

    /// The most calls that any tenant has waiting.
    pub fn longest(&self) -> usize {
        self.tenants.iter().map(|queue| queue.calls.len()).max().unwrap_or(0)
    }

    /// Puts a call behind the tenant's others; a tenant that had none comes last. `number` is greater than any before.
    pub fn push(&mut self, tenant: &Arc<str>, number: u64, waiter: W) {
        self.waiting += 1;
        match self.tenants.iter_mut().find(|queue| *queue.tenant == **tenant) {
            Some(queue) => queue.calls.push_back((number, waiter)),
            None => {
                let calls = VecDeque::from([(number, waiter)]);
                self.tenants.push_back(TenantQueue { tenant: tenant.clone(), calls });
            }
        }
    }

    /// Takes out the oldest call of the tenant whose turn it is; the tenant's next turn comes after all others'.
    pub fn pop(&mut self) -> Option<W> {
        let mut queue = self.tenants.pop_front()?;
        let (_, waiter) = queue.calls.pop_front()?;
        self.waiting -= 1;
        if !queue.calls.is_empty() {
            self.tenants.push_back(queue);
        }
        Some(waiter)
    }

    /// Takes out the newest call of the tenant that has the most.
    pub fn pop_newest_of_longest(&mut self) -> Option<W> {
        let (place, _) = self.tenants.iter().enumerate().max_by_key(|(_, queue)| queue.calls.len())?;
        let (_, waiter) = self.tenants[place].calls.pop_back()?;
        self.took_from(place);
        Some(waiter)
    }

    /// Takes a call out that does not want to wait any more. Nothing happens where it waits no more.
    pub fn remove(&mut self, tenant: &str, number: u64) {
        let Some(place) = self.tenants.iter().position(|queue| *queue.tenant == *tenant) else { return };
        let calls = &mut self.tenants[place].calls;
        if let Ok(index) = calls.binary_search_by_key(&number, |(known, _)| *known) {
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

    fn queue(calls: &[&str]) -> FairQueue<String> {
        let mut queue = FairQueue::default();
        for (number, tenant) in calls.iter().enumerate() {
            queue.push(&Arc::from(*tenant), number as u64, format!("{tenant}{number}"));
        }
        queue
    }

    fn drained(mut queue: FairQueue<String>) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn tenants_take_turns_and_each_ones_calls_keep_their_order() {
        let queue = queue(&["a", "a", "a", "a", "b", "b", "c"]);
        assert_eq!(drained(queue), ["a0", "b4", "c6", "a1", "b5", "a2", "a3"]);
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
