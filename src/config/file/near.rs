//! `near:` of a route's cache as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Decimal, OFFER, Percent, Time};

/// Which other words may mean the same picture.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Near {
    /// By a word.
    Word(NearWord),
    /// Those of `verified`, and those whose embeddings are alike.
    Embedding(Box<NearEmbedding>),
}

/// Which other words may mean the same picture.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum NearWord {
    /// None: the same characters alone.
    Off,
    /// Those in which every difference is explained.
    Verified,
}

/// Those in which every difference is explained, and those whose embeddings are so alike as `easel calibrate` certified.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct NearEmbedding {
    /// provider/model, the provider being of kind openai_text. Required.
    #[schemars(extend("pattern" = OFFER))]
    pub(in crate::config) embedding: Option<String>,
    /// How many of the prompts that mean different pictures may be taken for the same, with 95% confidence, where no guard
    /// stops them. Default 1%.
    pub(in crate::config) max_false_hit: Option<Percent>,
    /// From which likeness on pictures are served, and what that rests on: `easel calibrate` writes it. Required unless `shadow`.
    pub(in crate::config) certified: Option<CertifiedThreshold>,
    /// Serve nothing, and only tell what would have been served. Default false.
    pub(in crate::config) shadow: Option<bool>,
    /// From which likeness on it is told, with `shadow` alone.
    pub(in crate::config) threshold: Option<Decimal>,
    /// Longest wait for the embedding of a prompt; without one the picture is drawn. Default 1s.
    pub(in crate::config) timeout: Option<Time>,
}

/// From which likeness on pictures are served, and what that rests on.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct CertifiedThreshold {
    /// The likeness, up to 1. Required.
    pub(in crate::config) threshold: Option<Decimal>,
    /// Labelled pairs that mean different pictures. Required.
    pub(in crate::config) negatives: Option<u64>,
    /// How many of them are so alike and no guard stops them. Required.
    pub(in crate::config) false_hits: Option<u64>,
    /// How many numbers an embedding has. Required.
    pub(in crate::config) dimensions: Option<u64>,
}
