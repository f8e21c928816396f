//! How many questions a judge is asked at once, which a reload may change while they are under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns at one judge, taken in the order of those who came.
pub struct JudgeTurns {
    free: Arc<Semaphore>,
    bound: Mutex<TurnBound>,
}

#[derive(Clone, Copy)]
struct TurnBound {
    /// How many may be taken.
    most: usize,
    /// How many of those that are taken are not given back when they end, since the bound was made smaller.
    surplus: usize,
}

impl JudgeTurns {
    /// So many, all free.
    pub fn new(most: usize) -> Arc<JudgeTurns> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(JudgeTurns { free: Arc::new(Semaphore::new(most)), bound: Mutex::new(TurnBound { most, surplus: 0 }) })
    }

    /// Waits for a turn. There is no other bound on who waits than that everybody waits for a time.
    pub async fn take(self: &Arc<JudgeTurns>) -> JudgeTurn {
        // The semaphore is never closed; were it closed, nobody would be kept waiting for it.
        let permit = self.free.clone().acquire_owned().await.ok();
        JudgeTurn { turns: self.clone(), permit }
    }

    /// Changes how many there are. Turns that are taken stay taken.
    pub fn resize(&self, most: usize) {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let mut bound = self.lock();
        if most >= bound.most {
            let more = most - bound.most;
            let kept = more.min(bound.surplus);
            bound.surplus -= kept;
            self.free.add_permits(more - kept);
        } else {
            let fewer = bound.most - most;
            bound.surplus += fewer - self.free.forget_permits(fewer);
        }
        bound.most = most;
    }

    fn lock(&self) -> MutexGuard<'_, TurnBound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, given back when dropped.
pub struct JudgeTurn {
    turns: Arc<JudgeTurns>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for JudgeTurn {
    fn drop(&mut self) {
        let mut bound = self.turns.lock();
        if bound.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            bound.surplus -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn taken(turns: &Arc<JudgeTurns>) -> Vec<JudgeTurn> {
        std::iter::from_fn(|| turns.take().now_or_never()).collect()
    }

    #[test]
    fn as_many_turns_are_taken_as_there_are_and_one_that_ends_is_the_next_one_s() {
        let turns = JudgeTurns::new(3);
        let mut all = taken(&turns);
        assert_eq!(all.len(), 3);
        all.pop();
        assert_eq!(taken(&turns).len(), 1);
    }

    #[test]
    fn a_smaller_bound_holds_as_turns_end_and_a_larger_one_at_once() {
        let turns = JudgeTurns::new(4);
        let mut all = taken(&turns);
        turns.resize(2);
        for left in [3, 2] {
            all.pop();
            assert_eq!((all.len(), taken(&turns).len()), (left, 0), "a turn beyond the bound is not given back");
        }
        all.pop();
        assert_eq!(taken(&turns).len(), 1, "two may be taken, one is");
        turns.resize(5);
        assert_eq!(taken(&turns).len(), 4);
        drop(all);
        assert_eq!(taken(&turns).len(), 5);
    }

    #[test]
    fn a_bound_that_shrinks_and_grows_while_turns_are_taken_ends_where_it_is_set() {
        let turns = JudgeTurns::new(4);
        let all = taken(&turns);
        turns.resize(1);
        turns.resize(3);
        assert_eq!(taken(&turns).len(), 0);
        drop(all);
        assert_eq!(taken(&turns).len(), 3);
        turns.resize(0);
        assert_eq!(taken(&turns).len(), 1, "one at least, or nobody is ever answered");
    }

    #[tokio::test]
    async fn who_leaves_while_it_waits_takes_no_turn() {
        let turns = JudgeTurns::new(1);
        let first = turns.take().await;
        let mut waiting = Box::pin(turns.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        drop(first);
        assert_eq!(taken(&turns).len(), 1);
    }
}
