//! The embedding of a request's words, and what is known of it.

use std::sync::Arc;

use crate::cache::AskedEmbedding;
use crate::config::plan::NearEmbedding;
use crate::money::Usd;
use crate::similarity::Embedding;

/// The embedding of a request's words.
#[derive(Clone, Debug)]
pub struct WordsEmbedding {
    /// It.
    pub embedding: Arc<Embedding>,
    /// The hash of what decides which embedding a text has.
    pub embedder: u64,
}

impl WordsEmbedding {
    /// As the cache is asked by it.
    pub fn asked(&self, near: &NearEmbedding) -> AskedEmbedding<'_> {
        AskedEmbedding { embedding: &self.embedding, embedder: self.embedder, threshold: near.threshold }
    }
}

/// What a request knows of the embedding of its words.
#[derive(Debug, Default)]
pub struct RequestEmbedding {
    /// It was asked for, whatever came of that: once is enough.
    pub tried: bool,
    /// The embedding, where there is one of use.
    pub words: Option<WordsEmbedding>,
    /// What it adds to the invoice.
    pub cost: Usd,
    /// What was paid for it, in advance or not, or may have been.
    pub promised: Usd,
}
