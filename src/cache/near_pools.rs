//! Which pools can be found in other words, and by which word lists.

use std::sync::{Arc, PoisonError, RwLock};

use crate::cache::near_index::{NearIndex, ShardKey};
use crate::cache::pool_entry::PoolEntry;
use crate::prompt_match::{self, CanonicalPrompt, Sketch, WordLists};

/// Word lists that are known at once. Each change of the config that changes the words brings others.
pub(super) const LISTS: usize = 4;

/// What finds pools in other words.
#[derive(Default)]
pub(super) struct NearPools {
    pub(super) index: NearIndex,
    /// The lists that pools are indexed under, the latest last.
    pub(super) lists: RwLock<Vec<Arc<WordLists>>>,
}

/// A prompt's canonical form and where the index has it.
pub(super) struct Words {
    pub(super) canonical: CanonicalPrompt,
    pub(super) sketch: Sketch,
    pub(super) shard: ShardKey,
}

impl Words {
    /// Of a prompt, with what else its request must be.
    pub(super) fn of(hard_key: &[u8], prompt: &str, lists: &WordLists) -> Words {
        let canonical = prompt_match::canonical(prompt, lists);
        Words { sketch: canonical.sketch(), canonical, shard: ShardKey::of(hard_key, lists.digest()) }
    }
}

impl NearPools {
    /// Makes a pool one that can be found in other words, by these lists.
    pub(super) fn add(&self, key: u128, pool: &PoolEntry, lists: &Arc<WordLists>) {
        let (before, digest) = (pool.indexed_under(), lists.digest());
        if before == digest {
            return;
        }
        self.remove(key, pool);
        self.know(lists);
        let words = Words::of(pool.hard_key(), pool.prompt(), lists);
        self.index.add(words.shard, &words.sketch, key);
        pool.index_under(digest);
    }

    /// Takes out a pool that is there no more.
    pub(super) fn remove(&self, key: u128, pool: &PoolEntry) {
        let digest = pool.index_under(0);
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        let Some(lists) = lists.iter().find(|lists| lists.digest() == digest).cloned() else { return };
        let words = Words::of(pool.hard_key(), pool.prompt(), &lists);
        self.index.remove(words.shard, &words.sketch, key);
    }

    /// Remembers lists. What was indexed under those before the last few is found in other words no more.
    fn know(&self, lists: &Arc<WordLists>) {
        let is_known = |known: &[Arc<WordLists>]| known.iter().any(|known| known.digest() == lists.digest());
        if is_known(&self.lists.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut known = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        if !is_known(&known) {
            known.push(lists.clone());
        }
        while known.len() > LISTS {
            self.index.forget_lists(known.remove(0).digest());
        }
    }
}
