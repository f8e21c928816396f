//! Pools: the pictures that were drawn for one canonical request.
//!
//! A key keeps a small pool of pictures, so that a batch of which only a part was drawn is not lost: the next request
//! takes what is there and buys the rest. XXH3 only finds the entry; the whole canonical form is compared before a picture
//! leaves. Each picture's age, and whether it would still be drawn the same way, are checked on every look-up.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::bytes::Bytes;

use crate::cache::byte_bounded::{ByteBounded, Dropped, PARTS_FOR_ONE};
use crate::cache::cold_pools::ColdPools;
use crate::cache::disk_tier::ContentHash;
use crate::cache::generated_picture::PlacedPicture;
use crate::cache::lookup::Miss;
use crate::cache::pool_entry::{PoolEntry, PooledPicture, weight};
use crate::cache::shares::{Holdings, ShareBook, Shareholder};
use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;
use crate::config::plan::MOST_VARIANTS;

/// Pictures kept for one canonical request; as many as one request can ask.
pub const POOL: usize = MOST_VARIANTS as usize;

/// What is noted of pictures that are on disk alone takes so small a part of the memory besides, at the most.
const COLD_PARTS: u64 = 8;

/// Of so many pools of a tenant or a route that of the longest silence gives way: as good as an exact order for what is
/// popular, and nothing has to be moved when a pool is asked for.
const SAMPLE: usize = 16;

/// Pictures that are too large to be kept for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bytes} bytes of pictures are more than the {most} that are kept of one request: {PARTS_FOR_ONE}/16 of cache.memory, or \
     the share of its client or its route"
)]
pub struct Oversized {
    /// What they weigh.
    pub bytes: u64,
    /// What may be kept.
    pub most: u64,
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Places of pictures: one that was drawn for two requests has two.
    pub pictures: usize,
    /// Bytes of memory that they took.
    pub bytes: u64,
}

/// What became of a pool of which pictures were taken out.
pub(super) enum Changed<'a> {
    /// It is to have this picture no more.
    Without(&'a PoolEntry, &'a PooledPicture),
    /// It had no others.
    Gone(&'a PoolEntry),
}

/// Pictures to be kept for later requests.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// What they were drawn for.
    pub canonical: &'a Canonical,
    /// The pictures, by their places.
    pub pictures: &'a [PlacedPicture],
    /// How the offer that drew them was told to draw.
    pub offer_digest: Digest,
    /// How long pictures are served.
    pub ttl: Duration,
    /// The time.
    pub now: Instant,
}

/// The tenant and the route of a canonical form.
fn shareholders(canonical: &[u8]) -> Vec<Shareholder> {
    let Some((tenant, route)) = Canonical::owners(canonical) else { return Vec::new() };
    vec![Shareholder::Tenant(tenant.into()), Shareholder::Route(route.into())]
}

/// Pools by the keys of their canonical requests, bounded in bytes.
pub(super) struct Pools {
    pub(super) table: ByteBounded<u128, Arc<PoolEntry>>,
    /// Those whose pictures are on disk alone.
    pub(super) cold: Arc<ColdPools<PoolEntry>>,
    pub(super) shares: ShareBook,
    /// Counts pools that were put in.
    puts: AtomicU64,
    /// Told of what is given up to make room, which may still be on disk.
    dropped: Dropped<u128, Arc<PoolEntry>>,
    /// Told of what is found nowhere any more.
    forgotten: Dropped<u128, Arc<PoolEntry>>,
    /// Held while a pool is replaced by another made from it.
    changing: Mutex<()>,
}

impl Pools {
    /// No pools yet, and at most `memory` bytes. What is found nowhere any more is handed to `forgotten`.
    pub(super) fn new(memory: u64, forgotten: impl Fn(u128, &PoolEntry) + Send + Sync + 'static) -> Pools {
        // What took its place is found as it was.
        let forgotten: Dropped<u128, Arc<PoolEntry>> = Arc::new(move |key, entry| {
            if !entry.replaced.load(Ordering::Relaxed) {
                forgotten(*key, entry);
            }
        });
        let cold = Arc::new(ColdPools::new(memory / COLD_PARTS));
        let (noted, forget) = (cold.clone(), forgotten.clone());
        let dropped: Dropped<u128, Arc<PoolEntry>> =
            Arc::new(move |key, entry| match entry.cooled().filter(|_| !entry.replaced.load(Ordering::Relaxed)) {
                Some(cold) => noted.insert(*key, Arc::new(cold)).iter().for_each(|(key, pool)| forget(key, pool)),
                None => forget(key, entry),
            });
        let table = ByteBounded::telling(memory, dropped.clone());
        let (shares, puts, changing) = (ShareBook::default(), AtomicU64::new(0), Mutex::default());
        Pools { table, cold, shares, puts, dropped, forgotten, changing }
    }

