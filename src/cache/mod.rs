//! What is kept for later requests: pictures for requests of the same meaning ([`pools`], found by [`picture_tiers`]),
//! pictures behind links that were handed out ([`link_store`]), rewritten prompts for requests with the same prompt
//! ([`prompts`]), and embeddings of what was asked lately ([`asked_embeddings`]).
//!
//! [`CacheTiers`] is what the gateway talks to, whatever tiers there are: look, keep, forget, purge. All are bounded in bytes
//! and are handed the time. What is on disk alone is read by the gateway, which can wait, and handed back ([`Looked::Cold`]).
//! None decides whether a request may be answered from a cache; that is the route's and the caller's wish, weighed in
//! `gateway`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::bytes::Bytes;

use crate::canonical::Canonical;
use crate::config::plan;
use crate::prompt_match::WordLists;
use crate::similarity::Embedding;

pub mod asked_embeddings;
mod byte_bounded;
mod cold_pools;
pub mod disk_tier;
mod embedding_index;
mod embedding_neighbours;
pub mod generated_picture;
mod link_store;
pub mod lookup;
mod near_index;
mod near_pools;
mod neighbours;
mod parts_key;
mod picture_tiers;
mod pool_entry;
mod pools;
pub mod prompts;
pub mod purge;
mod rotation;
pub mod shares;

pub use crate::cache::asked_embeddings::EmbeddingTurn;
pub use crate::cache::generated_picture::{GeneratedPicture, PlacedPicture};
pub use crate::cache::link_store::Linked;
pub use crate::cache::lookup::{
    AlikeRequest, Asked, AskedEmbedding, CacheContents, CacheLookup, ColdPicture, Found, Freshness, Looked, Miss,
    MissedPool, Tier,
};
pub use crate::cache::parts_key::PartsKey;
pub use crate::cache::pools::{Kept, Oversized, Purged};
pub use crate::cache::prompts::RewriteTurn;
pub use crate::cache::purge::PurgeSelector;
pub use crate::cache::shares::{Shareholder, Shares};

use crate::cache::asked_embeddings::AskedEmbeddings;
use crate::cache::disk_tier::{AboutPicture, ContentHash, DiskKey, DiskTier, FromDisk, ToDisk};
use crate::cache::link_store::{HoldOnDisk, LinkStore};
use crate::cache::picture_tiers::PictureTiers;
use crate::cache::prompts::PromptCache;

/// All that is kept for later requests.
pub struct CacheTiers {
    pictures: PictureTiers,
    links: LinkStore,
    prompts: PromptCache,
    asked_embeddings: AskedEmbeddings,
    disk: Option<Arc<dyn DiskTier>>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize {
    /// Bytes of pictures kept for reuse.
    pub pictures: u64,
    /// Bytes of what is noted of pictures that are on disk alone.
    pub on_disk_alone: u64,
    /// Bytes of what finds requests in other words.
    pub near_index: u64,
    /// Bytes of embeddings: those of kept requests, and of what was asked lately.
    pub embeddings: u64,
    /// Bytes of pictures held behind links.
    pub links: u64,
    /// Bytes of rewritten prompts.
    pub prompts: u64,
    /// Links that were given up before their time because the bound was reached, since the start.
    pub links_given_up: u64,
}

impl CacheTiers {
    /// Nothing yet, and at most as much as the config says. `hash_seed` is the deployment's secret seed.
    pub fn new(config: &plan::Cache, disk: Option<Arc<dyn DiskTier>>, hash_seed: u64) -> CacheTiers {
        CacheTiers {
            pictures: PictureTiers::new(config.memory, disk.clone(), hash_seed),
            links: LinkStore::new(config.links),
            prompts: PromptCache::new(config.prompts),
            asked_embeddings: AskedEmbeddings::new(config.memory),
            disk,
        }
    }

