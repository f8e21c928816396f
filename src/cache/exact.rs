//! The exact tier: the same canonical request finds the pictures drawn for it.
//!
//! A key keeps a small pool of pictures, so that a batch of which only a part was drawn is not lost: the next request
//! takes what is there and buys the rest. With a seed a picture is served for its own place only; without one the
//! freshest come first. XXH3 only finds the entry; the whole canonical form is compared before a picture leaves. Memory
//! is bounded in bytes by quick_cache (a CLOCK-PRO with the first steps of S3-FIFO); each picture's age, and whether it
//! would still be drawn the same way, are checked on every look.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use crate::cache::{GeneratedPicture, PlacedPicture};
use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;

/// Pictures kept for one canonical request; as many as one request can ask.
const POOL: usize = 10;

/// What an entry weighs besides its pictures: its places in the table and in the order, its own record.
const OVERHEAD: usize = 256;

/// Entries that room is made for beforehand.
const ENTRIES: usize = 1024;

/// Of sixteen parts of the memory, those that one request's pictures may take. quick_cache takes nothing in that is larger
/// than what it keeps for popular entries, 97% unless it is told otherwise.
const PARTS_FOR_ONE: u64 = 15;

/// What a look found.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheLookup {
    /// All pictures wanted, by their places.
    Hit(Vec<PlacedPicture>),
    /// Some of the pictures wanted, by their places.
    Part(Vec<PlacedPicture>),
    /// None.
    Miss(Miss),
}

/// Why nothing was found. The word goes to log and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Miss {
    /// Never seen, or evicted.
    Absent,
    /// Seen, but its time is over.
    Expired,
    /// Seen, but drawn in a way that the config has changed since.
    Stale,
    /// Another request's hash is the same. Served by nobody: the pictures are not for this request.
    Collision,
}

impl Miss {
    /// The word for log and metric.
    pub fn word(self) -> &'static str {
        match self {
            Miss::Absent => "miss",
            Miss::Expired => "expired",
            Miss::Stale => "stale",
            Miss::Collision => "collision",
        }
    }
}

/// What a picture must be to be served.
#[derive(Clone, Copy)]
pub struct Freshness<'a> {
    /// Kept for less than this.
    pub ttl: Duration,
    /// The time.
    pub now: Instant,
    /// How the offer of this name draws now (`canonical::rules::way`). The pictures of an offer that is gone are good.
    pub way: &'a dyn Fn(&str) -> Option<Digest>,
}

struct PoolEntry {
    canonical: Box<[u8]>,
    pictures: Vec<PooledPicture>,
    /// It is being put in. quick_cache makes room by dropping what was not asked for lately, and that may be what has just
    /// come: where all others are popular, a key that was dropped not long ago joins these without having been asked for.
    arriving: AtomicBool,
}

impl PoolEntry {
    fn new(canonical: &[u8], pictures: Vec<PooledPicture>) -> PoolEntry {
        PoolEntry { canonical: canonical.into(), pictures, arriving: AtomicBool::new(false) }
    }

    fn weight(&self) -> u64 {
        weight(&self.canonical, &self.pictures)
    }
}

fn weight(canonical: &[u8], pictures: &[PooledPicture]) -> u64 {
    let pictures: usize = pictures.iter().map(|pooled| pooled.kept.weight() + size_of::<PooledPicture>()).sum();
    (canonical.len() + pictures + OVERHEAD) as u64
}

/// Pictures that are too large to be kept for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bytes} bytes of pictures are more than the {most} that are kept of one request, {PARTS_FOR_ONE}/16 of cache.memory"
)]
pub struct Oversized {
    /// What they weigh.
    pub bytes: u64,
    /// What may be kept.
    pub most: u64,
}

/// A picture in its pool.
#[derive(Clone)]
struct PooledPicture {
    /// Which of the request's pictures it is; means something with a seed only.
    place: u8,
    kept: Arc<GeneratedPicture>,
    /// When it was kept. What joins it later makes it no younger.
    since: Instant,
    /// How it was drawn.
    way: Digest,
}

