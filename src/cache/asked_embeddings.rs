//! Embeddings of what was asked lately, so that the same words are embedded and paid once.
//!
//! As with rewritten prompts the whole key is compared, and of several requests that want the same embedding at once one has the
//! turn to get it.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::cache::byte_bounded::{ByteBounded, FillGuard, Weigh};
use crate::cache::parts_key::PartsKey;
use crate::similarity::Embedding;

/// What an entry weighs besides its key and its embedding: the table slot, the boxes, and what an allocator adds.
const OVERHEAD: usize = 192;

/// The most bytes of embeddings, however many pictures there may be: those that one look goes through are then 48 MiB, some 190,000
/// of 256 numbers, which takes no longer than the look for words that differ among a million requests.
const MOST_EMBEDDINGS: u64 = 64 << 20;

/// Bytes that all embeddings may take where pictures may take `memory`: an eighth of that, as an embedding takes a thousandth of what
/// a picture does. Three quarters are for those of kept requests, a quarter for those of what was asked lately.
fn embedding_memory(memory: u64) -> u64 {
    (memory / 8).min(MOST_EMBEDDINGS)
}

/// Those of them for kept requests.
pub(super) fn index_memory(memory: u64) -> u64 {
    embedding_memory(memory) / 4 * 3
}

#[derive(Clone)]
struct Remembered(Arc<Embedding>);

impl Weigh<PartsKey> for Remembered {
    fn weight(&self, key: &PartsKey) -> u64 {
        (key.len() + self.0.dimensions() + OVERHEAD) as u64
    }
}

/// The turn to get an embedding that several may want. Dropped without one, it passes to the next who waits.
pub struct EmbeddingTurn<'e>(FillGuard<'e, PartsKey, Remembered>);

impl EmbeddingTurn<'_> {
    /// Keeps an embedding, for those who wait as well.
    pub fn fill(self, embedding: Arc<Embedding>) {
        // Refused only when the entry was removed meanwhile; then nobody wants it kept.
        drop(self.0.insert(Remembered(embedding)));
    }
}

/// Embeddings of what was asked lately, bounded in bytes.
pub(super) struct AskedEmbeddings(ByteBounded<PartsKey, Remembered>);

impl AskedEmbeddings {
    /// None yet. Pictures may take `memory` bytes.
    pub(super) fn new(memory: u64) -> AskedEmbeddings {
        AskedEmbeddings(ByteBounded::new(embedding_memory(memory) / 4))
    }

    /// The embedding, or the turn to get it. Somebody else's turn is waited for.
    pub(super) fn get_or_turn<'e>(
        &'e self,
        key: &'e PartsKey,
    ) -> impl Future<Output = Result<Arc<Embedding>, EmbeddingTurn<'e>>> + use<'e> {
        let found = self.0.entries.get_value_or_guard_async(key);
        found.map(|found| found.map(|Remembered(embedding)| embedding).map_err(EmbeddingTurn))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Changes the bound; evicts at once when it shrinks.
    pub(super) fn resize(&self, memory: u64) {
        self.0.resize(embedding_memory(memory) / 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(number: f32) -> Arc<Embedding> {
        Arc::new(Embedding::new(&vec![number; 1000]).unwrap())
    }

    #[test]
    fn one_has_the_turn_and_the_others_wait_for_what_it_brings() {
        let embeddings = AskedEmbeddings::new(1 << 25);
        let key = PartsKey::of(["web", "m", "a fox"]);
        let turn = embeddings.get_or_turn(&key).now_or_never().unwrap().err().unwrap();
        let mut waiting = Box::pin(embeddings.get_or_turn(&key));
        assert!(waiting.as_mut().now_or_never().is_none(), "one alone has the turn");
        for other in [["other", "m", "a fox"], ["web", "m", "a wolf"], ["web", "ma", " fox"]] {
            assert!(embeddings.get_or_turn(&PartsKey::of(other)).now_or_never().unwrap().is_err(), "{other:?}");
        }
        turn.fill(embedding(1.0));
        assert_eq!(waiting.now_or_never().unwrap().ok(), Some(embedding(1.0)));
    }

    #[test]
    fn a_turn_that_brought_nothing_passes_on() {
        let embeddings = AskedEmbeddings::new(1 << 25);
        let key = PartsKey::of(["a fox"]);
        let turn = embeddings.get_or_turn(&key).now_or_never().unwrap().err().unwrap();
        let mut waiting = Box::pin(embeddings.get_or_turn(&key));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(waiting.now_or_never().unwrap().is_err(), "the next has the turn");
    }

    #[test]
    fn memory_never_passes_its_bound_and_follows_it_down() {
        let embeddings = AskedEmbeddings::new(32 * 100_000);
        for number in 0..500 {
            let key = PartsKey::of([format!("fox {number}").as_str()]);
            embeddings.get_or_turn(&key).now_or_never().unwrap().err().unwrap().fill(embedding(1.0));
            assert!(embeddings.bytes() <= 100_000);
        }
        assert!(embeddings.bytes() > 50_000, "the space is used: {}", embeddings.bytes());
        embeddings.resize(32 * 10_000);
        assert!(embeddings.bytes() <= 10_000);
    }
}
