//! Which kept requests may mean the same as one whose embedding is near.
//!
//! As with sketches it only proposes, and each hard key has a shard of its own that is looked through from end to end: embeddings
//! by the byte, one after the other. To look through the 48 MiB that there may be at the most takes some 15 ms on one core, where the
//! vendor's answer has taken longer and a drawing takes seconds.
//!
//! A pool has one embedding at the most. When all take more than they may, those that were added first give way.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use xxhash_rust::xxh3::xxh3_64;

use crate::similarity::{Embedding, Similarity};

/// What an entry takes at the most besides its embedding: its key and its scale in the shard (26 bytes with the spare room), where it
/// is in a table that has just grown (130, and twice that where it grew for places that were given up), and its place in an order
/// that has grown (80).
const OVERHEAD: usize = 370;

/// How many entries have room made for them beforehand, as a part of those that are there.
const SPARE: usize = 16;

/// So many entries are looked through before others may change them: a millisecond's work or two.
const AT_ONCE: usize = 16_384;

/// The order may have so many places that lead nowhere, and a fourth of those that do not, before it is read through.
const STALE: usize = 64;

/// Whose embeddings can be compared: of one hard key, one model and one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EmbeddingShard {
    /// The hash of a hard key.
    hard: u64,
    /// The hash of what decides which embedding a text has.
    embedder: u64,
    dimensions: usize,
}

impl EmbeddingShard {
    pub(super) fn of(hard_key: &[u8], embedder: u64, embedding: &Embedding) -> EmbeddingShard {
        EmbeddingShard { hard: xxh3_64(hard_key), embedder, dimensions: embedding.dimensions() }
    }
}

/// The embeddings of one shard, one after the other.
#[derive(Default)]
struct Shard {
    bytes: Vec<i8>,
    scales: Vec<f64>,
    keys: Vec<u128>,
}

/// Where the embedding of a pool is.
#[derive(Clone, Copy)]
struct Home {
    shard: EmbeddingShard,
    place: usize,
    /// Under which it is in the order.
    number: u64,
}

/// Where everything is.
#[derive(Default)]
struct Book {
    limit: u64,
    bytes: u64,
    shards: HashMap<EmbeddingShard, Arc<RwLock<Shard>>>,
    homes: HashMap<u128, Home>,
    /// Pools by when they were added. Some are there no more.
    order: VecDeque<(u128, u64)>,
    added: u64,
    given_up: u64,
}

/// Embeddings of kept requests, bounded in bytes.
pub(super) struct EmbeddingIndex(Mutex<Book>);

impl EmbeddingIndex {
    /// None yet, and at most `limit` bytes.
    pub(super) fn new(limit: u64) -> EmbeddingIndex {
        EmbeddingIndex(Mutex::new(Book { limit, ..Book::default() }))
    }

    /// Adds a pool, or gives it another embedding.
    pub(super) fn add(&self, shard: EmbeddingShard, embedding: &Embedding, key: u128) {
        let mut book = self.lock();
        book.remove(key);
        let entries = book.shards.entry(shard).or_default().clone();
        let place = lock(&entries).add(embedding, key);
        book.added += 1;
        let number = book.added;
        book.homes.insert(key, Home { shard, place, number });
        book.order.push_back((key, number));
        book.bytes += weight(shard);
        book.shrink();
    }

    /// Takes a pool out, if it is there.
    pub(super) fn remove(&self, key: u128) {
        self.lock().remove(key);
    }

    /// Up to `most` pools of a shard that are at least so alike, the most alike first.
    pub(super) fn nearest(
        &self,
        shard: EmbeddingShard,
        embedding: &Embedding,
        threshold: Similarity,
        most: usize,
    ) -> Vec<(u128, Similarity)> {
        let Some(entries) = self.lock().shards.get(&shard).cloned() else { return Vec::new() };
        let mut nearest = Nearest { best: Vec::with_capacity(most + 1), threshold, most };
        for from in (0..).step_by(AT_ONCE) {
            // Let go of in between, so that nobody waits for long. What is moved meanwhile may be missed.
            let entries = entries.read().unwrap_or_else(PoisonError::into_inner);
            if from >= entries.keys.len() {
                break;
            }
            entries.look_through(from..from + AT_ONCE, embedding, &mut nearest);
        }
        nearest.best.into_iter().map(|(similarity, key)| (key, similarity)).collect()
    }