    /// Takes in what an earlier process has left on disk. `near` has the lists by which a route's requests are found in other
    /// words. Takes time by all of it.
    pub fn restore(&self, left: Vec<FromDisk>, near: impl Fn(&str) -> Option<Arc<WordLists>>, now: Instant) {
        let mut requests: HashMap<Box<[u8]>, Vec<FromDisk>> = HashMap::new();
        for picture in left {
            match picture.key.clone() {
                DiskKey::Request(canonical) => requests.entry(canonical).or_default().push(picture),
                DiskKey::Link(_) => self.links.restore(picture.generated, picture.name, picture.left, now),
            }
        }
        for (canonical, pictures) in requests {
            let lists = Canonical::owners(&canonical).and_then(|(_, route)| near(route));
            self.pictures.restore(&canonical, pictures, lists.as_ref(), now);
        }
    }

    /// A picture is on disk no more.
    pub fn gone_from_disk(&self, name: &ContentHash) {
        self.pictures.gone_from_disk(name);
    }

    /// Changes the bounds. What is too much is dropped at once.
    pub fn resize(&self, config: &plan::Cache, shares: Shares, now: Instant) {
        self.pictures.resize(config.memory, shares);
        self.links.resize(config.links, now);
        self.prompts.resize(config.prompts);
        self.asked_embeddings.resize(config.memory);
    }

    /// Pictures that are right for a request, or those of them that are to be read from disk first.
    pub fn look(&self, asked: &Asked<'_>) -> Looked {
        self.pictures.look(asked, None)
    }

    /// The same, those included that were drawn for words whose embedding is so alike.
    pub fn look_by_embedding(&self, asked: &Asked<'_>, by: &AskedEmbedding<'_>) -> Looked {
        self.pictures.look(asked, Some(by))
    }

    /// The most alike request whose pictures would be right for this one by their embeddings alone. Nothing is served.
    pub fn alike(&self, asked: &Asked<'_>, by: &AskedEmbedding<'_>) -> Option<AlikeRequest> {
        self.pictures.alike(asked, by)
    }

    /// Makes what is kept of a request be found by the embedding of its words as well.
    pub fn embed(&self, canonical: &Canonical, embedder: u64, embedding: &Embedding) {
        self.pictures.embed(canonical, embedder, embedding);
    }

    /// The embedding of what was asked lately, or the turn to get it. Somebody else's turn is waited for.
    pub fn asked_embedding<'c>(
        &'c self,
        key: &'c PartsKey,
    ) -> impl Future<Output = Result<Arc<Embedding>, EmbeddingTurn<'c>>> + use<'c> {
        self.asked_embeddings.get_or_turn(key)
    }

    /// What a judge could be asked so that pictures that are there would be right for a request, the nearest first: pairs of words
    /// in which alone it differs from what they were drawn for.
    pub fn near_misses(&self, asked: &Asked<'_>) -> Vec<MissedPool> {
        self.pictures.near_misses(asked)
    }

    /// Gives a picture its bytes, which were read from disk, or takes it out where they could not be.
    pub fn warm(&self, cold: &ColdPicture, bytes: Option<Bytes>) {
        self.pictures.warm(cold, bytes);
    }

    /// Keeps pictures for requests like theirs, to be found in other words by these lists. `drawn_for` is the caller
    /// that gets them, where the next picture is to be another one.
    ///
    /// # Errors
    /// When some of them are too much for what one request may take. The others are kept.
    pub fn keep(
        &self,
        kept: &Kept<'_>,
        near: Option<&Arc<WordLists>>,
        drawn_for: Option<u64>,
    ) -> Result<(), Oversized> {
        self.pictures.keep(kept, near, drawn_for)
    }

    /// Gives a tenant no picture of this id any more, whatever it was drawn for. Takes time by all that is kept.
    pub fn forget(&self, tenant: &str, id: &str, now: Instant) {
        self.pictures.forget(tenant, id, now);
    }

