//! The tiers in which pictures are found: the same characters, the same canonical form, other words of which every
//! difference is explained.
//!
//! Pools are kept by the exact request, so that the commonest look is one in a table. Only when that pool has too few
//! pictures, and the route wants it, are the words looked at: the index proposes pools of the same hard key, and
//! `prompt_match` decides of each whether its pictures are right; so does an embedding, which proposes others. With a seed a picture is right for its own place alone,
//! and in the same words: another word draws another picture from the same seed.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ::bytes::Bytes;

use crate::cache::asked_embeddings::index_memory;
use crate::cache::disk_tier::{AboutPicture, ContentHash, DiskKey, DiskTier, FromDisk, NOT_WANTED, ToDisk};
use crate::cache::embedding_index::EmbeddingShard;
use crate::cache::generated_picture::PlacedPicture;
use crate::cache::lookup::{
    AlikeRequest, Asked, AskedEmbedding, CacheContents, CacheLookup, ColdPicture, Found, Looked, Miss, MissedPool, Tier,
};
use crate::cache::near_pools::NearPools;
use crate::cache::neighbours::{Finder, Neighbour};
use crate::cache::pool_entry::{PoolEntry, PooledPicture};
use crate::cache::pools::{Changed, Kept, Oversized, POOL, Pools, Purged};
use crate::cache::purge::PurgeSelector;
use crate::cache::rotation::Rotation;
use crate::cache::shares::Shares;
use crate::canonical::Canonical;
use crate::prompt_match::WordLists;
use crate::similarity::Embedding;

/// Pictures, and the ways to find them.
pub(super) struct PictureTiers {
    pools: Pools,
    near: Arc<NearPools>,
    rotation: Rotation,
    disk: Option<Arc<dyn DiskTier>>,
    /// The deployment's secret seed, by which requests have their keys.
    hash_seed: u64,
}

/// A picture that is right for a request.
#[derive(Clone, Copy)]
struct Right<'p> {
    tier: Tier,
    /// The key of its pool.
    key: u128,
    pooled: &'p PooledPicture,
}

impl PictureTiers {
    /// No pictures yet, and at most `memory` bytes in it.
    pub(super) fn new(memory: u64, disk: Option<Arc<dyn DiskTier>>, hash_seed: u64) -> PictureTiers {
        let near = Arc::new(NearPools::new(memory));
        let told = near.clone();
        PictureTiers {
            pools: Pools::new(memory, move |key, entry| told.remove(key, entry)),
            near,
            rotation: Rotation::new(),
            disk,
            hash_seed,
        }
    }

