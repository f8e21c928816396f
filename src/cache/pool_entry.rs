//! The pictures of one canonical request, and what is known of each besides the picture.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ::bytes::Bytes;

use crate::cache::byte_bounded::Weigh;
use crate::cache::cold_pools::ColdPool;
use crate::cache::disk_tier::{ContentHash, NOT_WANTED};
use crate::cache::generated_picture::GeneratedPicture;
use crate::cache::lookup::{Freshness, Miss};
use crate::cache::shares::Held;
use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;

/// What an entry weighs besides its pictures: its places in the table and in the order, its own record, its place among
/// those that a request in other words is compared with, and its places in the orders of its tenant and its route.
const OVERHEAD: usize = 384;

/// The pictures of one canonical request.
pub(super) struct PoolEntry {
    pub(super) canonical: Box<[u8]>,
    /// Where the prompt begins in the form.
    pub(super) hard: u32,
    /// It is being put in, and may not be dropped.
    pub(super) arriving: AtomicBool,
    pub(super) pictures: Vec<PooledPicture>,
    /// The word lists under which it can be found in other words, by their number; 0 for none.
    pub(super) indexed_under: AtomicU64,
    /// When it was asked for last, or kept, in pools that were put in until then.
    pub(super) asked: AtomicU64,
    /// Its bytes, as its tenant's and its route's.
    pub(super) _held: Vec<Held>,
    /// Another with the same request took its place.
    pub(super) replaced: AtomicBool,
}

impl PoolEntry {
    /// A pool that an earlier process has left on disk. `hard` is where the prompt begins in the form.
    pub(super) fn restored(canonical: &[u8], hard: u32, pictures: Vec<PooledPicture>) -> Option<PoolEntry> {
        let is_text = canonical.get(hard as usize..).is_some_and(|prompt| std::str::from_utf8(prompt).is_ok());
        is_text.then(|| PoolEntry {
            canonical: canonical.into(),
            hard,
            arriving: AtomicBool::new(false),
            pictures,
            indexed_under: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            _held: Vec::new(),
            replaced: AtomicBool::new(false),
        })
    }

    pub(super) fn new(canonical: &Canonical, pictures: Vec<PooledPicture>) -> PoolEntry {
        PoolEntry {
            canonical: canonical.bytes().into(),
            hard: u32::try_from(canonical.hard_key().len()).unwrap_or(u32::MAX),
            arriving: AtomicBool::new(false),
            pictures,
            indexed_under: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            _held: Vec::new(),
            replaced: AtomicBool::new(false),
        }
    }

    /// The same request with other pictures.
    pub(super) fn with(&self, pictures: Vec<PooledPicture>) -> PoolEntry {
        PoolEntry {
            canonical: self.canonical.clone(),
            hard: self.hard,
            arriving: AtomicBool::new(false),
            pictures,
            indexed_under: AtomicU64::new(self.indexed_under.load(Ordering::Relaxed)),
            asked: AtomicU64::new(0),
            _held: Vec::new(),
            replaced: AtomicBool::new(false),
        }
    }

    /// The canonical form.
    pub(super) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// What must be the same of a request that these pictures are right for.
    pub(super) fn hard_key(&self) -> &[u8] {
        // It was so many bytes long when it was made.
        &self.canonical[..self.hard as usize]
    }

    /// The words that the pictures were drawn for.
    pub(super) fn prompt(&self) -> &str {
        // It is what `Canonical` wrote there, and that was text.
        std::str::from_utf8(&self.canonical[self.hard as usize..]).unwrap_or_default()
    }

    /// The word lists under which it can be found in other words; 0 for none.
    pub(super) fn indexed_under(&self) -> u64 {
        self.indexed_under.load(Ordering::Relaxed)
    }

    /// Notes under which lists it can be found, and tells under which it could be before.
    pub(super) fn index_under(&self, lists: u64) -> u64 {
        self.indexed_under.swap(lists, Ordering::Relaxed)
    }

    /// The same of which every picture is on disk alone, as far as it is there.
    pub(super) fn cooled(&self) -> Option<PoolEntry> {
        let pictures: Vec<PooledPicture> = self.pictures.iter().filter_map(PooledPicture::cooled).collect();
        (!pictures.is_empty()).then(|| self.with(pictures))
    }

    /// All its pictures, good or not.
    pub(super) fn pictures(&self) -> &[PooledPicture] {
        &self.pictures
    }

    /// The pictures that may be served.
    ///
    /// # Errors
    /// Why none may.
    pub(super) fn good(&self, freshness: &Freshness<'_>) -> Result<Vec<&PooledPicture>, Miss> {
        let young = |pooled: &&PooledPicture| pooled.is_young(freshness.ttl, freshness.now);
        if !self.pictures.iter().any(|pooled| young(&pooled)) {
            return Err(Miss::Expired);
        }
        let same = |pooled: &&PooledPicture| {
            (freshness.offer_digest)(&pooled.generated.drawn_by).is_none_or(|digest| digest == pooled.offer_digest)
        };
        let good: Vec<&PooledPicture> = self.pictures.iter().filter(young).filter(same).collect();
        if good.is_empty() { Err(Miss::Stale) } else { Ok(good) }
    }
}

impl ColdPool for PoolEntry {
    fn weight(&self) -> u64 {
        weight(&self.canonical, &self.pictures)
    }

    fn names(&self) -> Vec<ContentHash> {
        self.pictures.iter().filter_map(|pooled| pooled.on_disk.get().copied()).collect()
    }

    fn without(&self, name: &ContentHash) -> Option<PoolEntry> {
        let others = self.pictures.iter().filter(|pooled| pooled.on_disk.get() != Some(name));
        let pictures: Vec<PooledPicture> = others.cloned().collect();
        (!pictures.is_empty()).then(|| self.with(pictures))
    }
}

/// What a pool of these pictures weighs.
pub(super) fn weight(canonical: &[u8], pictures: &[PooledPicture]) -> u64 {
    let pictures: usize = pictures.iter().map(|pooled| pooled.generated.weight() + size_of::<PooledPicture>()).sum();
    (canonical.len() + pictures + OVERHEAD) as u64
}

/// A picture in its pool.
#[derive(Clone)]
pub(super) struct PooledPicture {
    /// Which of the request's pictures it is; means something with a seed only.
    pub(super) place: u8,
    pub(super) generated: Arc<GeneratedPicture>,
    /// When it was kept. What joins it later makes it no younger.
    pub(super) since: Instant,
    /// How it was drawn.
    pub(super) offer_digest: Digest,
    /// When it was served last, in turns of the cache's count.
    pub(super) turn: Arc<AtomicU64>,
    /// Its name on disk, once it was handed over to be written there.
    pub(super) on_disk: Arc<OnceLock<ContentHash>>,
    /// Its bytes are on disk alone; `generated` has none.
    pub(super) cold: bool,
}

impl PooledPicture {
    /// The same without its bytes, if they are on disk.
    pub(super) fn cooled(&self) -> Option<PooledPicture> {
        self.on_disk.get().filter(|name| **name != NOT_WANTED)?;
        let generated = if self.cold { self.generated.clone() } else { Arc::new(self.generated.without_bytes()) };
        Some(PooledPicture { generated, cold: true, ..self.clone() })
    }

    /// The same with its bytes.
    pub(super) fn warmed(&self, bytes: Bytes) -> PooledPicture {
        let generated = Arc::new(self.generated.with_bytes(bytes));
        PooledPicture { generated, cold: false, ..self.clone() }
    }

    pub(super) fn is_young(&self, ttl: Duration, now: Instant) -> bool {
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
