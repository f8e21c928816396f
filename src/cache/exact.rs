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

use crate::cache::{Kept, Placed};
use crate::canonical::Canonical;
use crate::canonical::rules::Digest;

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
pub enum Look {
    /// All pictures wanted, by their places.
    Hit(Vec<Placed>),
    /// Some of the pictures wanted, by their places.
    Part(Vec<Placed>),
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
pub struct Terms<'a> {
    /// Kept for less than this.
    pub ttl: Duration,
    /// The time.
    pub now: Instant,
    /// How the offer of this name draws now (`canonical::rules::way`). The pictures of an offer that is gone are good.
    pub way: &'a dyn Fn(&str) -> Option<Digest>,
}

struct Entry {
    canonical: Box<[u8]>,
    pictures: Vec<Pooled>,
    /// It is being put in. quick_cache makes room by dropping what was not asked for lately, and that may be what has just
    /// come: where all others are popular, a key that was dropped not long ago joins these without having been asked for.
    arriving: AtomicBool,
}

impl Entry {
    fn new(canonical: &[u8], pictures: Vec<Pooled>) -> Entry {
        Entry { canonical: canonical.into(), pictures, arriving: AtomicBool::new(false) }
    }

    fn weight(&self) -> u64 {
        weight(&self.canonical, &self.pictures)
    }
}