    /// The pool of a canonical request.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn get(&self, canonical: &Canonical) -> Result<Arc<PoolEntry>, Miss> {
        let entry = self.get_any(canonical.key()).ok_or(Miss::Absent)?;
        if *entry.canonical != *canonical.bytes() {
            return Err(Miss::Collision);
        }
        Ok(entry)
    }

    /// The pool that was found by its key alone.
    pub(super) fn get_any(&self, key: u128) -> Option<Arc<PoolEntry>> {
        let entry = self.table.entries.get(&key).or_else(|| self.cold.get(key))?;
        entry.asked.store(self.puts.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(entry)
    }

    /// Takes out a pool that was looked at, if it is still the same. What another has kept there since stays.
    pub(super) fn remove(&self, key: u128, entry: &Arc<PoolEntry>) -> bool {
        self.table.entries.remove_if(&key, |there| Arc::ptr_eq(there, entry)).is_some()
            || self.cold.remove_if(key, |there| Arc::ptr_eq(there, entry))
    }

    /// What is there, in memory or on disk, without counting it as asked for.
    pub(super) fn peek(&self, key: u128) -> Option<Arc<PoolEntry>> {
        self.table.entries.peek(&key).or_else(|| self.cold.get(key))
    }

    /// Keeps pictures before those already there. With a seed one takes the place of the one that was there. What is there
    /// gives way where it is too much for one request. Gives back the pool, where there is one, and whether some of the
    /// pictures themselves are too much.
    pub(super) fn insert(&self, kept: &Kept<'_>, turn: u64) -> (Option<Arc<PoolEntry>>, Result<(), Oversized>) {
        let Kept { canonical, pictures, offer_digest, ttl, now } = *kept;
        let _changing = self.change();
        let new = pictures.iter().map(|placed| {
            let PlacedPicture { place, generated } = placed.clone();
            PooledPicture {
                place,
                generated,
                since: now,
                offer_digest,
                turn: Arc::new(AtomicU64::new(turn)),
                on_disk: Arc::default(),
                cold: false,
            }
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
        let there = self.peek(canonical.key());
        let there = there.filter(|entry| *entry.canonical == *canonical.bytes());
        if let Some(entry) = &there {
            let young = entry.pictures.iter().filter(|pooled| pooled.is_young(ttl, now));
            young.cloned().map(join).for_each(drop);
        }
        pool.truncate(POOL);
        let bytes = weight(canonical.bytes(), &pool[..new.min(POOL)]);
        let oversized = Oversized { bytes, most: self.most(canonical.bytes()) };
        while weight(canonical.bytes(), &pool) > oversized.most && pool.pop().is_some() {}
        let remaining = pool.len();
        let result = if remaining < new.min(POOL) { Err(oversized) } else { Ok(()) };
        if remaining == 0 {
            return (None, result);
        }
        let entry = match &there {
            Some(there) => there.with(pool),
            None => PoolEntry::new(canonical, pool),
        };
        (Some(self.put(canonical.key(), entry)), result)
    }

    /// The most that the pictures of a canonical form may weigh.
    fn most(&self, canonical: &[u8]) -> u64 {
        let holders = shareholders(canonical);
        let shares = holders.iter().filter_map(|holder| self.shares.share(holder));
        shares.min().unwrap_or(u64::MAX).min(self.table.largest())
    }

    /// Puts in what is not too large, for which others give way, its tenant's and its route's own first where these would
    /// hold more than their shares.
    fn put(&self, key: u128, entry: PoolEntry) -> Arc<PoolEntry> {
        let bytes = weight(&entry.canonical, &entry.pictures);
        let holders = shareholders(&entry.canonical);
        let held = holders.iter().map(|holder| self.shares.of(holder).hold(bytes)).collect();
        let asked = AtomicU64::new(self.puts.fetch_add(1, Ordering::Relaxed) + 1);
        let entry = Arc::new(PoolEntry { arriving: AtomicBool::new(true), asked, _held: held, ..entry });
        if let Some(before) = self.peek(key).filter(|before| before.canonical == entry.canonical) {
            before.replaced.store(true, Ordering::Relaxed);
        }
        // What comes back from disk is new in memory, too.
        let is_new = self.table.entries.peek(&key).is_none_or(|before| before.canonical != entry.canonical);
        self.table.entries.insert(key, entry.clone());
        self.cold.remove_if(key, |there| there.canonical == entry.canonical);
        for holder in &holders {
            if is_new {
                self.shares.of(holder).joined(key, |key| self.table.entries.peek(&key).is_some());
            }
            self.give_way(holder, Some(key));
        }
        entry.arriving.store(false, Ordering::Relaxed);
        entry
    }

    /// Takes out pools of whoever holds more than its share, but not the one that has just come.
    pub(super) fn give_way(&self, holder: &Shareholder, but: Option<u128>) {
        let Some(share) = self.shares.share(holder) else { return };
        let held = self.shares.of(holder);
        while held.bytes() > share {
            let Some((key, entry)) = self.least_recently_asked(holder, &held, but) else { return };
            if self.remove(key, &entry) {
                (self.dropped)(&key, &entry);
            } else {
                // Another has changed it meanwhile.
                held.pass_over(key);
            }
        }
    }

    /// Of the next few pools of a holder the one that was asked for longest ago. The others are looked at again.
    fn least_recently_asked(
        &self,
        holder: &Shareholder,
        held: &Holdings,
        but: Option<u128>,
    ) -> Option<(u128, Arc<PoolEntry>)> {
        let mut oldest: Option<(u128, Arc<PoolEntry>)> = None;
        // What leads nowhere, or to another's pool by a colliding key, does not count and is not put back.
        let (mut sample, mut looks) = (SAMPLE, held.len());
        while sample > 0 && looks > 0 {
            looks -= 1;
            let Some(key) = held.next() else { break };
            let entry = self.table.entries.peek(&key).filter(|entry| shareholders(&entry.canonical).contains(holder));
            let Some(entry) = entry else { continue };
            if but == Some(key) {
                held.pass_over(key);
                continue;
            }
            sample -= 1;
            let asked = |entry: &PoolEntry| entry.asked.load(Ordering::Relaxed);
            match &mut oldest {
                Some((old, before)) if asked(&entry) < asked(before) => {
                    held.pass_over(std::mem::replace(old, key));
                    *before = entry;
                }
                Some(_) => held.pass_over(key),
                None => oldest = Some((key, entry)),
            }
        }
        oldest
    }

    /// Takes out every picture that `unwanted` says so of, which is told the canonical form and the picture. Looks at all
    /// that is kept. Hands each picture to `changed` before it goes, and each pool of which nothing is left.
    pub(super) fn retain_not(
        &self,
        unwanted: impl Fn(u128, &[u8], &PooledPicture) -> bool,
        changed: impl Fn(u128, Changed<'_>),
    ) -> Purged {
        let is_bad =
            |key: u128, entry: &PoolEntry| entry.pictures.iter().any(|pooled| unwanted(key, &entry.canonical, pooled));
        let warm = self.table.entries.iter().filter(|(key, entry)| is_bad(*key, entry)).map(|(key, _)| key);
        let mut found: Vec<u128> = warm.collect();
        found.extend(self.cold.all().iter().filter(|(key, entry)| is_bad(*key, entry)).map(|(key, _)| *key));
        let mut removed = Purged::default();
        for key in found {
            // Pools are replaced under this lock alone, so what is put back is what was looked at, less some pictures.
            let _changing = self.change();
            let Some(entry) = self.peek(key) else { continue };
            for pooled in entry.pictures.iter().filter(|pooled| unwanted(key, &entry.canonical, pooled)) {
                changed(key, Changed::Without(&entry, pooled));
            }
            let mut pictures = entry.pictures.clone();
            pictures.retain(|pooled| !unwanted(key, &entry.canonical, pooled));
            removed.pictures += entry.pictures.len() - pictures.len();
            let left = if pictures.is_empty() { 0 } else { weight(&entry.canonical, &pictures) };
            removed.bytes += weight(&entry.canonical, &entry.pictures) - left;
            if !pictures.is_empty() {
                self.put(key, entry.with(pictures));
            } else if self.remove(key, &entry) {
                changed(key, Changed::Gone(&entry));
            }
        }
        removed
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.table.bytes()
    }

    /// Bytes of what is noted of pictures that are on disk alone.
    pub(super) fn cold_bytes(&self) -> u64 {
        self.cold.bytes()
    }

    /// Gives a picture its bytes, which were read from disk, or takes it out where they could not be.
    pub(super) fn warm(&self, key: u128, id: &str, bytes: Option<Bytes>) {
        let _changing = self.change();
        let Some(entry) = self.peek(key) else { return };
        let is_it = |pooled: &PooledPicture| pooled.cold && *pooled.generated.id == *id;
        let warmed = |pooled: &PooledPicture| match &bytes {
            Some(bytes) if is_it(pooled) => Some(pooled.warmed(bytes.clone())),
            None if is_it(pooled) => None,
            _ => Some(pooled.clone()),
        };
        let pictures: Vec<PooledPicture> = entry.pictures.iter().filter_map(warmed).collect();
        // As large as it was when it was in memory, but the bound may be another now.
        let fits = weight(&entry.canonical, &pictures) <= self.most(&entry.canonical);
        if !pictures.is_empty() && fits {
            self.put(key, entry.with(pictures));
        } else if self.remove(key, &entry) {
            (self.forgotten)(&key, &entry);
        }
    }

    /// Puts in what an earlier process has left on disk.
    pub(super) fn restore(&self, key: u128, entry: PoolEntry) {
        for (key, pool) in self.cold.insert(key, Arc::new(entry)) {
            (self.forgotten)(&key, &pool);
        }
    }

    /// A picture is on disk no more.
    pub(super) fn gone_from_disk(&self, name: &ContentHash) {
        for (key, pool) in self.cold.gone(name) {
            (self.forgotten)(&key, &pool);
        }
    }

    /// Changes the bound; evicts at once when it shrinks.
    pub(super) fn resize(&self, memory: u64) {
        for (key, pool) in self.cold.resize(memory / COLD_PARTS) {
            (self.forgotten)(&key, &pool);
        }
        self.table.resize(memory);
    }
}
