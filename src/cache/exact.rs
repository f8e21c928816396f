//! The exact tier: the same canonical request finds the pictures drawn for it.
//!
//! A key keeps a small pool of pictures, so that a batch of which only a part was drawn is not lost: the next request
//! takes what is there and buys the rest. With a seed a picture is served for its own place only; without one the
//! freshest come first. XXH3 only finds the entry; the whole canonical form is compared before a picture leaves. Each
//! picture's age, and whether it would still be drawn the same way, are checked on every look-up.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::byte_bounded::{ByteBounded, PARTS_FOR_ONE, Weigh};
use crate::cache::generated_picture::{GeneratedPicture, PlacedPicture};
use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;

/// Pictures kept for one canonical request; as many as one request can ask.
const POOL: usize = 10;

/// What an entry weighs besides its pictures: its places in the table and in the order, its own record.
const OVERHEAD: usize = 256;

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
    pub fn as_str(self) -> &'static str {
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
    /// How the offer of this name draws now (`canonical::rules::offer_digest`). The pictures of an offer that is gone are good.
    pub offer_digest: &'a dyn Fn(&str) -> Option<Digest>,
}

struct PoolEntry {
    canonical: Box<[u8]>,
    pictures: Vec<PooledPicture>,
    /// It is being put in, and may not be dropped.
    arriving: AtomicBool,
}

impl PoolEntry {
    fn new(canonical: &[u8], pictures: Vec<PooledPicture>) -> PoolEntry {
        PoolEntry { canonical: canonical.into(), pictures, arriving: AtomicBool::new(false) }
    }
}

fn weight(canonical: &[u8], pictures: &[PooledPicture]) -> u64 {
    let pictures: usize = pictures.iter().map(|pooled| pooled.generated.weight() + size_of::<PooledPicture>()).sum();
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
    generated: Arc<GeneratedPicture>,
    /// When it was kept. What joins it later makes it no younger.
    since: Instant,
    /// How it was drawn.
    offer_digest: Digest,
}

impl PooledPicture {
    fn is_young(&self, ttl: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < ttl
    }
}

impl Weigh<u128> for Arc<PoolEntry> {
    fn weight(&self, _key: &u128) -> u64 {
        weight(&self.canonical, &self.pictures)
    }

    fn is_arriving(&self) -> bool {
        self.arriving.load(Ordering::Relaxed)
    }
}

/// Pictures by canonical request, bounded in bytes.
pub struct ExactCache {
    pools: ByteBounded<u128, Arc<PoolEntry>>,
    /// Held while a pool is replaced by another made from it.
    changing: Mutex<()>,
}

impl ExactCache {
    /// An empty cache of at most `memory` bytes.
    pub fn new(memory: u64) -> ExactCache {
        ExactCache { pools: ByteBounded::new(memory), changing: Mutex::default() }
    }

    /// Up to `n` pictures for `canonical`.
    pub fn look_up(&self, canonical: &Canonical, n: u8, freshness: &Freshness<'_>) -> CacheLookup {
        let key = canonical.key();
        let Some(entry) = self.pools.entries.get(&key) else { return CacheLookup::Miss(Miss::Absent) };
        if *entry.canonical != *canonical.bytes() {
            return CacheLookup::Miss(Miss::Collision);
        }
        let young = |pooled: &&PooledPicture| pooled.is_young(freshness.ttl, freshness.now);
        if !entry.pictures.iter().any(|pooled| young(&pooled)) {
            // What another has kept there since is not what was looked at, and stays.
            self.pools.entries.remove_if(&key, |there| Arc::ptr_eq(there, &entry));
            return CacheLookup::Miss(Miss::Expired);
        }
        let same = |pooled: &&PooledPicture| {
            (freshness.offer_digest)(&pooled.generated.drawn_by).is_none_or(|digest| digest == pooled.offer_digest)
        };
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

    /// Keeps `pictures`, which were drawn in this `offer_digest`, for `canonical`, before those already there. With a seed one
    /// takes the place of the one that was there. What is there gives way where it is too much for one request.
    ///
    /// # Errors
    /// When some of `pictures` themselves are too much. The others are kept.
    pub fn insert(
        &self,
        canonical: &Canonical,
        pictures: &[PlacedPicture],
        offer_digest: Digest,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), Oversized> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let new = pictures.iter().map(|placed| {
            let PlacedPicture { place, generated } = placed.clone();
            PooledPicture { place, generated, since: now, offer_digest }
        });
        let mut pool = Vec::with_capacity(pictures.len());
        let (mut places, mut ids) = (HashSet::new(), HashSet::new());
        let mut join = |pooled: PooledPicture| {
            let is_another = match canonical.seeded() {
                true => places.insert(pooled.place),
                false => ids.insert(pooled.generated.id.clone()),
            };
            if is_another {
                pool.push(pooled);
            }
            pool.len()
        };
        let new = new.map(&mut join).last().unwrap_or_default();
        if let Some(entry) = self.pools.entries.peek(&canonical.key())
            && *entry.canonical == *canonical.bytes()
        {
            let young = entry.pictures.iter().filter(|pooled| pooled.is_young(ttl, now));
            young.cloned().map(join).for_each(drop);
        }
        pool.truncate(POOL);
        let oversized =
            Oversized { bytes: weight(canonical.bytes(), &pool[..new.min(POOL)]), most: self.pools.largest() };
        while weight(canonical.bytes(), &pool) > oversized.most && pool.pop().is_some() {}
        let remaining = pool.len();
        if remaining > 0 {
            self.put(canonical.key(), PoolEntry::new(canonical.bytes(), pool));
        }
        if remaining < new.min(POOL) { Err(oversized) } else { Ok(()) }
    }

    /// Puts in what is not too large, for which others give way.
    fn put(&self, key: u128, entry: PoolEntry) {
        let entry = Arc::new(PoolEntry { arriving: AtomicBool::new(true), ..entry });
        self.pools.entries.insert(key, entry.clone());
        entry.arriving.store(false, Ordering::Relaxed);
    }

    /// Serves a picture to a tenant no more, whatever it was drawn for. Looks at all that is kept.
    pub fn forget(&self, tenant: &str, id: &str) {
        let has = |entry: &PoolEntry| entry.pictures.iter().any(|pooled| *pooled.generated.id == *id);
        let own = |entry: &PoolEntry| Canonical::is_of(&entry.canonical, tenant);
        let found: Vec<u128> =
            self.pools.entries.iter().filter(|(_, entry)| has(entry) && own(entry)).map(|(key, _)| key).collect();
        for key in found {
            // Pools are replaced under this lock alone, so what is put back is what was looked at, less one picture.
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(entry) = self.pools.entries.peek(&key).filter(|entry| own(entry)) else { continue };
            let mut pictures = entry.pictures.clone();
            pictures.retain(|pooled| *pooled.generated.id != *id);
            if pictures.is_empty() {
                self.pools.entries.remove(&key);
            } else {
                self.put(key, PoolEntry::new(&entry.canonical, pictures));
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.pools.bytes()
    }

    /// Changes the bound; evicts at once when it shrinks.
    pub fn resize(&self, memory: u64) {
        self.pools.resize(memory);
    }
}

/// The pictures of a pool for a request for `n`, by their places: with a seed those that are its own, else as many as are
/// wanted, the freshest first.
fn chosen(good: &[&PooledPicture], seeded: bool, n: u8) -> Vec<PlacedPicture> {
    let placed = |place: u8, pooled: &PooledPicture| PlacedPicture { place, generated: pooled.generated.clone() };
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
