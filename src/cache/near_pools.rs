//! Which pools can be found in other words, and by which word lists.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::cache::asked_embeddings::index_memory;
use crate::cache::embedding_index::EmbeddingIndex;
use crate::cache::near_index::{NearIndex, ShardKey};
use crate::cache::pool_entry::PoolEntry;
use crate::prompt_match::{self, CanonicalPrompt, Sketch, WordLists};

/// Word lists that are known at once. Each change of the config that changes the words brings others.
pub(super) const LISTS: usize = 4;

/// What finds pools in other words.
pub(super) struct NearPools {
    pub(super) index: NearIndex,
    /// By how alike the words are to a model.
    pub(super) embeddings: EmbeddingIndex,
    /// The lists that pools are indexed under, the latest last.
    pub(super) lists: RwLock<Vec<KnownLists>>,
    /// The number of the lists that became known last.
    last: AtomicU64,
}

/// Word lists, and the number under which they are known. Lists that were given up and come back have another, as nothing is
/// indexed under them then.
pub(super) struct KnownLists {
    number: u64,
    lists: Arc<WordLists>,
}

/// A prompt's canonical form and where the index has it.
pub(super) struct Words {
    pub(super) canonical: CanonicalPrompt,
    pub(super) sketch: Sketch,
    pub(super) shard: ShardKey,
}

impl Words {
    /// Of a prompt, with what else its request must be, by the lists that are known under this number.
    pub(super) fn of(hard_key: &[u8], prompt: &str, lists: &WordLists, number: u64) -> Words {
        let canonical = prompt_match::canonical(prompt, lists);
        Words { sketch: canonical.sketch(), canonical, shard: ShardKey::of(hard_key, number) }
    }
}

impl NearPools {
    /// None yet. Pictures may take `memory` bytes.
    pub(super) fn new(memory: u64) -> NearPools {
        NearPools {
            index: NearIndex::default(),
            embeddings: EmbeddingIndex::new(index_memory(memory)),
            lists: RwLock::default(),
            last: AtomicU64::new(0),
        }
    }

    /// Makes a pool one that can be found in other words, by these lists.
    pub(super) fn add(&self, key: u128, pool: &PoolEntry, lists: &Arc<WordLists>) {
        let number = self.know(lists);
        if pool.indexed_under() == number {
            return;
        }
        self.unindex(key, pool);
        let words = Words::of(pool.hard_key(), pool.prompt(), lists, number);
        self.index.add(words.shard, &words.sketch, key);
        pool.index_under(number);
    }

    /// Takes out a pool that is there no more.
    pub(super) fn remove(&self, key: u128, pool: &PoolEntry) {
        self.embeddings.remove(key);
        self.unindex(key, pool);
    }

    /// Takes a pool out of where its words are.
    fn unindex(&self, key: u128, pool: &PoolEntry) {
        let number = pool.index_under(0);
        let known = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        let Some(lists) = known.iter().find(|known| known.number == number).map(|known| known.lists.clone()) else {
            return;
        };
        drop(known);
        let words = Words::of(pool.hard_key(), pool.prompt(), &lists, number);
        self.index.remove(words.shard, &words.sketch, key);
    }

    /// The number under which lists are known, if anything is indexed under them.
    pub(super) fn number(&self, lists: &WordLists) -> Option<u64> {
        let known = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|known| known.lists.digest() == lists.digest()).map(|known| known.number)
    }

    /// Remembers lists. What was indexed under those before the last few is found in other words no more.
    fn know(&self, lists: &Arc<WordLists>) -> u64 {
        if let Some(number) = self.number(lists) {
            return number;
        }
        let mut known = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.iter().find(|known| known.lists.digest() == lists.digest()) {
            return known.number;
        }
        // 0 is a pool that is not indexed.
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        known.push(KnownLists { number, lists: lists.clone() });
        while known.len() > LISTS {
            self.index.forget_lists(known.remove(0).number);
        }
        number
    }
}
