//! What became of a request: everything the answer, the log line and the metrics need, and nothing of HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{GeneratedPicture, Tier};
use crate::capabilities::OutputSize;
use crate::config::plan::QualityCheck;
use crate::error::Error;
use crate::gateway::timeline::{GateRecord, Step};
use crate::idempotency::KeyUse;
use crate::money::Usd;
use crate::quality::PictureQuality;
use crate::request::{Quality, ResponseFormat};
use crate::similarity::Similarity;

/// How the cache took part. The word goes to log, metric and `x-easel-cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheUse {
    /// All pictures came from it, the farthest from this tier.
    Hit(Tier),
    /// Some came from it, the rest was bought.
    Pool,
    /// None was there.
    Miss,
    /// The caller or the route did not want it.
    Bypass,
    /// An identical request was already being drawn.
    Joined,
    /// It was not looked into: the answer was kept for the request's idempotency key.
    Replayed,
}

impl CacheUse {
    /// The word for log, metric and header.
    pub fn as_str(self) -> &'static str {
        match self {
            CacheUse::Hit(tier) => tier.as_str(),
            CacheUse::Pool => "pool",
            CacheUse::Miss => "miss",
            CacheUse::Bypass => "bypass",
            CacheUse::Joined => "joined",
            CacheUse::Replayed => "replayed",
        }
    }
}

/// Calls of one request that are told one by one; the rest is only counted. A request for ten pictures, one a call, through
/// two offers that fail has twenty.
pub const MOST_CALL_RECORDS: usize = 32;

/// What a call's record says that brought what it was asked for.
pub const CALL_OK: &str = "ok";

/// One call that was made for a request, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// `provider/model`.
    pub offer: String,
    /// Why it was asked.
    pub reason: &'static str,
    /// `ok`, or the failure's word.
    pub outcome: &'static str,
    /// From the first byte sent to the last picture fetched.
    pub took: Duration,
    /// What it cost.
    pub usd: Usd,
    /// When it began.
    pub began: Instant,
    /// How many pictures it was asked for.
    pub asked: usize,
    /// The seed that it was asked with.
    pub seed: Option<u32>,
    /// The size that it was asked for.
    pub size: OutputSize,
    /// The quality that it was asked for.
    pub quality: Option<Quality>,
    /// How its pictures were held to the quality gate, where they were.
    pub gate: Option<GateRecord>,
}

/// A call that is under way, as it is told when its request is answered without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUnderWay {
    /// `provider/model`.
    pub offer: String,
    /// Why it was asked.
    pub reason: &'static str,
    /// When it began.
    pub began: Instant,
    /// How many pictures it was asked for.
    pub asked: usize,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The config that served it.
    pub version: u64,
    /// The route, where one matched.
    pub route: Option<String>,
    /// How the cache took part.
    pub cache: CacheUse,
    /// The caller's words that differ from those that delivered pictures were drawn for, as `sofa=couch`.
    pub near: Vec<String>,
    /// How alike the words are of delivered pictures that were found by an embedding, the least alike.
    pub similarity: Option<Similarity>,
    /// The request that drew for it as well, by its id, where it followed that one's flight.
    pub joined: Option<Arc<str>>,
    /// How its idempotency key took part, if it has one and was neither refused nor wrong before that counted.
    pub idempotency: Option<KeyUse>,
    /// What this request paid, and what is set aside for a hedge or a hedged call that is still under way; a follower and a
    /// hit pay nothing.
    pub cost: Usd,
    /// Calls made for it.
    pub attempts: u32,
    /// Those of them that have ended, in that order.
    pub calls: Vec<CallRecord>,
    /// The others.
    pub under_way: Vec<CallUnderWay>,
    /// Offers not asked, and why.
    pub skipped: Vec<(String, &'static str)>,
    /// Offers of the route that nothing kept from being asked, and whose turn did not come.
    pub not_needed: Vec<String>,
    /// The model that was to rewrite the prompt, and what became of it. `None` without one, and where nothing was drawn.
    pub enriched: Option<(String, &'static str)>,
    /// Pictures wanted.
    pub wanted: u8,
    /// How the pictures are handed out: by the caller's word, or the route's, or as base64.
    pub format: ResponseFormat,
    /// What it waited for besides its calls, where it is traced.
    pub steps: Vec<Step>,
    /// The pictures, at least one, or why there is none.
    pub result: Result<Vec<Arc<GeneratedPicture>>, Error>,
}

impl Outcome {
    /// An outcome before anything was tried.
    pub fn failed(version: u64, error: Error) -> Outcome {
        Outcome {
            version,
            route: None,
            cache: CacheUse::Bypass,
            near: Vec::new(),
            similarity: None,
            joined: None,
            idempotency: None,
            cost: Usd::ZERO,
            attempts: 0,
            calls: Vec::new(),
            under_way: Vec::new(),
            skipped: Vec::new(),
            not_needed: Vec::new(),
            enriched: None,
            wanted: 0,
            format: ResponseFormat::B64Json,
            steps: Vec::new(),
            result: Err(error),
        }
    }

    /// How many of the delivered pictures each offer drew, by its name.
    pub fn served_by(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for kept in self.result.iter().flatten() {
            *counts.entry(&*kept.drawn_by).or_default() += 1;
        }
        counts
    }

    /// Calls that brought nothing to deliver, or less than was asked for: each offer with each of its words once, in the
    /// order in which that came.
    pub fn failed_offers(&self) -> Vec<(&str, &'static str)> {
        let mut failed: Vec<(&str, &'static str)> = Vec::new();
        for call in self.calls.iter().filter(|call| call.outcome != CALL_OK) {
            if !failed.contains(&(&*call.offer, call.outcome)) {
                failed.push((&call.offer, call.outcome));
            }
        }
        failed
    }

    /// Wishes that were changed for the delivered pictures, each once.
    pub fn adjusted(&self) -> Vec<&str> {
        let mut told: Vec<&str> = Vec::new();
        for change in self.result.iter().flatten().flat_map(|kept| kept.adjusted.iter()) {
            if !told.contains(&change.as_str()) {
                told.push(change);
            }
        }
        told
    }

    /// What the quality gate says of delivered pictures that it accepted: each picture's place in the answer, and its words.
    pub fn flagged(&self) -> Vec<(usize, &[QualityCheck])> {
        self.checks(|quality| &quality.flagged)
    }

    /// Delivered pictures that the quality gate rejected, for nothing better came, and why.
    pub fn rejected(&self) -> Vec<(usize, &[QualityCheck])> {
        self.checks(|quality| &quality.rejected)
    }

    fn checks<'a>(
        &'a self,
        which: impl Fn(&'a PictureQuality) -> &'a Vec<QualityCheck>,
    ) -> Vec<(usize, &'a [QualityCheck])> {
        let pictures = self.result.iter().flatten().enumerate();
        let checked = pictures.filter_map(|(nth, kept)| Some((nth, which(kept.quality.as_deref()?).as_slice())));
        checked.filter(|(_, checks)| !checks.is_empty()).collect()
    }

    /// The word for log and metric: `ok`, `partial`, or the error's code, as the caller reads it.
    pub fn as_str(&self) -> &'static str {
        match &self.result {
            Ok(pictures) if pictures.len() < usize::from(self.wanted) => "partial",
            Ok(_) => "ok",
            Err(error) => error.code(),
        }
    }
}