    fn finder(&self) -> Finder<'_> {
        Finder { pools: &self.pools, near: &self.near }
    }

    /// What a judge could be asked so that pictures that are there would be right for a request, the nearest first.
    pub(super) fn near_misses(&self, asked: &Asked<'_>) -> Vec<MissedPool> {
        match asked.near {
            Some(lists) if !asked.canonical.seeded() => self.finder().near_misses(asked, lists),
            _ => Vec::new(),
        }
    }

    /// The most alike request whose pictures would be right for one if embeddings counted.
    pub(super) fn alike(&self, asked: &Asked<'_>, by: &AskedEmbedding<'_>) -> Option<AlikeRequest> {
        let lists = asked.near.filter(|_| !asked.canonical.seeded())?;
        self.finder().by_embedding(asked, lists, by, HashSet::new(), 1).into_iter().find_map(|found| {
            let (prompt, similarity) = (found.pool.prompt().to_owned(), found.similarity?);
            Some(AlikeRequest { key: found.key, prompt, similarity })
        })
    }

    /// Makes what is kept of a request be found by the embedding of its words. Nothing is kept of one that has no pictures.
    pub(super) fn embed(&self, canonical: &Canonical, embedder: u64, embedding: &Embedding) {
        let there = self.pools.peek(canonical.key()).filter(|pool| pool.canonical() == canonical.bytes());
        if !canonical.seeded() && there.is_some() {
            let shard = EmbeddingShard::of(canonical.hard_key(), embedder, embedding);
            self.near.embeddings.add(shard, embedding, canonical.key());
        }
    }

    /// Pictures that are right for a request, those included that were drawn for words that are alike `by` an embedding.
    pub(super) fn look(&self, asked: &Asked<'_>, by: Option<&AskedEmbedding<'_>>) -> Looked {
        let canonical = asked.canonical;
        let own = self.pools.get(canonical);
        let good = own.as_ref().map_err(|miss| *miss).and_then(|pool| self.finder().good(canonical.key(), pool, asked));
        if let (Some(lists), Ok(pool), Ok(_)) = (asked.near, &own, &good)
            && !canonical.seeded()
        {
            // It may have been kept when the route did not ask for it.
            self.near.add(canonical.key(), pool, lists);
        }
        let (mut right, miss): (Vec<Right<'_>>, Miss) = match good {
            Ok(good) => {
                let exact = |pooled| Right { tier: Tier::Exact, key: canonical.key(), pooled };
                (good.into_iter().map(exact).collect(), Miss::Absent)
            }
            Err(miss) => (Vec::new(), miss),
        };
        if canonical.seeded() {
            return of_places(&right, asked, miss);
        }
        let wanted = usize::from(asked.n.max(asked.variants));
        let neighbours = match asked.near {
            Some(lists) if right.len() < wanted => {
                let there: HashSet<Arc<str>> = right.iter().map(|right| right.pooled.generated.id.clone()).collect();
                let mut found = self.finder().neighbours(asked, lists, there.clone(), wanted);
                if let Some(by) = by {
                    let there = there.into_iter().chain(found.iter().flat_map(|found| found.ids(asked))).collect();
                    let more = self.finder().by_embedding(asked, lists, by, there, wanted);
                    // By their words alone they are nearer.
                    let is_new = |more: &Neighbour| found.iter().all(|found| found.key != more.key);
                    let more: Vec<Neighbour> = more.into_iter().filter(is_new).collect();
                    found.extend(more);
                }
                found
            }
            _ => Vec::new(),
        };
        for neighbour in &neighbours {
            let good = neighbour.pool.good(&asked.freshness).unwrap_or_default();
            for pooled in good {
                // Two vendors may draw the same bytes.
                if right.iter().all(|other| other.pooled.generated.id != pooled.generated.id) {
                    right.push(Right { tier: neighbour.tier, key: neighbour.key, pooled });
                }
            }
        }
        self.choose(asked, &right, &neighbours, miss)
    }

    /// Which of the pictures that are right are served.
    fn choose(&self, asked: &Asked<'_>, right: &[Right<'_>], neighbours: &[Neighbour], miss: Miss) -> Looked {
        let available = u8::try_from(right.len()).unwrap_or(u8::MAX);
        let to_draw = asked.to_draw(available);
        let serve = usize::from(asked.n - to_draw);
        if serve == 0 {
            let miss = if available == 0 { miss } else { Miss::Variant { available } };
            return Looked::Found(CacheLookup::Miss(miss));
        }
        let pictures: Vec<&PooledPicture> = right.iter().map(|right| right.pooled).collect();
        let chosen = match asked.variants {
            0 | 1 => pictures.into_iter().take(serve).collect(),
            _ if !asked.serves => pictures.into_iter().take(serve).collect(),
            _ => self.rotation.choose(&pictures, serve, who(asked.caller, asked.canonical)),
        };
        let is_chosen = |chosen: &PooledPicture| right.iter().find(|right| std::ptr::eq(right.pooled, chosen)).copied();
        let chosen: Vec<Right<'_>> = chosen.into_iter().filter_map(is_chosen).collect();
        if let Some(cold) = cold(asked, &chosen) {
            return Looked::Cold(cold);
        }
        let served = |neighbour: &&Neighbour| chosen.iter().any(|right| right.key == neighbour.key);
        let differences =
            neighbours.iter().filter(served).flat_map(|neighbour| neighbour.differences.clone()).collect();
        let placed =
            |(place, right): (u8, &Right<'_>)| PlacedPicture { place, generated: right.pooled.generated.clone() };
        let pictures = (0..).zip(&chosen).map(placed).collect();
        let similarity = neighbours.iter().filter(served).filter_map(|neighbour| neighbour.similarity).min();
        let tiers = chosen.iter().map(|right| right.tier).collect();
        let found = Found { pictures, tiers, differences, similarity, available };
        self.touch(asked, &chosen);
        Looked::Found(if to_draw == 0 { CacheLookup::Hit(found) } else { CacheLookup::Part(found) })
    }

    /// Tells the disk what was served out of memory, so that it goes last there, too.
    fn touch(&self, asked: &Asked<'_>, served: &[Right<'_>]) {
        let Some(disk) = self.disk.as_ref().filter(|_| asked.serves) else { return };
        served.iter().filter_map(|right| right.pooled.on_disk.get()).for_each(|name| disk.touch(name));
    }

    /// Gives a picture its bytes, which were read from disk, or takes it out where they could not be.
    pub(super) fn warm(&self, cold: &ColdPicture, bytes: Option<Bytes>) {
        self.pools.warm(cold.key, &cold.id, bytes);
    }

    /// A picture is on disk no more.
    pub(super) fn gone_from_disk(&self, name: &ContentHash) {
        self.pools.gone_from_disk(name);
    }

    /// Takes in the pictures of one request that an earlier process has left on disk, to be found in other words by these lists.
    pub(super) fn restore(
        &self,
        canonical: &[u8],
        mut pictures: Vec<FromDisk>,
        near: Option<&Arc<WordLists>>,
        now: Instant,
    ) {
        let key = Canonical::key_of(canonical, self.hash_seed);
        // As in memory: the freshest first. Some may be there that had left the pool.
        pictures.sort_by_key(|picture| picture.age);
        let hard = pictures.first().map_or(0, |picture| picture.about.hard);
        let pooled = |picture: FromDisk| {
            let FromDisk { name, generated, about: AboutPicture { hard: _, place, offer_digest }, age, .. } = picture;
            Some(PooledPicture {
                place,
                generated: Arc::new(generated),
                // What is older than the clock tells is as good as expired.
                since: now.checked_sub(age)?,
                offer_digest,
                turn: Arc::default(),
                on_disk: Arc::new(OnceLock::from(name)),
                cold: true,
            })
        };
        let pictures: Vec<PooledPicture> = pictures.into_iter().filter_map(pooled).take(POOL).collect();
        let Some(pool) = PoolEntry::restored(canonical, hard, pictures) else { return };
        if let Some(lists) = near {
            self.near.add(key, &pool, lists);
        }
        self.pools.restore(key, pool);
    }

    /// Keeps pictures.
    pub(super) fn keep(
        &self,
        kept: &Kept<'_>,
        near: Option<&Arc<WordLists>>,
        drawn_for: Option<u64>,
    ) -> Result<(), Oversized> {
        if self.pools.peek(kept.canonical.key()).is_some_and(|pool| pool.canonical() != kept.canonical.bytes()) {
            // Another request's hash is the same, and its embedding is not that of these words.
            self.near.embeddings.remove(kept.canonical.key());
        }
        let before = self.disk.as_ref().and_then(|_| self.pools.peek(kept.canonical.key()));
        let (pool, result) = self.pools.insert(kept, self.rotation.next_turn());
        let Some(pool) = pool else { return result };
        if let Some(before) = before.filter(|before| before.canonical() == kept.canonical.bytes()) {
            // What the new ones took the place of would come back with a restart.
            let is_there = |old: &PooledPicture| pool.pictures().iter().any(|new| new.generated.id == old.generated.id);
            before.pictures().iter().filter(|old| !is_there(old)).for_each(|old| self.remove_from_disk(&before, old));
        }
        if let Some(caller) = drawn_for {
            let new = |pooled: &&PooledPicture| kept.pictures.iter().any(|new| new.generated.id == pooled.generated.id);
            self.rotation.given(pool.pictures().iter().filter(new), who(caller, kept.canonical));
        }
        self.write(kept, &pool);
        if let Some(lists) = near.filter(|_| !kept.canonical.seeded()) {
            self.near.add(kept.canonical.key(), &pool, lists);
        }
        result
    }

    /// Hands the new pictures of a pool over to the disk.
    fn write(&self, kept: &Kept<'_>, pool: &PoolEntry) {
        let Some(disk) = &self.disk else { return };
        let is_new = |pooled: &&PooledPicture| {
            !pooled.cold && kept.pictures.iter().any(|new| Arc::ptr_eq(&new.generated, &pooled.generated))
        };
        for pooled in pool.pictures().iter().filter(is_new) {
            let hard = u32::try_from(kept.canonical.hard_key().len()).unwrap_or(u32::MAX);
            disk.keep(ToDisk {
                key: DiskKey::Request(kept.canonical.bytes().into()),
                generated: pooled.generated.clone(),
                about: AboutPicture { hard, place: pooled.place, offer_digest: pooled.offer_digest },
                ttl: kept.ttl,
                name: pooled.on_disk.clone(),
            });
        }
    }

    /// A picture is to be on disk for this request no more. If it is not there yet, it will not stay there.
    fn remove_from_disk(&self, pool: &PoolEntry, pooled: &PooledPicture) {
        if let (Err(_), Some(disk), Some(name)) = (pooled.on_disk.set(NOT_WANTED), &self.disk, pooled.on_disk.get()) {
            disk.remove(&DiskKey::Request(pool.canonical().into()), name);
        }
    }

    /// Gives a tenant no picture of this id any more.
    pub(super) fn forget(&self, tenant: &str, id: &str, now: Instant) {
        let (tenant, image) = (Some(tenant.to_owned()), Some(id.to_owned()));
        self.purge(&PurgeSelector { tenant, image, ..PurgeSelector::default() }, now);
    }

    /// Takes out what an operator selects.
    pub(super) fn purge(&self, selector: &PurgeSelector, now: Instant) -> Purged {
        let unwanted =
            |key: u128, canonical: &[u8], pooled: &PooledPicture| selector.selects(key, canonical, pooled, now);
        let purged = self.pools.retain_not(unwanted, |key, changed| match changed {
            Changed::Without(pool, pooled) => self.remove_from_disk(pool, pooled),
            Changed::Gone(pool) => self.near.remove(key, pool),
        });
        // Nothing is noted here of what was forgotten for want of room, and a restart would bring it back.
        if let Some(disk) = self.disk.as_ref().filter(|_| self.pools.cold.forgotten() > 0) {
            let (selector, seed) = (selector.clone(), self.hash_seed);
            disk.remove_where(Box::new(move |picture| match &picture.key {
                DiskKey::Request(canonical) => {
                    selector.selects_on_disk(Canonical::key_of(canonical, seed), canonical, picture)
                }
                DiskKey::Link(_) => false,
            }));
        }
        purged
    }

    /// How many pools and pictures there are, and how much each tenant and each route holds.
    pub(super) fn contents(&self) -> CacheContents {
        let (warm, cold) = (self.pools.table.entries.iter(), self.pools.cold.all());
        let (requests, pictures) = warm
            .chain(cold)
            .fold((0, 0), |(requests, pictures), (_, pool)| (requests + 1, pictures + pool.pictures().len()));
        CacheContents {
            requests,
            pictures,
            indexed: self.near.index.len(),
            not_indexed: self.near.index.refused(),
            embedded: self.near.embeddings.len(),
            embeddings_given_up: self.near.embeddings.given_up(),
            holders: self.pools.shares.all(),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.pools.bytes()
    }

    /// Bytes of what is noted of pictures that are on disk alone.
    pub(super) fn cold_bytes(&self) -> u64 {
        self.pools.cold_bytes()
    }

    /// Bytes that finding in other words takes.
    pub(super) fn index_bytes(&self) -> u64 {
        self.near.index.bytes() as u64
    }

    /// Bytes of embeddings of what is kept.
    pub(super) fn embedding_bytes(&self) -> u64 {
        self.near.embeddings.bytes()
    }

    /// Changes the bounds; evicts at once where they shrink.
    pub(super) fn resize(&self, memory: u64, shares: Shares) {
        self.near.embeddings.resize(index_memory(memory));
        self.pools.resize(memory);
        for holder in self.pools.shares.resize(shares) {
            self.pools.give_way(&holder, None);
        }
    }
}

