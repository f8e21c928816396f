//! A client's verdict on a picture it was given: written down, counted, and obeyed by the cache.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::gateway::Gateway;
use crate::request::{Feedback, Verdict};
use crate::store::StoreError;

/// What a verdict did. The word goes to the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedbackEffect {
    /// The picture is held otherwise than before.
    Changed,
    /// It was said before.
    Unchanged,
    /// This tenant was given no such picture.
    Unknown,
}

impl FeedbackEffect {
    /// The word for the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            FeedbackEffect::Changed => "changed",
            FeedbackEffect::Unchanged => "unchanged",
            FeedbackEffect::Unknown => "unknown",
        }
    }
}

impl Gateway {
    /// Takes a tenant's verdict. A rejected picture is served to it from the cache no more, said once or twice. The same
    /// bytes drawn anew are another delivery, which may be judged anew.
    ///
    /// # Errors
    /// When the ledger cannot be written; nothing is changed then.
    pub async fn judge(&self, tenant: Arc<str>, feedback: Feedback) -> Result<FeedbackEffect, StoreError> {
        let Feedback { image_id, verdict, reason } = feedback;
        let judged = self.shared.durable_ledger.judge(&image_id, &tenant, verdict, reason).await?;
        let effect = match &judged {
            None => FeedbackEffect::Unknown,
            Some(judged) if judged.changed => FeedbackEffect::Changed,
            Some(_) => FeedbackEffect::Unchanged,
        };
        self.shared.metrics.feedback.with_label_values(&[verdict.as_str(), effect.as_str()]).inc();
        if judged.is_some() && verdict == Verdict::Rejected {
            let shared = self.shared.clone();
            // All that is kept is looked through, which may be much.
            let forgotten =
                spawn_blocking(move || shared.cache.forget(&tenant, &image_id, std::time::Instant::now())).await;
            if let Err(error) = forgotten {
                log::error!("a rejected picture may still be in the cache: {error}");
            }
        }
        Ok(effect)
    }
}
