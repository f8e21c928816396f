//! Pools whose pictures are on disk alone: what is noted of them, bounded in bytes. The oldest are forgotten first; their files
//! go when the disk needs room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::disk_tier::ContentHash;

/// A pool whose pictures are on disk alone.
pub(super) trait ColdPool: Sized {
    /// Bytes that it takes.
    fn weight(&self) -> u64;
    /// The names of its pictures on disk.
    fn names(&self) -> Vec<ContentHash>;
    /// The same without a picture that is on disk no more; `None` where it has no other.
    fn without(&self, name: &ContentHash) -> Option<Self>;
}

/// Pools by their keys.
pub(super) struct ColdPools<P>(Mutex<Cold<P>>);

struct Cold<P> {
    limit: u64,
    bytes: u64,
    pools: HashMap<u128, Arc<P>>,
    /// Which pools have a picture of this name on disk.
    by_hash: HashMap<ContentHash, Vec<u128>>,
    /// How many were forgotten, since the start.
    forgotten: u64,
    /// The keys in the order in which they came. Some lead nowhere.
    order: VecDeque<u128>,
}

impl<P: ColdPool> ColdPools<P> {
    /// Nothing yet, and at most `limit` bytes.
    pub(super) fn new(limit: u64) -> ColdPools<P> {
        let (bytes, forgotten) = (0, 0);
        let (pools, by_hash, order) = (HashMap::new(), HashMap::new(), VecDeque::new());
        ColdPools(Mutex::new(Cold { limit, bytes, pools, by_hash, forgotten, order }))
    }

    /// Puts a pool in. Gives back those that were forgotten for it, itself where it is too large.
    pub(super) fn insert(&self, key: u128, pool: Arc<P>) -> Vec<(u128, Arc<P>)> {
        let mut cold = self.lock();
        cold.remove(key);
        cold.bytes += pool.weight();
        for hash in pool.names() {
            cold.by_hash.entry(hash).or_default().push(key);
        }
        cold.pools.insert(key, pool);
        cold.order.push_back(key);
        cold.shrink()
    }

    /// A pool.
    pub(super) fn get(&self, key: u128) -> Option<Arc<P>> {
        self.lock().pools.get(&key).cloned()
    }

    /// Takes a pool out, if it is the one that is meant; whether it was.
    pub(super) fn remove_if(&self, key: u128, is_it: impl FnOnce(&Arc<P>) -> bool) -> bool {
        let mut cold = self.lock();
        let found = cold.pools.get(&key).is_some_and(is_it);
        if found {
            cold.remove(key);
        }
        found
    }

    /// Forgets a picture that is on disk no more. Gives back the pools that had no other.
    pub(super) fn gone(&self, hash: &ContentHash) -> Vec<(u128, Arc<P>)> {
        let mut cold = self.lock();
        let mut emptied = Vec::new();
        for key in cold.by_hash.remove(hash).unwrap_or_default() {
            let Some(pool) = cold.remove(key) else { continue };
            match pool.without(hash) {
                Some(left) => {
                    let left = Arc::new(left);
                    cold.bytes += left.weight();
                    for hash in left.names() {
                        cold.by_hash.entry(hash).or_default().push(key);
                    }
                    cold.pools.insert(key, left);
                }
                None => emptied.push((key, pool)),
            }
        }
        emptied
    }

    /// All pools.
    pub(super) fn all(&self) -> Vec<(u128, Arc<P>)> {
        self.lock().pools.iter().map(|(key, pool)| (*key, pool.clone())).collect()
    }

    /// How many were forgotten though their pictures are on disk, since the start.
    pub(super) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Changes the bound. Gives back what was forgotten for it.
    pub(super) fn resize(&self, limit: u64) -> Vec<(u128, Arc<P>)> {
        let mut cold = self.lock();
        cold.limit = limit;
        cold.shrink()
    }

    fn lock(&self) -> MutexGuard<'_, Cold<P>> {
        // No code panics while it holds the lock but for want of memory, and then the process ends.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: ColdPool> Cold<P> {
    fn remove(&mut self, key: u128) -> Option<Arc<P>> {
        let pool = self.pools.remove(&key)?;
        self.bytes -= pool.weight();
        for hash in pool.names() {
            if let Some(keys) = self.by_hash.get_mut(&hash) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.by_hash.remove(&hash);
                }
            }
        }
        Some(pool)
    }

    /// Forgets the oldest until the bound holds.
    fn shrink(&mut self) -> Vec<(u128, Arc<P>)> {
        let mut forgotten = Vec::new();
        while self.bytes > self.limit {
            let Some(key) = self.order.pop_front() else { break };
            if let Some(pool) = self.remove(key) {
                forgotten.push((key, pool));
            }
        }
        if self.order.len() > 2 * self.pools.len() + 64 {
            let pools = &self.pools;
            let mut seen = std::collections::HashSet::new();
            self.order.retain(|key| pools.contains_key(key) && seen.insert(*key));
        }
        self.forgotten += forgotten.len() as u64;
        forgotten
    }
}
