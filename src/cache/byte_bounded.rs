//! A cache that is bounded in bytes: quick_cache (a CLOCK-PRO with the first steps of S3-FIFO), as the tiers here use it.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::{Cache, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

/// Entries that room is made for beforehand.
const ENTRIES: usize = 1024;

/// Of sixteen parts of the memory, those that one entry may take. quick_cache takes nothing in that is larger than what it
/// keeps for popular entries, 97% unless it is told otherwise.
pub(super) const PARTS_FOR_ONE: u64 = 15;

/// What a cache keeps under keys of this kind.
pub(super) trait Weigh<K> {
    /// Bytes that the entry takes, its key and its place in the tables included.
    fn weight(&self, key: &K) -> u64;

    /// Whether it is being put in, and may not be dropped. quick_cache makes room by dropping what was not asked for
    /// lately, and that may be what has just come: where all others are popular, a key that was dropped not long ago joins
    /// these without having been asked for.
    fn is_arriving(&self) -> bool {
        false
    }
}

/// Tells quick_cache what entries weigh.
#[derive(Clone)]
pub(super) struct ByteWeighter;

impl<K, V: Weigh<K>> Weighter<K, V> for ByteWeighter {
    fn weight(&self, key: &K, value: &V) -> u64 {
        value.weight(key)
    }
}

/// Who is told what was dropped for others.
pub(super) type Dropped<K, V> = Arc<dyn Fn(&K, &V) + Send + Sync>;

/// Keeps what arrives, and hands out what is dropped for it, to be told of and freed when nothing is locked any more.
#[derive(Clone)]
pub(super) struct KeepArrivals<K, V> {
    tell: Option<Dropped<K, V>>,
}

/// What one change has dropped.
pub(super) struct DroppedEntries<K, V> {
    tell: Option<Dropped<K, V>>,
    entries: Vec<(K, V)>,
}

impl<K, V> Default for DroppedEntries<K, V> {
    fn default() -> DroppedEntries<K, V> {
        DroppedEntries { tell: None, entries: Vec::new() }
    }
}

/// quick_cache drops it after it has let go of its lock.
impl<K, V> Drop for DroppedEntries<K, V> {
    fn drop(&mut self) {
        let Some(tell) = &self.tell else { return };
        for (key, value) in &self.entries {
            tell(key, value);
        }
    }
}

impl<K, V: Weigh<K>> Lifecycle<K, V> for KeepArrivals<K, V> {
    type RequestState = DroppedEntries<K, V>;

    fn is_pinned(&self, _key: &K, value: &V) -> bool {
        value.is_arriving()
    }

    fn on_evict(&self, dropped: &mut DroppedEntries<K, V>, key: K, value: V) {
        if dropped.tell.is_none() {
            dropped.tell.clone_from(&self.tell);
        }
        dropped.entries.push((key, value));
    }
}

/// The right to fill in a key that others wait for; see `Cache::get_value_or_guard_async`.
pub(super) type FillGuard<'c, K, V> = PlaceholderGuard<'c, K, V, ByteWeighter, DefaultHashBuilder, KeepArrivals<K, V>>;

/// Entries by key, bounded in bytes.
pub(super) struct ByteBounded<K, V: Weigh<K>> {
    /// To look entries up, put them in and take them out.
    pub(super) entries: Cache<K, V, ByteWeighter, DefaultHashBuilder, KeepArrivals<K, V>>,
}

impl<K: Hash + Eq + Clone, V: Weigh<K> + Clone> ByteBounded<K, V> {
    /// An empty cache of at most `memory` bytes.
    pub(super) fn new(memory: u64) -> ByteBounded<K, V> {
        ByteBounded::with(memory, KeepArrivals { tell: None })
    }

    /// The same, that hands to `tell` what is dropped to make room for others.
    pub(super) fn telling(memory: u64, tell: Dropped<K, V>) -> ByteBounded<K, V> {
        ByteBounded::with(memory, KeepArrivals { tell: Some(tell) })
    }

    fn with(memory: u64, lifecycle: KeepArrivals<K, V>) -> ByteBounded<K, V> {
        let hasher = DefaultHashBuilder::default();
        // In one piece: a part of the memory would bound the largest entry, and a look-up takes no time beside an answer.
        let built = OptionsBuilder::new().estimated_items_capacity(ENTRIES).weight_capacity(memory).shards(1).build();
        let entries = match built {
            Ok(options) => Cache::with_options(options, ByteWeighter, hasher, lifecycle),
            // Nothing is missing above. This is the same in several pieces.
            Err(_) => Cache::with(ENTRIES, memory, ByteWeighter, hasher, lifecycle),
        };
        ByteBounded { entries }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Bytes that one entry may take at the most.
    pub(super) fn largest(&self) -> u64 {
        self.entries.shard_capacity() / 16 * PARTS_FOR_ONE
    }

    /// Changes the bound; evicts at once when it shrinks.
    pub(super) fn resize(&self, memory: u64) {
        if self.entries.capacity() != memory {
            self.entries.set_capacity(memory);
        }
    }
}