fn weight(canonical: &[u8], pictures: &[Pooled]) -> u64 {
    let pictures: usize = pictures.iter().map(|pooled| pooled.kept.weight() + size_of::<Pooled>()).sum();
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
struct Pooled {
    /// Which of the request's pictures it is; means something with a seed only.
    place: u8,
    kept: Arc<Kept>,
    /// When it was kept. What joins it later makes it no younger.
    since: Instant,
    /// How it was drawn.
    way: Digest,
}

impl Pooled {
    fn is_young(&self, ttl: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < ttl
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u128, Arc<Entry>> for Bytes {
    fn weight(&self, _key: &u128, entry: &Arc<Entry>) -> u64 {
        entry.weight()
    }
}

/// Keeps what arrives, and hands out what is dropped for it, to be freed when nothing is locked any more.
#[derive(Clone)]
struct Arrivals;

impl Lifecycle<u128, Arc<Entry>> for Arrivals {
    type RequestState = Vec<Arc<Entry>>;

    fn is_pinned(&self, _key: &u128, entry: &Arc<Entry>) -> bool {
        entry.arriving.load(Ordering::Relaxed)
    }

    fn on_evict(&self, dropped: &mut Vec<Arc<Entry>>, _key: u128, entry: Arc<Entry>) {
        dropped.push(entry);
    }
}

/// Pictures by canonical request, bounded in bytes.
pub struct Exact {
    entries: Cache<u128, Arc<Entry>, Bytes, DefaultHashBuilder, Arrivals>,
    /// Held while a pool is replaced by another made from it.
    changing: Mutex<()>,
}

impl Exact {
    /// An empty cache of at most `memory` bytes.
    pub fn new(memory: u64) -> Exact {
        let hasher = DefaultHashBuilder::default();
        // In one piece: a part of the memory would bound the largest entry, and a look takes no time beside an answer.
        let built = OptionsBuilder::new().estimated_items_capacity(ENTRIES).weight_capacity(memory).shards(1).build();
        let entries = match built {
            Ok(options) => Cache::with_options(options, Bytes, hasher, Arrivals),
            // Nothing is missing above. This is the same in several pieces.
            Err(_) => Cache::with(ENTRIES, memory, Bytes, hasher, Arrivals),
        };
        Exact { entries, changing: Mutex::default() }
    }

    /// Up to `n` pictures for `canonical`.
    pub fn look(&self, canonical: &Canonical, n: u8, terms: &Terms<'_>) -> Look {
        let key = canonical.key();
        let Some(entry) = self.entries.get(&key) else { return Look::Miss(Miss::Absent) };
        if *entry.canonical != *canonical.bytes() {
            return Look::Miss(Miss::Collision);
        }
        let young = |pooled: &&Pooled| pooled.is_young(terms.ttl, terms.now);
        if !entry.pictures.iter().any(|pooled| young(&pooled)) {
            // What another has kept there since is not what was looked at, and stays.
            self.entries.remove_if(&key, |there| Arc::ptr_eq(there, &entry));
            return Look::Miss(Miss::Expired);
        }
        let same = |pooled: &&Pooled| (terms.way)(&pooled.kept.drawn_by).is_none_or(|way| way == pooled.way);
        let good: Vec<&Pooled> = entry.pictures.iter().filter(young).filter(same).collect();
        if good.is_empty() {
            return Look::Miss(Miss::Stale);
        }
        let found = chosen(&good, canonical.seeded(), n);
        match found.len() {
            0 => Look::Miss(Miss::Absent),
            all if all == usize::from(n) => Look::Hit(found),
            _ => Look::Part(found),
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
        pictures: &[Placed],
        way: Digest,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), Oversized> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let new = pictures.iter().map(|placed| {
            let Placed { place, kept } = placed.clone();
            Pooled { place, kept, since: now, way }
        });
        let mut pool = Vec::with_capacity(pictures.len());
        let (mut places, mut ids) = (HashSet::new(), HashSet::new());
        let mut join = |pooled: Pooled| {
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
            self.put(canonical.key(), Entry::new(canonical.bytes(), pool));
        }
        if kept < new.min(POOL) { Err(oversized) } else { Ok(()) }
    }

    /// Puts in what is not too large, for which others give way.
    fn put(&self, key: u128, entry: Entry) {
        let entry = Arc::new(Entry { arriving: AtomicBool::new(true), ..entry });
        self.entries.insert(key, entry.clone());
        entry.arriving.store(false, Ordering::Relaxed);
    }

    /// Bytes that are kept of one request at the most.
    fn most(&self) -> u64 {
        self.entries.shard_capacity() / 16 * PARTS_FOR_ONE
    }

    /// Serves a picture to a tenant no more, whatever it was drawn for. Looks at all that is kept.
    pub fn forget(&self, tenant: &str, id: &str) {
        let has = |entry: &Entry| entry.pictures.iter().any(|pooled| *pooled.kept.id == *id);
        let own = |entry: &Entry| Canonical::is_of(&entry.canonical, tenant);
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
                self.put(key, Entry::new(&entry.canonical, pictures));
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
fn chosen(good: &[&Pooled], seeded: bool, n: u8) -> Vec<Placed> {
    let placed = |place: u8, pooled: &Pooled| Placed { place, kept: pooled.kept.clone() };
    if !seeded {
        return (0..n).zip(good).map(|(place, pooled)| placed(place, pooled)).collect();
    }
    let own = good.iter().filter(|pooled| pooled.place < n);
    let mut own: Vec<Placed> = own.map(|pooled| placed(pooled.place, pooled)).collect();
    own.sort_by_key(|placed| placed.place);
    own
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

    const WAY: Digest = [1; 32];

    /// An hour, and offers that draw as they did.
    fn terms(now: Instant) -> Terms<'static> {
        Terms { ttl: HOUR, now, way: &|_| Some(WAY) }
    }

    fn keep(cache: &Exact, canonical: &Canonical, pictures: &[Arc<Kept>], now: Instant) -> bool {
        cache.keep(canonical, &placed(pictures), WAY, HOUR, now).is_ok()
    }

    /// Each in the place in which it is listed.
    fn placed(pictures: &[Arc<Kept>]) -> Vec<Placed> {
        (0..).zip(pictures).map(|(place, kept)| at(place, kept)).collect()
    }

    fn at(place: u8, kept: &Arc<Kept>) -> Placed {
        Placed { place, kept: kept.clone() }
    }

    fn seeded(seed: u32) -> Canonical {
        let body = serde_json::json!({ "prompt": "a fox", "seed": seed }).to_string();
        Canonical::new("t", "r", None, &ImageRequest::from_json(body.as_bytes()).unwrap(), 5)
    }

    #[test]
    fn what_was_kept_is_found_until_its_time_is_over() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let fox = canonical("a fox");
        assert_eq!(cache.look(&fox, 1, &terms(now)), Look::Miss(Miss::Absent));
        assert!(keep(&cache, &fox, &[picture(1, 100)], now));
        assert_eq!(cache.look(&fox, 1, &terms(now)), Look::Hit(placed(&[picture(1, 100)])));
        assert_eq!(cache.look(&canonical("a box"), 1, &terms(now)), Look::Miss(Miss::Absent));
        assert_eq!(cache.look(&fox, 1, &terms(now + HOUR)), Look::Miss(Miss::Expired));
        assert_eq!(cache.look(&fox, 1, &terms(now)), Look::Miss(Miss::Absent));
    }

    #[test]
    fn part_of_a_batch_is_kept_and_the_rest_joins_it() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let fox = canonical("a fox");
        keep(&cache, &fox, &[picture(1, 10), picture(2, 10)], now);
        assert_eq!(cache.look(&fox, 4, &terms(now)), Look::Part(placed(&[picture(1, 10), picture(2, 10)])));
        keep(&cache, &fox, &[picture(3, 10), picture(1, 10), picture(4, 10)], now);
        let all = [3, 1, 4, 2].map(|tag| picture(tag, 10));
        assert_eq!(cache.look(&fox, 4, &terms(now)), Look::Hit(placed(&all)));
    }

    #[test]
    fn with_a_seed_a_picture_is_served_for_its_own_place_alone() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let (fox, [zero, one, two, four]) = (seeded(7), [0, 1, 2, 4].map(|tag| picture(tag, 10)));
        cache.keep(&fox, &[at(4, &four), at(2, &two)], WAY, HOUR, now).unwrap();
        assert_eq!(cache.look(&fox, 1, &terms(now)), Look::Miss(Miss::Absent), "nothing drawn by seed 7");
        assert_eq!(cache.look(&fox, 4, &terms(now)), Look::Part(vec![at(2, &two)]));
        cache.keep(&fox, &[at(1, &one)], WAY, HOUR, now).unwrap();
        cache.keep(&fox, &[at(0, &zero)], WAY, HOUR, now).unwrap();
        assert_eq!(cache.look(&fox, 1, &terms(now)), Look::Hit(vec![at(0, &zero)]));
        assert_eq!(cache.look(&fox, 3, &terms(now)), Look::Hit(vec![at(0, &zero), at(1, &one), at(2, &two)]));
        // Drawn anew, and the same bytes twice: a vendor may draw alike for two seeds.
        cache.keep(&fox, &[at(1, &four), at(2, &four)], WAY, HOUR, now).unwrap();
        assert_eq!(cache.look(&fox, 3, &terms(now)), Look::Hit(vec![at(0, &zero), at(1, &four), at(2, &four)]));
        assert_eq!(cache.look(&seeded(8), 1, &terms(now)), Look::Miss(Miss::Absent));
    }

    #[test]
    fn each_picture_of_a_pool_has_an_age_of_its_own() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let (old, new) = (picture(1, 10), picture(2, 10));
        for (fox, new_at) in [(canonical("a fox"), 0), (seeded(7), 1)] {
            cache.keep(&fox, &[at(0, &old)], WAY, HOUR, now).unwrap();
            cache.keep(&fox, &[at(1, &new)], WAY, HOUR, now + HOUR / 2).unwrap();
            assert!(matches!(cache.look(&fox, 2, &terms(now + HOUR / 2)), Look::Hit(_)));
            assert_eq!(cache.look(&fox, 2, &terms(now + HOUR)), Look::Part(vec![at(new_at, &new)]));
            // A route whose pictures are to be younger has them younger at once.
            let strict = Terms { ttl: HOUR / 4, ..terms(now + HOUR) };
            assert_eq!(cache.look(&fox, 2, &strict), Look::Miss(Miss::Expired));
        }
    }

    #[test]
    fn what_would_be_drawn_another_way_now_is_not_served_and_the_rest_is() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let (fox, ours) = (canonical("a fox"), picture(1, 10));
        let theirs = Arc::new(Kept { drawn_by: "q/m".into(), ..(*picture(2, 10)).clone() });
        cache.keep(&fox, &[at(0, &theirs)], [2; 32], HOUR, now).unwrap();
        cache.keep(&fox, &[at(0, &ours)], WAY, HOUR, now).unwrap();
        let look = |way: &dyn Fn(&str) -> Option<Digest>| cache.look(&fox, 2, &Terms { way, ..terms(now) });
        assert_eq!(
            look(&|name| Some(if name == "p/m" { WAY } else { [2; 32] })),
            Look::Hit(placed(&[ours.clone(), theirs.clone()]))
        );
        assert_eq!(look(&|_| Some(WAY)), Look::Part(placed(&[ours])), "the other one's options changed");
        assert_eq!(look(&|name| (name == "p/m").then_some([3; 32])), Look::Part(placed(&[theirs])), "it is gone");
        assert_eq!(look(&|_| Some([3; 32])), Look::Miss(Miss::Stale));
    }

    #[test]
    fn an_expired_pool_that_another_has_replaced_meanwhile_is_not_removed() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let (fox, new) = (canonical("a fox"), picture(2, 10));
        let later = now + HOUR;
        let old = || {
            let pictures = vec![Pooled { place: 0, kept: picture(1, 10), since: now, way: WAY }];
            Arc::new(Entry::new(fox.bytes(), pictures))
        };
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| (0..50_000).for_each(|_| drop(cache.look(&fox, 1, &terms(later)))));
            while !looking.is_finished() {
                cache.entries.insert(fox.key(), old());
                keep(&cache, &fox, std::slice::from_ref(&new), later);
                assert_eq!(cache.look(&fox, 1, &terms(later)), Look::Hit(placed(std::slice::from_ref(&new))));
            }
        });
    }

    #[test]
    fn a_colliding_hash_never_serves_another_requests_picture() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let fox = canonical("a fox");
        let pictures = vec![Pooled { place: 0, kept: picture(1, 9), since: now, way: WAY }];
        cache.entries.insert(fox.key(), Arc::new(Entry::new(b"something else", pictures)));
        assert_eq!(cache.look(&fox, 1, &terms(now)), Look::Miss(Miss::Collision));
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
            keep(&cache, &canonical, &[bad.clone(), good.clone()], now);
        }
        keep(&cache, &of("t", "alone"), std::slice::from_ref(&bad), now);
        cache.forget("t", &bad.id);
        assert_eq!(cache.look(&of("t", "a fox"), 2, &terms(now)), Look::Part(placed(std::slice::from_ref(&good))));
        assert_eq!(cache.look(&of("t", "a vixen"), 1, &terms(now)), Look::Hit(placed(std::slice::from_ref(&good))));
        assert_eq!(cache.look(&of("t", "alone"), 1, &terms(now)), Look::Miss(Miss::Absent));
        assert_eq!(cache.look(&of("tt", "a fox"), 2, &terms(now)), Look::Hit(placed(&[bad, good])));
    }

    #[test]
    fn memory_never_passes_its_bound_and_follows_it_down() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        for tag in 0..100u8 {
            keep(&cache, &canonical(&format!("fox {tag}")), &[picture(tag, 50_000)], now);
            assert!(cache.bytes() <= 1 << 20);
        }
        assert!(cache.bytes() > 900_000, "the space is used: {}", cache.bytes());
        cache.resize(200_000);
        assert!(cache.bytes() <= 200_000);
        assert!(!keep(&cache, &canonical("too big"), &[picture(1, 300_000)], now));
    }

    #[test]
    fn what_is_not_too_large_for_one_request_is_found_as_soon_as_it_is_kept() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let mut random = fastrand::Rng::with_seed(12);
        let keys: Vec<Canonical> = (0..40).map(|number| canonical(&format!("fox {number}"))).collect();
        let mut popular = Vec::new();
        for round in 0..4_000 {
            let (at, tag) = (random.usize(..keys.len()), random.u8(..));
            let bytes = random.usize(..if round % 7 == 0 { 900_000 } else { 90_000 });
            let new = picture(tag, bytes);
            assert!(keep(&cache, &keys[at], std::slice::from_ref(&new), now), "{bytes} bytes");
            assert_eq!(cache.look(&keys[at], 1, &terms(now)), Look::Hit(placed(&[new])), "{round}: {bytes} bytes");
            assert!(cache.bytes() <= 1 << 20);
            popular.push(at);
            // All that is there is asked for now and then.
            for at in popular.iter().rev().take(30) {
                cache.look(&keys[*at], 1, &terms(now));
            }
        }
    }

    #[test]
    fn whatever_happens_the_bytes_told_are_the_bytes_held() {
        let cache = Exact::new(1 << 20);
        let (mut random, mut now) = (fastrand::Rng::with_seed(6), Instant::now());
        let keys: Vec<Canonical> = (0..60).map(|number| canonical(&format!("fox {number}"))).collect();
        for round in 0..4_000 {
            now += Duration::from_secs(random.u64(..300));
            let key = &keys[random.usize(..keys.len())];
            match random.u8(..20) {
                0 => cache.resize(random.u64(200_000..2_000_000)),
                1 => cache.forget("t", &picture(random.u8(..), 1_000).id),
                2..10 => drop(cache.look(key, random.u8(1..4), &terms(now))),
                _ => {
                    let batch: Vec<_> =
                        (0..random.u8(1..5)).map(|_| picture(random.u8(..), random.usize(..150_000))).collect();
                    keep(&cache, key, &batch, now);
                }
            }
            let held: u64 = cache.entries.iter().map(|(_, entry)| entry.weight()).sum();
            assert_eq!(cache.bytes(), held, "{round}");
            assert!(held <= cache.entries.capacity(), "{round}");
        }
        cache.resize(0);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn of_pictures_that_are_too_large_together_as_many_are_kept_as_fit_the_new_ones_first() {
        let (cache, now) = (Exact::new(1 << 20), Instant::now());
        let (fox, pictures) = (canonical("a fox"), [1, 2, 3].map(|tag| picture(tag, 450_000)));
        for kept in &pictures {
            assert!(keep(&cache, &fox, std::slice::from_ref(kept), now), "those before give way");
        }
        let look = || cache.look(&fox, 3, &terms(now));
        assert_eq!(look(), Look::Part(placed(&[pictures[2].clone(), pictures[1].clone()])));
        let told = cache.keep(&fox, &placed(&pictures), WAY, HOUR, now).unwrap_err();
        assert!(told.most == 983_040 && (1_350_000..1_360_000).contains(&told.bytes), "{told}");
        assert_eq!(look(), Look::Part(placed(&pictures[..2])));
        let huge = cache.keep(&fox, &placed(&[picture(4, 1_000_000)]), WAY, HOUR, now);
        assert!(huge.is_err() && look() == Look::Part(placed(&pictures[..2])), "what is there stays");
    }
}
