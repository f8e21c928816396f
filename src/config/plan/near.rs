//! `near: {embedding: ...}` as it runs.

use std::sync::Arc;
use std::time::Duration;

use crate::config::plan::model::TextModel;
use crate::config::plan::provider::Provider;
use crate::similarity::Similarity;

/// How pictures are found by embeddings of their words.
#[derive(Clone, Debug)]
pub struct NearEmbedding {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model.
    pub model: Arc<TextModel>,
    /// `provider/model`, the name in logs, metrics and headers.
    pub name: String,
    /// From which likeness on pictures are found.
    pub threshold: Similarity,
    /// How many numbers an embedding has that the threshold was certified for; `None` where none was.
    pub dimensions: Option<u16>,
    /// Nothing is served: it is only told what would have been.
    pub shadow: bool,
    /// Longest wait for an embedding.
    pub timeout: Duration,
}

impl NearEmbedding {
    /// All that decides which embedding a text has. Only embeddings of the same can be compared.
    pub fn meaning(&self) -> Vec<String> {
        let NearEmbedding { provider, model, .. } = self;
        let TextModel { name, price: _, rate: _, options } = &**model;
        let options = options.iter().flat_map(|(key, value)| [key.clone(), value.to_string()]);
        [provider.account.base_url.to_string(), name.clone()].into_iter().chain(options).collect()
    }
}
