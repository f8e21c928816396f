//! The exact tier: the same canonical request finds the pictures drawn for it.
//!
//! A key keeps a small pool of pictures, so that a batch of which only a part was drawn is not lost: the next request
//! takes what is there and buys the rest. XXH3 only finds the entry; the whole canonical form is compared before a
//! picture leaves. Memory is bounded in bytes by quick_cache (S3-FIFO); time-to-live is checked on every look.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

use crate::cache::Kept;
use crate::canonical::Canonical;

/// Pictures kept for one canonical request; as many as one request can ask.
const POOL: usize = 10;

/// What an entry weighs besides its pictures: the table slot, the `Arc`s, the ids.
const OVERHEAD: usize = 256;

/// One shard's least share of the memory. A shard bounds the largest entry, and ten 4K pictures must fit.
const SHARD_BYTES: u64 = 64 * 1024 * 1024;

/// What a look found.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// All pictures wanted.
    Hit(Vec<Arc<Kept>>),
    /// Some of the pictures wanted.
    Part(Vec<Arc<Kept>>),
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
    /// Another request's hash is the same. Served by nobody: the pictures are not for this request.
    Collision,
}

impl Miss {
    /// The word for log and metric.
    pub fn word(self) -> &'static str {
        match self {
            Miss::Absent => "miss",
            Miss::Expired => "expired",
            Miss::Collision => "collision",
        }
    }
}

