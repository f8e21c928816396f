//! How many requests wait for a provider that is paused or was just failing, with a bound: each holds its body meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The requests that wait, by their provider's name.
#[derive(Debug, Default)]
pub struct WaitingRequests {
    waiting: Mutex<HashMap<String, usize>>,
}

impl WaitingRequests {
    /// A place among the at most `bound` requests that wait for `provider`, if there is one.
    pub fn enter(self: &Arc<WaitingRequests>, provider: &str, bound: usize) -> Option<WaitingPlace> {
        let mut waiting = self.lock();
        let count = waiting.get(provider).copied().unwrap_or(0);
        if count >= bound {
            return None;
        }
        waiting.insert(provider.to_owned(), count + 1);
        Some(WaitingPlace { among: self.clone(), provider: provider.to_owned() })
    }

    /// How many wait for `provider`.
    pub fn count(&self, provider: &str) -> usize {
        self.lock().get(provider).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // No code panics while it holds the lock, and each count is whole between statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to wait; dropped, it makes room for another request.
#[derive(Debug)]
pub struct WaitingPlace {
    among: Arc<WaitingRequests>,
    provider: String,
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut waiting = self.among.lock();
        match waiting.get_mut(&self.provider) {
            Some(count) if *count > 1 => *count -= 1,
            // A provider for which nobody waits takes no room in the map.
            _ => drop(waiting.remove(&self.provider)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_wait_as_may_and_who_goes_makes_room() {
        let waiting = Arc::new(WaitingRequests::default());
        let enter = || waiting.enter("p", 2);
        let (first, second) = (enter().unwrap(), enter().unwrap());
        assert!(enter().is_none() && waiting.enter("other", 1).is_some() && waiting.enter("none", 0).is_none());
        assert_eq!((waiting.count("p"), waiting.count("other")), (2, 0));
        drop(first);
        let third = enter().unwrap();
        drop((second, third));
        assert!(waiting.lock().is_empty());
    }
}
