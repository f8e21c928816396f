//! Which kept requests may mean the same as one in other words: those with the same hard key whose sketch is near.
//!
//! It only proposes. Whether pictures are right is for the comparison of the words themselves, so nothing here has to be
//! exact: two hard keys may share a shard, and an entry may lead to a pool that is gone.
//!
//! Each hard key has a shard, an array that is looked through from end to end: no index for Hamming space is quicker at
//! the distances that matter here (CACHE_QUALITY.md section 3: at 64 of 256 bits every band matches), and an array costs
//! 48 bytes an entry. A table finds equal sketches without that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::prompt_match::{CANDIDATE_DISTANCE, Sketch, distance};

/// Entries of one hard key. To look through a million takes some 6 ms on one core, which is less than a thousandth of what
/// a drawing takes; more would be felt.
const SHARD: usize = 1_000_000;

/// How many entries have room made for them beforehand, as a part of those that are there: copying them costs less than
/// room that is never used.
const SPARE: usize = 16;

/// Entries by their hard keys.
#[derive(Default)]
pub(super) struct NearIndex {
    shards: RwLock<HashMap<ShardKey, Arc<RwLock<Shard>>>>,
    /// Entries that found no room.
    refused: AtomicUsize,
}

/// The entries of one hard key under one set of word lists.
#[derive(Default)]
struct Shard {
    sketches: Vec<Sketch>,
    keys: Vec<u128>,
    /// Where each sketch is, by its hash.
    places: HashTable<u32>,
}

/// Which shard is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShardKey {
    /// The hash of a hard key.
    hard: u64,
    /// The number of word lists.
    lists: u64,
}

impl ShardKey {
    /// The shard of a hard key under word lists of this number.
    pub(super) fn of(hard_key: &[u8], lists: u64) -> ShardKey {
        ShardKey { hard: xxh3_64(hard_key), lists }
    }
}

impl NearIndex {
    /// Adds a pool that is not there. A shard that is full takes no more.
    pub(super) fn add(&self, shard: ShardKey, sketch: &Sketch, key: u128) {
        // Under a lock of the table, or a shard that is just given up as empty could get it.
        let shards = self.read();
        let added = shards.get(&shard).map(|entries| lock(entries).add(sketch, key));
        drop(shards);
        let added = added.unwrap_or_else(|| lock(self.write().entry(shard).or_default()).add(sketch, key));
        if !added {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a pool out.
    pub(super) fn remove(&self, shard: ShardKey, sketch: &Sketch, key: u128) {
        let Some(found) = self.read().get(&shard).cloned() else { return };
        let mut entries = lock(&found);
        entries.remove(sketch, key);
        let empty = entries.keys.is_empty();
        drop(entries);
        if empty {
            let mut shards = self.write();
            if shards.get(&shard).is_some_and(|found| lock(found).keys.is_empty()) {
                shards.remove(&shard);
            }
        }
    }

    /// Pools whose sketch is the same.
    pub(super) fn equal(&self, shard: ShardKey, sketch: &Sketch) -> Vec<u128> {
        let Some(found) = self.read().get(&shard).cloned() else { return Vec::new() };
        let entries = found.read().unwrap_or_else(PoisonError::into_inner);
        entries.equal(sketch)
    }

    /// Up to `most` pools whose sketch is near and not the same, with their sketches, the nearest first.
    pub(super) fn nearest(&self, shard: ShardKey, sketch: &Sketch, most: usize) -> Vec<(u128, Sketch)> {
        let Some(found) = self.read().get(&shard).cloned() else { return Vec::new() };
        let entries = found.read().unwrap_or_else(PoisonError::into_inner);
        entries.nearest(sketch, most)
    }

    /// Gives up every entry that was found by these lists.
    pub(super) fn forget_lists(&self, lists: u64) {
        self.write().retain(|shard, _| shard.lists != lists);
    }

    /// Entries in all shards.
    pub(super) fn len(&self) -> usize {
        self.read().values().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).keys.len()).sum()
    }

    /// Entries that found no room, since the start.
    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Bytes that the shards take.
    pub(super) fn bytes(&self) -> usize {
        self.read().values().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).bytes()).sum()
    }

    // No code panics while it holds a lock but for want of memory, and then the process ends.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<ShardKey, Arc<RwLock<Shard>>>> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ShardKey, Arc<RwLock<Shard>>>> {
        self.shards.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

fn hash(sketch: &Sketch) -> u64 {
    let mut bytes = [0u8; 32];
    for (into, word) in bytes.chunks_exact_mut(8).zip(sketch) {
        into.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes)
}

impl Shard {
    fn add(&mut self, sketch: &Sketch, key: u128) -> bool {
        let Some(place) = u32::try_from(self.keys.len()).ok().filter(|place| (*place as usize) < SHARD) else {
            return false;
        };
        if self.equal(sketch).contains(&key) {
            return true;
        }
        if self.keys.len() == self.keys.capacity() {
            let spare = (self.keys.len() / SPARE).max(4);
            self.keys.reserve_exact(spare);
            self.sketches.reserve_exact(spare);
        }
        self.keys.push(key);
        self.sketches.push(*sketch);
        let sketches = &self.sketches;
        self.places.insert_unique(hash(sketch), place, |place| hash(&sketches[*place as usize]));
        true
    }

