//! What is asked of the cache, and what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::disk_tier::ContentHash;
use crate::cache::generated_picture::PlacedPicture;
use crate::cache::shares::Shareholder;
use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;
use crate::prompt_match::{LearnedPairs, NearMiss, WordLists};
use crate::similarity::{Embedding, Similarity};

/// A request, as the cache looks it up.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What it means.
    pub canonical: &'a Canonical,
    /// Pictures wanted.
    pub n: u8,
    /// So many different pictures are drawn before one is served again.
    pub variants: u8,
    /// What other words may mean the same; `None` takes the same characters alone.
    pub near: Option<&'a Arc<WordLists>>,
    /// Pairs of words that mean the same to the tenant as well.
    pub learned: Option<&'a LearnedPairs>,
    /// Whether what is found is served; a look that only tells takes nobody's turn.
    pub serves: bool,
    /// Who asks: whoever asks again gets another picture, where there are several.
    pub caller: u64,
    /// What a picture must be to be served.
    pub freshness: Freshness<'a>,
}

impl Asked<'_> {
    /// How many pictures are to be drawn where `available` different ones are there.
    pub fn to_draw(&self, available: u8) -> u8 {
        // With a seed each picture is one of its own, and there are no others to choose from.
        let variants = if self.canonical.seeded() { 1 } else { self.variants };
        self.n.min(self.n.max(variants).saturating_sub(available))
    }

    /// How many requests like it may draw at once where `available` different pictures are there: as many as it takes to
    /// have all the route wants.
    pub fn flights(&self, available: u8) -> usize {
        let missing = if self.canonical.seeded() { self.n } else { self.n.max(self.variants) };
        usize::from(missing.saturating_sub(available).div_ceil(self.to_draw(available).max(1)).max(1))
    }
}

/// The embedding of a request's words, by which requests with others are found.
#[derive(Clone, Copy)]
pub struct AskedEmbedding<'a> {
    /// The embedding.
    pub embedding: &'a Embedding,
    /// The hash of what decides which embedding a text has.
    pub embedder: u64,
    /// From which likeness on pictures are right.
    pub threshold: Similarity,
}

/// A request whose words are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlikeRequest {
    /// Its key.
    pub key: u128,
    /// Its words.
    pub prompt: String,
    /// How alike they are.
    pub similarity: Similarity,
}

/// What a picture must be to be served.
#[derive(Clone, Copy)]
pub struct Freshness<'a> {
    /// Kept for less than this.
    pub ttl: Duration,
    /// The time.
    pub now: Instant,
    /// How the offer of this name draws now (`canonical::rules::offer_digest`). The pictures of an offer that is gone are good.
    pub offer_digest: &'a (dyn Fn(&str) -> Option<Digest> + Sync),
}

/// Kept pictures that a request missed by one pair of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedPool {
    /// The pair.
    pub near_miss: NearMiss,
    /// The prompt that they were drawn for.
    pub prompt: String,
}

/// What a look comes to.
pub enum Looked {
    /// This.
    Found(CacheLookup),
    /// These pictures are to be read from disk, and then it is to be looked again.
    Cold(Vec<ColdPicture>),
}

/// A picture that is to be read from disk.
pub struct ColdPicture {
    /// The key of its pool.
    pub key: u128,
    /// Its id.
    pub id: Arc<str>,
    /// Its name on disk.
    pub name: ContentHash,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheLookup {
    /// All pictures wanted.
    Hit(Found),
    /// Some of the pictures wanted; the others are to be drawn.
    Part(Found),
    /// None; all are to be drawn.
    Miss(Miss),
}

impl CacheLookup {
    /// How many different pictures there are for the request, served or not.
    pub fn available(&self) -> u8 {
        match self {
            CacheLookup::Hit(found) | CacheLookup::Part(found) => found.available,
            CacheLookup::Miss(Miss::Variant { available }) => *available,
            CacheLookup::Miss(_) => 0,
        }
    }
}

/// Pictures that may be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// By their places.
    pub pictures: Vec<PlacedPicture>,
    /// How each of them was found.
    pub tiers: Vec<Tier>,
    /// Words of this request and what stands for them where the pictures were drawn for other words: `sofa=couch`. They
    /// are the caller's own, so they go into a header only after they were made fit for one.
    pub differences: Vec<String>,
    /// How alike the words are of those that were found by an embedding, the least alike.
    pub similarity: Option<Similarity>,
    /// How many different pictures there are for the request, served or not.
    pub available: u8,
}

impl Found {
    /// How the one that was drawn for the words farthest from these was found.
    pub fn tier(&self) -> Tier {
        self.tiers.iter().copied().max().unwrap_or(Tier::Exact)
    }
}

/// How a request was found whose pictures are right for another. The word goes to log, metric, ledger and header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// It has the same characters.
    Exact,
    /// It has the same canonical form.
    Canonical,
    /// Its words differ, and every difference is explained.
    Near,
    /// Its words differ, no guard stops them, and their embeddings are as alike as was certified.
    Embedding,
}

impl Tier {
    /// All of them, the nearest first.
    pub const ALL: [Tier; 4] = [Tier::Exact, Tier::Canonical, Tier::Near, Tier::Embedding];

    /// The word for log, metric, ledger and header.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Exact => "exact",
            Tier::Canonical => "canonical",
            Tier::Near => "near",
            Tier::Embedding => "embedding",
        }
    }
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
    /// Seen, but the route wants more different pictures of it before one is served again.
    Variant {
        /// Those that are there.
        available: u8,
    },
}

impl Miss {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Miss::Absent => "miss",
            Miss::Expired => "expired",
            Miss::Stale => "stale",
            Miss::Collision => "collision",
            Miss::Variant { .. } => "variant",
        }
    }
}

/// What is kept for reuse, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheContents {
    /// Requests that have pictures.
    pub requests: usize,
    /// Their pictures.
    pub pictures: usize,
    /// Requests that are found in other words.
    pub indexed: usize,
    /// Those that found no room among them, since the start.
    pub not_indexed: usize,
    /// Requests that are found by an embedding.
    pub embedded: usize,
    /// Those that gave way to others among them, since the start.
    pub embeddings_given_up: u64,
    /// How many bytes each tenant and each route holds.
    pub holders: Vec<(Shareholder, u64)>,
}
