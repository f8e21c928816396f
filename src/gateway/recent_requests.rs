//! The last image requests, each as the access log tells it, for whoever asks what became of one. Those that called
//! somebody are in the ledger besides, and stay there longer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are known.
pub const KEPT: usize = 1_000;

/// All their lines in bytes; a line takes about 1 KB.
const MOST_BYTES: usize = 4 << 20;

/// The longest line that is kept. One of an offer list of hundreds may be as long, and is in the log all the same.
const LONGEST: usize = 64 << 10;

/// The last ones, the oldest first.
#[derive(Default)]
pub struct RecentRequests(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    lines: VecDeque<(Box<str>, Arc<str>)>,
    bytes: usize,
}

impl RecentRequests {
    /// Remembers the line of a request, for which the oldest goes. Whether it is short enough for that.
    pub fn add(&self, id: &str, line: &str) -> bool {
        if line.len() > LONGEST {
            return false;
        }
        let (id, line) = (id.into(), Arc::<str>::from(line));
        let mut recent = self.lock();
        recent.bytes += line.len();
        recent.lines.push_back((id, line));
        while recent.lines.len() > KEPT || recent.bytes > MOST_BYTES {
            let Some((_, oldest)) = recent.lines.pop_front() else { break };
            recent.bytes -= oldest.len();
        }
        true
    }

    /// The line of the request with this id.
    pub fn find(&self, id: &str) -> Option<Arc<str>> {
        self.lock().lines.iter().rev().find(|(known, _)| &**known == id).map(|(_, line)| line.clone())
    }

    /// The last `count`, the newest first.
    pub fn newest(&self, count: usize) -> Vec<Arc<str>> {
        self.lock().lines.iter().rev().take(count).map(|(_, line)| line.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        // Whole between statements, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_within_a_count_and_a_number_of_bytes_and_are_found_by_their_ids() {
        let recent = RecentRequests::default();
        for nth in 0..KEPT + 5 {
            recent.add(&format!("r{nth}"), &format!("line {nth}"));
        }
        assert_eq!((recent.newest(2).iter().map(|line| &**line)).collect::<Vec<_>>(), ["line 1004", "line 1003"]);
        assert_eq!((recent.find("r4"), recent.find("r5").as_deref()), (None, Some("line 5")));
        let long = "x".repeat(LONGEST);
        assert!((0..100).all(|nth| recent.add(&format!("l{nth}"), &long)));
        assert_eq!((recent.newest(KEPT).len(), recent.lock().bytes), (MOST_BYTES / LONGEST, MOST_BYTES));
        assert!(!recent.add("longer", &(long + "x")) && recent.find("longer").is_none());
    }
}