    /// Pools that have an embedding.
    pub(super) fn len(&self) -> usize {
        self.lock().homes.len()
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Pools that gave way to others, since the start.
    pub(super) fn given_up(&self) -> u64 {
        self.lock().given_up
    }

    /// Changes the bound.
    pub(super) fn resize(&self, limit: u64) {
        let mut book = self.lock();
        book.limit = limit;
        book.shrink();
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // No code panics while it holds the lock but for want of memory, and then the process ends.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(shard: &RwLock<Shard>) -> std::sync::RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

fn weight(shard: EmbeddingShard) -> u64 {
    (shard.dimensions + shard.dimensions / SPARE + OVERHEAD) as u64
}

impl Book {
    fn remove(&mut self, key: u128) {
        let Some(Home { shard, place, .. }) = self.homes.remove(&key) else { return };
        self.bytes -= weight(shard);
        let Some(entries) = self.shards.get(&shard) else { return };
        let mut entries = lock(entries);
        let moved = entries.remove(place, shard.dimensions);
        let empty = entries.keys.is_empty();
        drop(entries);
        if let Some(home) = moved.and_then(|moved| self.homes.get_mut(&moved)) {
            home.place = place;
        }
        if empty {
            self.shards.remove(&shard);
        }
    }

    /// Gives up those that were added first until the bound holds.
    fn shrink(&mut self) {
        while self.bytes > self.limit {
            let Some((key, number)) = self.order.pop_front() else { break };
            if self.homes.get(&key).is_some_and(|home| home.number == number) {
                self.remove(key);
                self.given_up += 1;
            }
        }
        if self.order.len() > self.homes.len() / 4 * 5 + STALE {
            let homes = &self.homes;
            self.order.retain(|(key, number)| homes.get(key).is_some_and(|home| home.number == *number));
            self.order.shrink_to(self.order.len() / 4 * 5);
        }
    }
}

impl Shard {
    /// Where it is then.
    fn add(&mut self, embedding: &Embedding, key: u128) -> usize {
        if self.keys.len() == self.keys.capacity() {
            let spare = self.keys.len() / SPARE + 1;
            self.keys.reserve_exact(spare);
            self.scales.reserve_exact(spare);
            self.bytes.reserve_exact(spare * embedding.dimensions());
        }
        self.keys.push(key);
        self.scales.push(embedding.scale());
        self.bytes.extend_from_slice(embedding.bytes());
        self.keys.len() - 1
    }

    /// Which one stands in its place then, if another does.
    fn remove(&mut self, place: usize, dimensions: usize) -> Option<u128> {
        self.keys.swap_remove(place);
        self.scales.swap_remove(place);
        let last = self.keys.len() * dimensions;
        self.bytes.copy_within(last.., place * dimensions);
        self.bytes.truncate(last);
        self.keys.get(place).copied()
    }

    fn look_through(&self, places: Range<usize>, embedding: &Embedding, nearest: &mut Nearest) {
        let end = places.end.min(self.keys.len());
        let (keys, scales) = (&self.keys[places.start..end], &self.scales[places.start..end]);
        let bytes = self.bytes.chunks_exact(embedding.dimensions()).skip(places.start);
        for ((key, scale), bytes) in keys.iter().zip(scales).zip(bytes) {
            nearest.add(*key, Similarity::of_bytes(bytes, *scale, embedding.bytes(), embedding.scale()));
        }
    }
}

/// The most alike so far.
struct Nearest {
    best: Vec<(Similarity, u128)>,
    threshold: Similarity,
    most: usize,
}

impl Nearest {
    fn add(&mut self, key: u128, similarity: Similarity) {
        let is_better = self.best.len() < self.most || self.best.last().is_some_and(|(worst, _)| similarity > *worst);
        // One that was moved may come twice.
        if similarity < self.threshold || !is_better || self.best.iter().any(|(_, known)| *known == key) {
            return;
        }
        let at = self.best.partition_point(|(known, _)| *known >= similarity);
        self.best.insert(at, (similarity, key));
        self.best.truncate(self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn random(random: &mut fastrand::Rng, dimensions: usize) -> Embedding {
        let vector: Vec<f32> = (0..dimensions).map(|_| random.f32() - 0.5).collect();
        Embedding::new(&vector).unwrap()
    }

    fn shard(number: u64, embedding: &Embedding) -> EmbeddingShard {
        EmbeddingShard::of(&number.to_le_bytes(), 1, embedding)
    }

    #[test]
    fn the_most_alike_come_first_and_none_below_the_threshold_or_of_another_key_or_model() {
        let index = EmbeddingIndex::new(1 << 20);
        let of = |angle: f32| Embedding::new(&[angle.cos(), angle.sin()]).unwrap();
        let asked = of(0.0);
        for (key, angle) in [(1, 0.3), (2, 0.1), (3, 0.8), (4, 0.2), (5, 0.0)] {
            index.add(shard(7, &asked), &of(angle), key);
        }
        index.add(shard(8, &asked), &asked, 98);
        index.add(EmbeddingShard::of(&7u64.to_le_bytes(), 2, &asked), &asked, 99);
        let nearest = |threshold, most| {
            let found = index.nearest(shard(7, &asked), &asked, Similarity::thousandths(threshold), most);
            found.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(nearest(900, 10), [5, 2, 4, 1]);
        assert_eq!((nearest(900, 2), nearest(-1000, 10)), (vec![5, 2], vec![5, 2, 4, 1, 3]));
        let longer = Embedding::new(&[1.0, 0.0, 0.0]).unwrap();
        assert!(index.nearest(shard(7, &longer), &longer, Similarity::thousandths(-1000), 9).is_empty());
    }

    #[test]
    fn after_any_additions_and_removals_each_pool_is_found_by_its_own_embedding_and_no_other() {
        let (index, mut rng) = (EmbeddingIndex::new(1 << 30), fastrand::Rng::with_seed(5));
        let mut there: BTreeMap<u128, (u64, Embedding)> = BTreeMap::new();
        for _ in 0..5_000 {
            let key = u128::from(rng.u8(..40));
            if rng.u8(..3) > 0 {
                let (number, embedding) = (rng.u64(..3), random(&mut rng, 8));
                index.add(shard(number, &embedding), &embedding, key);
                there.insert(key, (number, embedding));
            } else {
                index.remove(key);
                there.remove(&key);
            }
            assert_eq!(index.len(), there.len());
            for number in 0..3 {
                let Some((_, asked)) = there.values().find(|(of, _)| *of == number) else { continue };
                let found = index.nearest(shard(number, asked), asked, Similarity::thousandths(-1000), 99);
                let found: BTreeMap<u128, Similarity> = found.into_iter().collect();
                let same = there.iter().filter(|(_, (of, _))| *of == number);
                let expected: BTreeMap<u128, Similarity> =
                    same.map(|(key, (_, embedding))| (*key, embedding.similarity(asked).unwrap())).collect();
                assert_eq!(found, expected);
            }
        }
        for key in there.keys() {
            index.remove(*key);
        }
        let book = index.lock();
        assert!(book.bytes == 0 && book.shards.is_empty(), "nothing is left behind");
    }

    #[test]
    fn what_was_added_first_gives_way_and_the_bytes_that_are_told_are_taken() {
        let mut rng = fastrand::Rng::with_seed(9);
        let index = EmbeddingIndex::new(1 << 20);
        for key in 0..20_000 {
            let embedding = random(&mut rng, 256);
            index.add(shard(1, &embedding), &embedding, key);
            assert!(index.bytes() <= 1 << 20);
        }
        let kept = index.len() as u64;
        assert!(kept > 1_600 && index.given_up() == 20_000 - kept, "{kept}");
        let book = index.lock();
        assert!((20_000 - u128::from(kept)..20_000).all(|key| book.homes.contains_key(&key)), "the last stay");
        let shards: usize = book.shards.values().map(|shard| taken(&lock(shard))).sum();
        let homes = book.homes.capacity() * 8 / 7 * (size_of::<(u128, Home)>() + 1);
        let order = book.order.capacity() * size_of::<(u128, u64)>();
        let taken = (shards + homes + order) as u64;
        assert!(taken <= book.bytes, "{taken} of {}", book.bytes);
        drop(book);
        index.resize(0);
        assert_eq!((index.len(), index.bytes()), (0, 0));
    }

    fn taken(shard: &Shard) -> usize {
        let Shard { bytes, scales, keys } = shard;
        bytes.capacity() + scales.capacity() * size_of::<f64>() + keys.capacity() * size_of::<u128>()
    }

    #[test]
    fn a_pool_that_was_added_again_is_as_young_as_its_last_embedding() {
        let mut rng = fastrand::Rng::with_seed(4);
        let one = random(&mut rng, 64);
        let most = weight(shard(1, &one)) * 3;
        let index = EmbeddingIndex::new(most);
        for key in [1, 2, 3, 1, 4] {
            let embedding = random(&mut rng, 64);
            index.add(shard(1, &embedding), &embedding, key);
        }
        let mut there: Vec<u128> = index.lock().homes.keys().copied().collect();
        there.sort_unstable();
        assert_eq!(there, [1, 3, 4]);
        for key in 5..2_000 {
            index.add(shard(1, &one), &one, key);
            index.remove(key);
        }
        assert!(index.lock().order.len() < 200, "places that lead nowhere are given up");
    }
}