/// A caller and what it asks for, as one number.
fn who(caller: u64, canonical: &Canonical) -> u64 {
    let key = canonical.key();
    // The key is a hash already; either half of it is as good.
    caller ^ (key as u64) ^ ((key >> 64) as u64).rotate_left(32)
}

/// With a seed: the pictures of a request's own places, of those that are right.
fn of_places(right: &[Right<'_>], asked: &Asked<'_>, miss: Miss) -> Looked {
    let mut own: Vec<Right<'_>> = right.iter().filter(|right| right.pooled.place < asked.n).copied().collect();
    own.sort_by_key(|right| right.pooled.place);
    // What an earlier process drew anew is on disk with what it drew before; the freshest comes first.
    own.dedup_by_key(|right| right.pooled.place);
    if let Some(cold) = cold(asked, &own) {
        return Looked::Cold(cold);
    }
    let placed =
        |right: &Right<'_>| PlacedPicture { place: right.pooled.place, generated: right.pooled.generated.clone() };
    let pictures: Vec<PlacedPicture> = own.iter().map(placed).collect();
    let (found, available) = (pictures.len(), u8::try_from(pictures.len()).unwrap_or(u8::MAX));
    let tiers = vec![Tier::Exact; found];
    let all = Found { pictures, tiers, differences: Vec::new(), similarity: None, available };
    Looked::Found(match found {
        0 => CacheLookup::Miss(miss),
        all_wanted if all_wanted == usize::from(asked.n) => CacheLookup::Hit(all),
        _ => CacheLookup::Part(all),
    })
}

/// Those that are to be read from disk before they can be served, if there are any.
fn cold(asked: &Asked<'_>, chosen: &[Right<'_>]) -> Option<Vec<ColdPicture>> {
    let cold = chosen.iter().filter(|right| asked.serves && right.pooled.cold).filter_map(|right| {
        let (id, name) = (right.pooled.generated.id.clone(), *right.pooled.on_disk.get()?);
        Some(ColdPicture { key: right.key, id, name })
    });
    let cold: Vec<ColdPicture> = cold.collect();
    (!cold.is_empty()).then_some(cold)
}

#[cfg(test)]
mod tests;
