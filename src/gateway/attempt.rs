//! One attempt with one offer: ask and poll until the vendor is done (`submit_and_poll`), fetch and check the pictures
//! (`collect`, `fetch`), book what it cost (`charge`).
//!
//! An attempt never repeats a call that may have been paid for.

use std::sync::Arc;

use tokio::time::Instant;

use crate::failure::{Class, Failure};
use crate::gateway::attempt::attempt_result::{CollectedPictures, FailedAttempt};
use crate::gateway::attempt::submit_and_poll::Conversation;
use crate::gateway::durable_ledger::OpenedAttempt;
use crate::metrics::seconds;

mod attempt_result;
mod backoff;
mod charge;
mod collect;
mod context;
mod fetch;
mod gate;
mod job_state;
mod redirect;
mod submit_and_poll;

pub use crate::gateway::attempt::attempt_result::AttemptReport;
pub use crate::gateway::attempt::context::Attempt;

impl Attempt {
    /// Runs the attempt to its end and books its cost. Nothing is sent before it is written down.
    pub async fn run(self: Arc<Self>, opened: OpenedAttempt) -> AttemptReport {
        let hold = match opened.written().await {
            Ok(hold) => hold,
            Err((hold, _)) => {
                self.shared.durable_ledger.release(hold);
                let failure = Failure::new(Class::Unrecorded, "the ledger cannot be written");
                return AttemptReport { failure: Some(failure), ..AttemptReport::default() };
            }
        };
        let began = Instant::now();
        let ended = self.ask(hold.id(), began + self.offer.provider.timeout).await;
        self.count_verdicts(&ended);
        let report = self.book(hold, ended, began.elapsed()).await;
        let (provider, model) = (self.offer.provider.name.as_str(), self.offer.model.name.as_str());
        let metrics = &self.shared.metrics;
        let outcome = report.failure.as_ref().map_or("ok", |failure| failure.class.as_str());
        metrics.attempts.with_label_values(&[provider, model, outcome]).inc();
        metrics.attempt_seconds.with_label_values(&[provider, model]).observe(seconds(began.elapsed()));
        report
    }

    /// Asks the vendor and collects what it drew. `entry` is the attempt's number in the ledger.
    async fn ask(self: &Arc<Self>, entry: i64, deadline: Instant) -> Result<CollectedPictures, FailedAttempt> {
        let (drawn, body) = Conversation::begin(self, deadline).await?.run().await?;
        let collected = self.collect_pictures(drawn, body).await;
        Ok(self.hold_to_gate(entry, collected).await)
    }

    /// Counts pictures by what became of them.
    fn count_verdicts(&self, ended: &Result<CollectedPictures, FailedAttempt>) {
        match ended {
            Ok(collected) => {
                self.count("delivered", collected.pictures.len());
                let rejections = collected.rejections();
                self.count("rejected", rejections.count() as usize);
                rejections.by_reason().for_each(|(reason, pictures)| self.count_rejected(reason, pictures));
                self.count("refused", usize::from(collected.refused));
                let judged = collected.pictures.iter().filter_map(|picture| picture.quality.as_deref());
                judged.flat_map(|quality| &quality.flagged).for_each(|check| self.count_flagged(check.as_str()));
            }
            Err(FailedAttempt { failure: Failure { class: Class::Policy, .. }, .. }) => {
                self.count("refused", usize::from(self.n));
            }
            Err(_) => {}
        }
    }

    fn count_rejected(&self, reason: &str, pictures: u32) {
        let labels = [self.offer.provider.name.as_str(), &self.offer.model.name, reason];
        self.shared.metrics.rejected.with_label_values(&labels).inc_by(pictures.into());
    }

    fn count_flagged(&self, reason: &str) {
        let labels = [self.offer.provider.name.as_str(), &self.offer.model.name, reason];
        self.shared.metrics.flagged.with_label_values(&labels).inc();
    }

    fn count(&self, verdict: &str, pictures: usize) {
        let labels = [self.offer.provider.name.as_str(), &self.offer.model.name, verdict];
        if pictures > 0 {
            self.shared.metrics.images.with_label_values(&labels).inc_by(pictures as u64);
        }
    }
}
