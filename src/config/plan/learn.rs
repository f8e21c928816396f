//! Who is asked whether two words mean the same, and what that may cost.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::config::plan::model::TextModel;
use crate::config::plan::near::NearEmbedding;
use crate::config::plan::provider::Provider;
use crate::money::Usd;

/// Who is asked about prompts that differ in one pair of words from one whose pictures are kept.
#[derive(Clone, Debug)]
pub struct Learn {
    /// Who that is.
    pub judge: EquivalenceJudge,
    /// `provider/model`.
    pub name: Arc<str>,
    /// The most that its answers may cost in any 24 hours.
    pub max_usd_per_day: Usd,
    /// Questions in a minute.
    pub per_minute: NonZeroU32,
    /// How long an answer holds.
    pub ttl: Duration,
    /// How long one is waited for.
    pub timeout: Duration,
}

/// Who says whether two words mean the same.
#[derive(Clone, Debug)]
pub enum EquivalenceJudge {
    /// A model that writes is asked.
    Chat {
        /// Where the model is.
        provider: Arc<Provider>,
        /// It.
        model: Arc<TextModel>,
    },
    /// They do where both prompts are alike enough to a model that embeds.
    Embedding(Arc<NearEmbedding>),
}