    fn remove(&mut self, sketch: &Sketch, key: u128) {
        let (keys, sketches) = (&self.keys, &self.sketches);
        let is_it = |place: &u32| keys[*place as usize] == key && sketches[*place as usize] == *sketch;
        let Ok(found) = self.places.find_entry(hash(sketch), is_it) else { return };
        let (place, _) = found.remove();
        let last = self.keys.len() - 1;
        self.keys.swap_remove(place as usize);
        self.sketches.swap_remove(place as usize);
        if place as usize == last {
            return;
        }
        // The last one stands in its place now.
        let moved = hash(&self.sketches[place as usize]);
        if let Some(at) = self.places.find_mut(moved, |at| *at as usize == last) {
            *at = place;
        }
    }

    fn equal(&self, sketch: &Sketch) -> Vec<u128> {
        let same = |place: &&u32| self.sketches[**place as usize] == *sketch;
        self.places.iter_hash(hash(sketch)).filter(same).map(|place| self.keys[*place as usize]).collect()
    }

    fn nearest(&self, sketch: &Sketch, most: usize) -> Vec<(u128, Sketch)> {
        let mut best: Vec<(u32, usize)> = Vec::with_capacity(most + 1);
        let mut within = CANDIDATE_DISTANCE;
        for (place, other) in self.sketches.iter().enumerate() {
            let away = distance(sketch, other);
            if away > within || away == 0 {
                continue;
            }
            let at = best.partition_point(|(known, _)| *known <= away);
            best.insert(at, (away, place));
            best.truncate(most);
            if best.len() == most {
                // From here on only what is nearer than the last of these counts.
                within = best.last().map_or(within, |(away, _)| away.saturating_sub(1));
            }
        }
        best.into_iter().map(|(_, place)| (self.keys[place], self.sketches[place])).collect()
    }

    fn bytes(&self) -> usize {
        self.sketches.capacity() * size_of::<Sketch>()
            + self.keys.capacity() * size_of::<u128>()
            + self.places.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shard(number: u64) -> ShardKey {
        ShardKey::of(&number.to_le_bytes(), 1)
    }

    fn sketch(random: &mut fastrand::Rng) -> Sketch {
        std::array::from_fn(|_| random.u64(..))
    }

    /// The same with `bits` of it turned.
    fn turned(sketch: &Sketch, bits: u32) -> Sketch {
        let mut turned = *sketch;
        (0..bits).for_each(|bit| turned[(bit / 64) as usize] ^= 1 << (bit % 64));
        turned
    }

    #[test]
    fn the_nearest_come_first_and_what_is_too_far_or_of_another_hard_key_does_not() {
        let (index, mut random) = (NearIndex::default(), fastrand::Rng::with_seed(3));
        let asked = sketch(&mut random);
        for (key, bits) in [(1, 40), (2, 3), (3, CANDIDATE_DISTANCE), (4, CANDIDATE_DISTANCE + 1), (5, 0), (6, 12)] {
            index.add(shard(7), &turned(&asked, bits), key);
        }
        index.add(shard(8), &turned(&asked, 1), 99);
        let nearest = |most| index.nearest(shard(7), &asked, most).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!((nearest(3), nearest(10)), (vec![2, 6, 1], vec![2, 6, 1, 3]));
        assert_eq!(index.equal(shard(7), &asked), [5]);
        assert!(index.nearest(shard(9), &asked, 3).is_empty() && index.equal(shard(9), &asked).is_empty());
    }

    #[test]
    fn after_any_additions_and_removals_each_entry_is_found_and_no_other() {
        let (index, mut random) = (NearIndex::default(), fastrand::Rng::with_seed(5));
        let sketches: Vec<Sketch> = (0..50).map(|_| sketch(&mut random)).collect();
        let mut there: BTreeSet<(u64, usize, u128)> = BTreeSet::new();
        for _ in 0..20_000 {
            let entry = (random.u64(..3), random.usize(..sketches.len()), u128::from(random.u8(..4)));
            let (number, place, key) = entry;
            if random.bool() {
                index.add(shard(number), &sketches[place], key);
                there.insert(entry);
            } else {
                index.remove(shard(number), &sketches[place], key);
                there.remove(&entry);
            }
            let found: BTreeSet<u128> = index.equal(shard(number), &sketches[place]).into_iter().collect();
            let expected: BTreeSet<u128> =
                there.iter().filter(|entry| (entry.0, entry.1) == (number, place)).map(|entry| entry.2).collect();
            assert_eq!(found, expected);
            assert_eq!(index.len(), there.len());
        }
        for (number, place, key) in there {
            index.remove(shard(number), &sketches[place], key);
        }
        assert!(index.len() == 0 && index.read().is_empty(), "a shard that is empty is given up");
    }

    #[test]
    fn an_entry_takes_at_most_64_bytes() {
        let (index, mut random) = (NearIndex::default(), fastrand::Rng::with_seed(9));
        for key in 0..60_000 {
            index.add(shard(1), &sketch(&mut random), key);
            let entries = index.len();
            if entries >= 1_000 && entries % 97 == 0 {
                assert!(index.bytes() <= 64 * entries, "{} of {entries}", index.bytes());
            }
        }
    }
}
