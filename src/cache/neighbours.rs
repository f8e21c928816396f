//! Pools whose pictures were drawn for other words: which of them are right for a request, and which would be if a pair of words
//! meant the same.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cache::lookup::{Asked, Miss, MissedPool, Tier};
use crate::cache::near_index::ShardKey;
use crate::cache::near_pools::{NearPools, Words};
use crate::cache::pool_entry::{PoolEntry, PooledPicture};
use crate::cache::pools::Pools;
use crate::prompt_match::{self, CanonicalPrompt, LearnedPairs, Sketch, WordLists};
use crate::similarity::Similarity;

/// Pools in other words whose words are compared with a request's: the nearest. In 50,000 requests of products the right one
/// was among the first four wherever there was one (CACHE_QUALITY.md section 2.3).
const CANDIDATES: usize = 4;

/// Where pools in other words are looked for.
#[derive(Clone, Copy)]
pub(super) struct Finder<'c> {
    pub(super) pools: &'c Pools,
    pub(super) near: &'c NearPools,
}

/// A pool in other words whose pictures are right.
pub(super) struct Neighbour {
    pub(super) key: u128,
    pub(super) pool: Arc<PoolEntry>,
    pub(super) tier: Tier,
    pub(super) differences: Vec<String>,
    /// How alike its words are to a model, where that is why.
    pub(super) similarity: Option<Similarity>,
}

impl Neighbour {
    /// The ids of its pictures that may be served.
    pub(super) fn ids(&self, asked: &Asked<'_>) -> Vec<Arc<str>> {
        let good = self.pool.good(&asked.freshness).unwrap_or_default();
        good.into_iter().map(|pooled| pooled.generated.id.clone()).collect()
    }
}

/// A pool that the index proposes, and its words.
struct Proposed {
    pool: Arc<PoolEntry>,
    words: CanonicalPrompt,
    /// Of its pictures that may be served.
    ids: Vec<Arc<str>>,
}

impl Finder<'_> {
    /// The pictures of a pool that may be served. A pool whose time is over is taken out.
    pub(super) fn good<'p>(
        &self,
        key: u128,
        pool: &'p Arc<PoolEntry>,
        asked: &Asked<'_>,
    ) -> Result<Vec<&'p PooledPicture>, Miss> {
        let good = pool.good(&asked.freshness);
        if good.as_ref().err() == Some(&Miss::Expired) && self.pools.remove(key, pool) {
            self.near.remove(key, pool);
        }
        good
    }

    /// Pools in other words whose pictures are right for a request, until there are as many different ones as are wanted.
    /// `there` are the ids of those that are there already.
    pub(super) fn neighbours(
        &self,
        asked: &Asked<'_>,
        lists: &WordLists,
        mut there: HashSet<Arc<str>>,
        wanted: usize,
    ) -> Vec<Neighbour> {
        let canonical = asked.canonical;
        let Some(number) = self.near.number(lists) else { return Vec::new() };
        let words = Words::of(canonical.hard_key(), canonical.prompt(), lists, number);
        let mut found = Vec::new();
        // Whether that is enough.
        let mut add = |neighbour: Neighbour, ids: Vec<Arc<str>>| {
            there.extend(ids);
            found.push(neighbour);
            there.len() >= wanted
        };
        for key in self.near.index.equal(words.shard, &words.sketch) {
            let Some(proposed) = self.proposed(key, &words.sketch, words.shard, asked) else { continue };
            let Proposed { pool, words: theirs, ids } = proposed;
            if theirs.canonical_bytes() == words.canonical.canonical_bytes() {
                let (tier, differences) = (Tier::Canonical, Vec::new());
                let neighbour = Neighbour { key, pool, tier, differences, similarity: None };
                if add(neighbour, ids) {
                    return found;
                }
            }
        }
        let none = LearnedPairs::default();
        for (key, sketch) in self.near.index.nearest(words.shard, &words.sketch, CANDIDATES) {
            let Some(proposed) = self.proposed(key, &sketch, words.shard, asked) else { continue };
            let Proposed { pool, words: theirs, ids } = proposed;
            let learned = asked.learned.unwrap_or(&none);
            let comparison = prompt_match::compare_with(&words.canonical, &theirs, lists, learned);
            if comparison.is_same_picture() {
                let told = comparison.differences.iter();
                let differences = told.map(|difference| format!("{}={}", difference.left, difference.right)).collect();
                if add(Neighbour { key, pool, tier: Tier::Near, differences, similarity: None }, ids) {
                    return found;
                }
            }
        }
        found
    }

    /// What a judge could be asked so that pictures that are there would be right for a request, the nearest first.
    pub(super) fn near_misses(&self, asked: &Asked<'_>, lists: &WordLists) -> Vec<MissedPool> {
        let canonical = asked.canonical;
        let Some(number) = self.near.number(lists) else { return Vec::new() };
        let words = Words::of(canonical.hard_key(), canonical.prompt(), lists, number);
        let none = LearnedPairs::default();
        let nearest = self.near.index.nearest(words.shard, &words.sketch, CANDIDATES).into_iter();
        let missed = nearest.filter_map(|(key, sketch)| {
            let proposed = self.proposed(key, &sketch, words.shard, asked)?;
            let learned = asked.learned.unwrap_or(&none);
            let near_miss = prompt_match::near_miss(&words.canonical, &proposed.words, lists, learned)?;
            Some(MissedPool { near_miss, prompt: proposed.pool.prompt().to_owned() })
        });
        missed.collect()
    }

    /// A pool that the index proposes, if any of its pictures may be served and everything but the words is the same as what is
    /// asked. An entry that leads nowhere is taken out.
    fn proposed(&self, key: u128, sketch: &Sketch, shard: ShardKey, asked: &Asked<'_>) -> Option<Proposed> {
        let Some(pool) = self.pools.get_any(key) else {
            self.near.index.remove(shard, sketch, key);
            return None;
        };
        if pool.hard_key() != asked.canonical.hard_key() || pool.canonical() == asked.canonical.bytes() {
            return None;
        }
        let good = self.good(key, &pool, asked).ok()?;
        let ids = good.into_iter().map(|pooled| pooled.generated.id.clone()).collect();
        let words = prompt_match::canonical(pool.prompt(), asked.near?);
        Some(Proposed { pool, words, ids })
    }
}