impl PooledPicture {
    fn is_young(&self, ttl: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < ttl
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u128, Arc<PoolEntry>> for Bytes {
    fn weight(&self, _key: &u128, entry: &Arc<PoolEntry>) -> u64 {
        entry.weight()
    }
}

/// Keeps what arrives, and hands out what is dropped for it, to be freed when nothing is locked any more.
#[derive(Clone)]
struct Arrivals;

impl Lifecycle<u128, Arc<PoolEntry>> for Arrivals {
    type RequestState = Vec<Arc<PoolEntry>>;

    fn is_pinned(&self, _key: &u128, entry: &Arc<PoolEntry>) -> bool {
        entry.arriving.load(Ordering::Relaxed)
    }

    fn on_evict(&self, dropped: &mut Vec<Arc<PoolEntry>>, _key: u128, entry: Arc<PoolEntry>) {
        dropped.push(entry);
    }
}

/// Pictures by canonical request, bounded in bytes.
pub struct ExactCache {
    entries: Cache<u128, Arc<PoolEntry>, Bytes, DefaultHashBuilder, Arrivals>,
    /// Held while a pool is replaced by another made from it.
    changing: Mutex<()>,
}

impl ExactCache {
    /// An empty cache of at most `memory` bytes.
    pub fn new(memory: u64) -> ExactCache {
        let hasher = DefaultHashBuilder::default();
        // In one piece: a part of the memory would bound the largest entry, and a look takes no time beside an answer.
        let built = OptionsBuilder::new().estimated_items_capacity(ENTRIES).weight_capacity(memory).shards(1).build();
        let entries = match built {
            Ok(options) => Cache::with_options(options, Bytes, hasher, Arrivals),
            // Nothing is missing above. This is the same in several pieces.
            Err(_) => Cache::with(ENTRIES, memory, Bytes, hasher, Arrivals),
        };
        ExactCache { entries, changing: Mutex::default() }
    }

    /// Up to `n` pictures for `canonical`.
    pub fn look(&self, canonical: &Canonical, n: u8, terms: &Freshness<'_>) -> CacheLookup {
        let key = canonical.key();
        let Some(entry) = self.entries.get(&key) else { return CacheLookup::Miss(Miss::Absent) };
        if *entry.canonical != *canonical.bytes() {
            return CacheLookup::Miss(Miss::Collision);
        }
        let young = |pooled: &&PooledPicture| pooled.is_young(terms.ttl, terms.now);
        if !entry.pictures.iter().any(|pooled| young(&pooled)) {
            // What another has kept there since is not what was looked at, and stays.
            self.entries.remove_if(&key, |there| Arc::ptr_eq(there, &entry));
            return CacheLookup::Miss(Miss::Expired);
        }
        let same = |pooled: &&PooledPicture| (terms.way)(&pooled.kept.drawn_by).is_none_or(|way| way == pooled.way);
        let good: Vec<&PooledPicture> = entry.pictures.iter().filter(young).filter(same).collect();
        if good.is_empty() {
            return CacheLookup::Miss(Miss::Stale);
        }
        let found = chosen(&good, canonical.seeded(), n);
        match found.len() {
            0 => CacheLookup::Miss(Miss::Absent),
            all if all == usize::from(n) => CacheLookup::Hit(found),
            _ => CacheLookup::Part(found),
        }
    }

    /// Keeps `pictures`, which were drawn in this `way`, for `canonical`, before those already there. With a seed one
    /// takes the place of the one that was there. What is there gives way where it is too much for one request.
    ///
    /// # Errors
    /// When some of `pictures` themselves are too much. The others are kept.
    pub fn keep(
        &self,
        canonical: &Canonical,
        pictures: &[PlacedPicture],
        way: Digest,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), Oversized> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let new = pictures.iter().map(|placed| {
            let PlacedPicture { place, kept } = placed.clone();
            PooledPicture { place, kept, since: now, way }
        });
        let mut pool = Vec::with_capacity(pictures.len());
        let (mut places, mut ids) = (HashSet::new(), HashSet::new());
        let mut join = |pooled: PooledPicture| {
            let is_another = match canonical.seeded() {
                true => places.insert(pooled.place),
                false => ids.insert(pooled.kept.id.clone()),
            };
            if is_another {
                pool.push(pooled);
            }
            pool.len()
        };
        let new = new.map(&mut join).last().unwrap_or_default();
        if let Some(entry) = self.entries.peek(&canonical.key())
            && *entry.canonical == *canonical.bytes()
        {
            let young = entry.pictures.iter().filter(|pooled| pooled.is_young(ttl, now));
            young.cloned().map(join).for_each(drop);
        }
        pool.truncate(POOL);
        let oversized = Oversized { bytes: weight(canonical.bytes(), &pool[..new.min(POOL)]), most: self.most() };
        while weight(canonical.bytes(), &pool) > oversized.most && pool.pop().is_some() {}
        let kept = pool.len();
        if kept > 0 {
            self.put(canonical.key(), PoolEntry::new(canonical.bytes(), pool));
        }
        if kept < new.min(POOL) { Err(oversized) } else { Ok(()) }
    }

    /// Puts in what is not too large, for which others give way.
    fn put(&self, key: u128, entry: PoolEntry) {
        let entry = Arc::new(PoolEntry { arriving: AtomicBool::new(true), ..entry });
        self.entries.insert(key, entry.clone());
        entry.arriving.store(false, Ordering::Relaxed);
    }

    /// Bytes that are kept of one request at the most.
    fn most(&self) -> u64 {
        self.entries.shard_capacity() / 16 * PARTS_FOR_ONE
    }

    /// Serves a picture to a tenant no more, whatever it was drawn for. Looks at all that is kept.
    pub fn forget(&self, tenant: &str, id: &str) {
        let has = |entry: &PoolEntry| entry.pictures.iter().any(|pooled| *pooled.kept.id == *id);
        let own = |entry: &PoolEntry| Canonical::is_of(&entry.canonical, tenant);
        let found: Vec<u128> =
            self.entries.iter().filter(|(_, entry)| has(entry) && own(entry)).map(|(key, _)| key).collect();
        for key in found {
            // Pools are replaced under this lock alone, so what is put back is what was looked at, less one picture.
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(entry) = self.entries.peek(&key).filter(|entry| own(entry)) else { continue };
            let mut pictures = entry.pictures.clone();
            pictures.retain(|pooled| *pooled.kept.id != *id);
            if pictures.is_empty() {
                self.entries.remove(&key);
            } else {
                self.put(key, PoolEntry::new(&entry.canonical, pictures));
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Changes the bound; evicts at once when it shrinks.
    pub fn resize(&self, memory: u64) {
        if self.entries.capacity() != memory {
            self.entries.set_capacity(memory);
        }
    }
}

/// The pictures of a pool for a request for `n`, by their places: with a seed those that are its own, else as many as are
/// wanted, the freshest first.
fn chosen(good: &[&PooledPicture], seeded: bool, n: u8) -> Vec<PlacedPicture> {
    let placed = |place: u8, pooled: &PooledPicture| PlacedPicture { place, kept: pooled.kept.clone() };
    if !seeded {
        return (0..n).zip(good).map(|(place, pooled)| placed(place, pooled)).collect();
    }
    let own = good.iter().filter(|pooled| pooled.place < n);
    let mut own: Vec<PlacedPicture> = own.map(|pooled| placed(pooled.place, pooled)).collect();
    own.sort_by_key(|placed| placed.place);
    own
}

#[cfg(test)]
mod tests;
