//! Pools whose pictures were drawn for words that are alike to a model of embeddings.
//!
//! Likeness alone is never enough: guards that no likeness outweighs are held against the words themselves, and the threshold is one
//! that was certified behind these guards.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cache::embedding_index::EmbeddingShard;
use crate::cache::lookup::{Asked, AskedEmbedding, Tier};
use crate::cache::neighbours::{Finder, Neighbour};
use crate::prompt_match::{self, WordLists};

/// Pools whose words are held against a request's: the most alike. There are seldom more wordings of one picture, and a guard costs
/// some microseconds.
const CANDIDATES: usize = 16;

impl Finder<'_> {
    /// Pools whose words are alike and that no guard stops, until there are as many different pictures as are wanted. `there` are
    /// the ids of those that are there already.
    pub(super) fn by_embedding(
        &self,
        asked: &Asked<'_>,
        lists: &WordLists,
        by: &AskedEmbedding<'_>,
        mut there: HashSet<Arc<str>>,
        wanted: usize,
    ) -> Vec<Neighbour> {
        let canonical = asked.canonical;
        if there.len() >= wanted {
            return Vec::new();
        }
        let words = prompt_match::canonical(canonical.prompt(), lists);
        let shard = EmbeddingShard::of(canonical.hard_key(), by.embedder, by.embedding);
        let mut found = Vec::new();
        for (key, similarity) in self.near.embeddings.nearest(shard, by.embedding, by.threshold, CANDIDATES) {
            let Some(pool) = self.pools.get_any(key) else {
                self.near.embeddings.remove(key);
                continue;
            };
            let is_right = pool.hard_key() == canonical.hard_key() && pool.canonical() != canonical.bytes();
            if !is_right || self.good(key, &pool, asked).is_err() {
                continue;
            }
            let theirs = prompt_match::canonical(pool.prompt(), lists);
            if prompt_match::guards(&words, &theirs, lists).is_some() {
                continue;
            }
            let told = prompt_match::compare(&words, &theirs, lists).differences;
            let differences =
                told.iter().map(|difference| format!("{}={}", difference.left, difference.right)).collect();
            let (tier, similarity) = (Tier::Embedding, Some(similarity));
            let neighbour = Neighbour { key, pool, tier, differences, similarity };
            there.extend(neighbour.ids(asked));
            found.push(neighbour);
            if there.len() >= wanted {
                break;
            }
        }
        found
    }
}