    /// Takes out what an operator selects. A link to a picture that is named by its id leads nowhere from then on; other
    /// links stay good. Takes time by all that is kept.
    pub fn purge(&self, selector: &PurgeSelector, now: Instant) -> Purged {
        if let Some(image) = &selector.image
            && let (Some(name), Some(disk)) = (self.links.give_up(image), &self.disk)
        {
            disk.remove(&DiskKey::Link(image.as_str().into()), &name);
        }
        self.pictures.purge(selector, now)
    }

    /// What is kept for reuse, counted. Takes time by all that is kept.
    pub fn contents(&self) -> CacheContents {
        self.pictures.contents()
    }

    /// Holds a picture because a link to it is handed out, for `ttl` from `now`.
    pub fn hold_link(&self, picture: &Arc<GeneratedPicture>, ttl: Duration, now: Instant) {
        let hold = self.links.hold(picture, ttl, now);
        if let (Some(HoldOnDisk { ttl, name }), Some(disk)) = (hold, &self.disk) {
            let (key, about) = (DiskKey::Link(picture.id.clone()), AboutPicture::default());
            disk.keep(ToDisk { key, generated: picture.clone(), about, ttl, name });
        }
    }

    /// Pictures behind links that are in memory and on no disk, with when their links expire.
    pub fn links_in_memory(&self, now: Instant) -> Vec<(Arc<GeneratedPicture>, Instant)> {
        self.links.in_memory(now)
    }

    /// The picture behind a link, if it is still held.
    pub fn linked_picture(&self, id: &str, now: Instant) -> Option<Linked> {
        self.links.get(id, now)
    }

    /// What a language model wrote for `key`, or the turn to have it written. Somebody else's turn is waited for.
    pub fn rewritten<'c>(
        &'c self,
        key: &'c PartsKey,
        now: Instant,
    ) -> impl Future<Output = Result<Arc<str>, RewriteTurn<'c>>> + use<'c> {
        self.prompts.get_or_turn(key, now)
    }

    /// How much is kept at present.
    pub fn size(&self) -> CacheSize {
        CacheSize {
            pictures: self.pictures.bytes(),
            on_disk_alone: self.pictures.cold_bytes(),
            near_index: self.pictures.index_bytes(),
            embeddings: self.pictures.embedding_bytes() + self.asked_embeddings.bytes(),
            links: self.links.bytes(),
            prompts: self.prompts.bytes(),
            links_given_up: self.links.given_up(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;
    use crate::request::ImageRequest;

    #[test]
    fn each_tier_has_the_memory_that_the_config_gives_it_and_follows_a_new_config() {
        let picture = Picture {
            encoded: Encoded::Raw(vec![7; 1000].into()),
            format: Format::Png,
            size: Size::new(1, 1),
            revised_prompt: None,
        };
        let generated = Arc::new(GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 5));
        let request = ImageRequest::from_json(br#"{"prompt": "a fox"}"#).unwrap();
        let canonical = Canonical::new("t", "r", None, &request, 5);
        let (now, hour) = (Instant::now(), Duration::from_secs(3600));
        let bounds =
            |memory, links, prompts| plan::Cache { memory, links, prompts, words: plan::CacheWords::default() };
        let tiers = CacheTiers::new(&bounds(1 << 20, 1 << 20, 1 << 20), None, 5);
        let placed = [PlacedPicture { place: 0, generated: generated.clone() }];
        let kept = Kept { canonical: &canonical, pictures: &placed, offer_digest: [1; 32], ttl: hour, now };
        tiers.keep(&kept, None, None).unwrap();
        tiers.hold_link(&generated, hour, now);
        let full = tiers.size();
        assert!(full.pictures > 1000 && full.links > 1000 && full.prompts == 0, "{full:?}");
        tiers.resize(&bounds(0, 1 << 20, 0), Shares::new(), now);
        assert_eq!(tiers.size(), CacheSize { pictures: 0, ..full });
        tiers.resize(&bounds(0, 0, 0), Shares::new(), now);
        assert_eq!(tiers.size(), CacheSize { pictures: 0, links: 0, links_given_up: 1, ..full });
        assert_eq!(tiers.linked_picture(&generated.id, now), None);
    }
}