struct Entry {
    canonical: Box<[u8]>,
    pictures: Vec<Arc<Kept>>,
    expires: Instant,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u128, Arc<Entry>> for Bytes {
    fn weight(&self, _key: &u128, entry: &Arc<Entry>) -> u64 {
        let pictures: usize = entry.pictures.iter().map(|kept| kept.picture.weight() + OVERHEAD).sum();
        (entry.canonical.len() + pictures + OVERHEAD) as u64
    }
}

/// Pictures by canonical request, bounded in bytes.
pub struct Exact {
    entries: Cache<u128, Arc<Entry>, Bytes>,
    /// Held while a pool is replaced by another made from it.
    changing: Mutex<()>,
}

impl Exact {
    /// An empty cache of at most `memory` bytes.
    pub fn new(memory: u64) -> Exact {
        let shards = usize::try_from(memory / SHARD_BYTES).unwrap_or(usize::MAX).clamp(1, 64);
        let built =
            OptionsBuilder::new().estimated_items_capacity(1024).weight_capacity(memory).shards(shards).build().ok();
        let entries = match built {
            Some(options) => Cache::with_options(
                options,
                Bytes,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            None => Cache::with_weighter(1024, memory, Bytes),
        };
        Exact { entries, changing: Mutex::default() }
    }

    /// Up to `n` pictures for `canonical`, freshest first.
    pub fn look(&self, canonical: &Canonical, n: usize, now: Instant) -> Look {
        let Some(entry) = self.entries.get(&canonical.key()) else { return Look::Miss(Miss::Absent) };
        if *entry.canonical != *canonical.bytes() {
            return Look::Miss(Miss::Collision);
        }
        if entry.expires <= now {
            self.entries.remove(&canonical.key());
            return Look::Miss(Miss::Expired);
        }
        let found: Vec<_> = entry.pictures.iter().take(n).cloned().collect();
        if found.len() == n { Look::Hit(found) } else { Look::Part(found) }
    }

    /// Keeps `pictures` for `canonical`, before those already there. `true` when they are found afterwards; a batch
    /// larger than the cache's share is not.
    pub fn keep(&self, canonical: &Canonical, pictures: &[Arc<Kept>], ttl: Duration, now: Instant) -> bool {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pool = pictures.to_vec();
        if let Some(entry) = self.entries.peek(&canonical.key())
            && *entry.canonical == *canonical.bytes()
            && entry.expires > now
        {
            pool.extend(entry.pictures.iter().cloned());
        }
        let mut seen = std::collections::HashSet::new();
        pool.retain(|kept| seen.insert(kept.id.clone()));
        pool.truncate(POOL);
        let entry = Entry { canonical: canonical.bytes().into(), pictures: pool, expires: now + ttl };
        self.entries.insert(canonical.key(), Arc::new(entry));
        self.entries.peek(&canonical.key()).is_some()
    }

    /// Serves a picture to a tenant no more, whatever it was drawn for. Looks at all that is kept.
    pub fn forget(&self, tenant: &str, id: &str) {
        let has = |entry: &Entry| entry.pictures.iter().any(|kept| *kept.id == *id);
        let own = |entry: &Entry| Canonical::is_of(&entry.canonical, tenant);
        let found: Vec<u128> =
            self.entries.iter().filter(|(_, entry)| has(entry) && own(entry)).map(|(key, _)| key).collect();
        for key in found {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(entry) = self.entries.peek(&key).filter(|entry| own(entry)) else { continue };
            let mut pictures = entry.pictures.clone();
            pictures.retain(|kept| *kept.id != *id);
            if pictures.is_empty() {
                self.entries.remove(&key);
            } else {
                let (canonical, expires) = (entry.canonical.clone(), entry.expires);
                self.entries.insert(key, Arc::new(Entry { canonical, pictures, expires }));
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

#[cfg(test)]
mod tests {
    use ::bytes::Bytes as Buffer;

    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;
    use crate::request::ImageRequest;

    const HOUR: Duration = Duration::from_secs(3600);

    fn canonical(prompt: &str) -> Canonical {
        let body = serde_json::json!({ "prompt": prompt }).to_string();
        Canonical::new("t", "r", None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
    }

    fn picture(tag: u8, bytes: usize) -> Arc<Kept> {
        let picture = Picture {
            encoded: Encoded::Raw(Buffer::from(vec![tag; bytes])),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        Arc::new(Kept::new(picture, "p/m".into(), Usd::ZERO, 5))
    }

    #[test]
    fn what_was_kept_is_found_until_its_time_is_over() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let fox = canonical("a fox");
        assert_eq!(cache.look(&fox, 1, now), Look::Miss(Miss::Absent));
        assert!(cache.keep(&fox, &[picture(1, 100)], HOUR, now));
        assert_eq!(cache.look(&fox, 1, now), Look::Hit(vec![picture(1, 100)]));
        assert_eq!(cache.look(&canonical("a box"), 1, now), Look::Miss(Miss::Absent));
        assert_eq!(cache.look(&fox, 1, now + HOUR), Look::Miss(Miss::Expired));
        assert_eq!(cache.look(&fox, 1, now), Look::Miss(Miss::Absent));
    }

    #[test]
    fn part_of_a_batch_is_kept_and_the_rest_joins_it() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let fox = canonical("a fox");
        cache.keep(&fox, &[picture(1, 10), picture(2, 10)], HOUR, now);
        assert_eq!(cache.look(&fox, 4, now), Look::Part(vec![picture(1, 10), picture(2, 10)]));
        cache.keep(&fox, &[picture(3, 10), picture(1, 10), picture(4, 10)], HOUR, now);
        let all = [3, 1, 4, 2].map(|tag| picture(tag, 10)).to_vec();
        assert_eq!(cache.look(&fox, 4, now), Look::Hit(all));
    }

    #[test]
    fn a_colliding_hash_never_serves_another_requests_picture() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let fox = canonical("a fox");
        let other = Entry {
            canonical: b"something else".as_slice().into(),
            pictures: vec![picture(1, 9)],
            expires: now + HOUR,
        };
        cache.entries.insert(fox.key(), Arc::new(other));
        assert_eq!(cache.look(&fox, 1, now), Look::Miss(Miss::Collision));
    }

    #[test]
    fn a_picture_that_is_forgotten_leaves_every_pool_of_its_tenant_and_no_other() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let of = |tenant: &str, prompt: &str| {
            let body = serde_json::json!({ "prompt": prompt }).to_string();
            Canonical::new(tenant, "r", None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
        };
        let (bad, good) = (picture(1, 100), picture(2, 100));
        for canonical in [of("t", "a fox"), of("t", "a vixen"), of("tt", "a fox")] {
            cache.keep(&canonical, &[bad.clone(), good.clone()], HOUR, now);
        }
        cache.keep(&of("t", "alone"), std::slice::from_ref(&bad), HOUR, now);
        cache.forget("t", &bad.id);
        assert_eq!(cache.look(&of("t", "a fox"), 2, now), Look::Part(vec![good.clone()]));
        assert_eq!(cache.look(&of("t", "a vixen"), 1, now), Look::Hit(vec![good.clone()]));
        assert_eq!(cache.look(&of("t", "alone"), 1, now), Look::Miss(Miss::Absent));
        assert_eq!(cache.look(&of("tt", "a fox"), 2, now), Look::Hit(vec![bad, good]));
    }

    #[test]
    fn memory_never_passes_its_bound_and_follows_it_down() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        for tag in 0..100u8 {
            cache.keep(&canonical(&format!("fox {tag}")), &[picture(tag, 50_000)], HOUR, now);
            assert!(cache.bytes() <= 1 << 20);
        }
        assert!(cache.bytes() > 900_000, "the space is used: {}", cache.bytes());
        cache.resize(200_000);
        assert!(cache.bytes() <= 200_000);
        assert!(!cache.keep(&canonical("too big"), &[picture(1, 300_000)], HOUR, now));
    }
}
