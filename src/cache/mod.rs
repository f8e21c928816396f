//! What is kept for later requests: pictures for requests of the same meaning ([`exact`]), pictures behind links that were
//! handed out ([`link_store`]), and rewritten prompts for requests with the same prompt ([`prompts`]).
//!
//! [`CacheTiers`] is what the gateway talks to, whatever tiers there are. All are bounded in bytes and are handed the time.
//! None decides whether a request may be answered from a cache; that is the route's and the caller's wish, weighed in
//! `gateway`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;
use crate::config::plan;

mod byte_bounded;
pub mod exact;
pub mod generated_picture;
mod link_store;
pub mod prompts;

pub use crate::cache::exact::{CacheLookup, Freshness, Miss, Oversized};
pub use crate::cache::generated_picture::{GeneratedPicture, PlacedPicture};
pub use crate::cache::prompts::{RewriteKey, RewriteTurn};

use crate::cache::exact::ExactCache;
use crate::cache::link_store::LinkStore;
use crate::cache::prompts::PromptCache;

/// All that is kept for later requests.
pub struct CacheTiers {
    exact: ExactCache,
    links: LinkStore,
    prompts: PromptCache,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize {
    /// Bytes of pictures kept for reuse.
    pub pictures: u64,
    /// Bytes of pictures held behind links.
    pub links: u64,
    /// Bytes of rewritten prompts.
    pub prompts: u64,
    /// Links that were given up before their time because the bound was reached, since the start.
    pub links_given_up: u64,
}

impl CacheTiers {
    /// Nothing yet, and at most as much as the config says.
    pub fn new(config: &plan::Cache) -> CacheTiers {
        CacheTiers {
            exact: ExactCache::new(config.memory),
            links: LinkStore::new(config.links),
            prompts: PromptCache::new(config.prompts),
        }
    }

    /// Changes the bounds. What is too much is dropped at once.
    pub fn resize(&self, config: &plan::Cache, now: Instant) {
        self.exact.resize(config.memory);
        self.links.resize(config.links, now);
        self.prompts.resize(config.prompts);
    }

    /// Up to `n` pictures that were drawn for `canonical`.
    pub fn look_up(&self, canonical: &Canonical, n: u8, freshness: &Freshness<'_>) -> CacheLookup {
        self.exact.look_up(canonical, n, freshness)
    }

    /// Keeps `pictures` for requests like `canonical`. `offer_digest` says how the offer that drew them was told to draw.
    ///
    /// # Errors
    /// When some of them are too much for what one request may take. The others are kept.
    pub fn insert(
        &self,
        canonical: &Canonical,
        pictures: &[PlacedPicture],
        offer_digest: Digest,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), Oversized> {
        self.exact.insert(canonical, pictures, offer_digest, ttl, now)
    }

    /// Gives a tenant no picture of this id any more, whatever it was drawn for. Takes time by all that is kept.
    pub fn forget(&self, tenant: &str, id: &str) {
        self.exact.forget(tenant, id);
    }

    /// Holds a picture because a link to it is handed out, for `ttl` from `now`.
    pub fn hold_link(&self, picture: &Arc<GeneratedPicture>, ttl: Duration, now: Instant) {
        self.links.hold(picture, ttl, now);
    }

    /// The picture behind a link, if it is still held.
    pub fn linked_picture(&self, id: &str, now: Instant) -> Option<Arc<GeneratedPicture>> {
        self.links.get(id, now)
    }

    /// What a language model wrote for `key`, or the turn to have it written. Somebody else's turn is waited for.
    pub fn rewritten<'c>(
        &'c self,
        key: &'c RewriteKey,
        now: Instant,
    ) -> impl Future<Output = Result<Arc<str>, RewriteTurn<'c>>> + use<'c> {
        self.prompts.get_or_turn(key, now)
    }

    /// How much is kept at present.
    pub fn size(&self) -> CacheSize {
        CacheSize {
            pictures: self.exact.bytes(),
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
        let tiers = CacheTiers::new(&plan::Cache { memory: 1 << 20, links: 1 << 20, prompts: 1 << 20 });
        let placed = [PlacedPicture { place: 0, generated: generated.clone() }];
        tiers.insert(&canonical, &placed, [1; 32], hour, now).unwrap();
        tiers.hold_link(&generated, hour, now);
        let full = tiers.size();
        assert!(full.pictures > 1000 && full.links > 1000 && full.prompts == 0, "{full:?}");
        tiers.resize(&plan::Cache { memory: 0, links: 1 << 20, prompts: 0 }, now);
        assert_eq!(tiers.size(), CacheSize { pictures: 0, ..full });
        tiers.resize(&plan::Cache { memory: 0, links: 0, prompts: 0 }, now);
        assert_eq!(tiers.size(), CacheSize { pictures: 0, links: 0, links_given_up: 1, ..full });
        assert_eq!(tiers.linked_picture(&generated.id, now), None);
    }
}
