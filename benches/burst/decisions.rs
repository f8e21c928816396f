//! What a run decided, as one number: each call that a vendor got and each answer that a client got, with its moment.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// All decisions so far.
pub struct Decisions {
    began: Instant,
    /// After each, the milliseconds since the beginning and the digest of all up to it.
    noted: Mutex<Vec<(u64, u64)>>,
}

impl Decisions {
    /// None; the run begins.
    pub fn new() -> Decisions {
        Decisions { began: Instant::now(), noted: Mutex::default() }
    }

    /// One more.
    pub fn note(&self, words: &[&str]) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = noted.last().map_or(0, |(_, digest)| *digest);
        let digest = words.iter().fold(before ^ millis, |digest, word| xxh3_64_with_seed(word.as_bytes(), digest));
        noted.push((millis, digest));
    }

    /// All of them.
    pub fn noted(&self) -> Vec<(u64, u64)> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where two runs part: the number of the decision, and its moment in milliseconds. `None`: nowhere.
pub fn parting(one: &[(u64, u64)], other: &[(u64, u64)]) -> Option<(usize, u64)> {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let next = one.get(same).or(other.get(same))?;
    Some((same, next.0))
}
