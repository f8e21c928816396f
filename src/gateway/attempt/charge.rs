//! What an attempt is charged: for which pictures, delivered or not, and what may have been charged besides.
//!
//! What a picture costs is reckoned in `pricing/bill.rs`, what is charged without one in `pricing/undelivered.rs`, and
//! the ledger adds it up. Nothing here asks anybody anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::cache::GeneratedPicture;
use crate::failure::{Class, Failure};
use crate::gateway::attempt::attempt_result::{
    AttemptReport, CollectedPicture, CollectedPictures, FailedAttempt, RejectedPicture,
};
use crate::gateway::attempt::context::Attempt;
use crate::gateway::best_effort::BestEffort;
use crate::image::Size;
use crate::ledger::{Charge, Hold};
use crate::money::Usd;
use crate::pricing::bill::BillInput;
use crate::pricing::undelivered::Undelivered;
use crate::pricing::volume_tiers::tiers_for;
use crate::pricing::{Reported, Usage};
use crate::request::Quality;
use crate::upstream::offload::offload;

impl Attempt {
    /// Books what an attempt cost and reports it with each picture's price.
    pub(super) async fn book(
        self: &Arc<Self>,
        hold: Hold,
        ended: Result<CollectedPictures, FailedAttempt>,
        took: Duration,
    ) -> AttemptReport {
        let open = match &ended {
            Ok(collected) => collected.out_of_reach,
            Err(failed) => failed.open,
        };
        let (collected, undelivered) = self.undelivered(ended);
        let rejections = collected.rejections();
        let lost = lost_sizes(undelivered.lost, &collected.rejected);
        let CollectedPictures { pictures, mut rejected, refused, usage, failure, gate, .. } = collected;
        let sizes: Vec<Size> = pictures.iter().map(|picture| picture.picture.size).collect();
        let at = pictures.iter().map(|picture| picture.at).collect();
        let (source, amount) = self.bill().amount(&sizes, &lost, &usage);
        let (generated, best_effort) = self.clone().named_apart(pictures, &mut rejected).await;
        let charge = Charge {
            amount,
            source,
            tiers: tiers_for(&self.offer.model.volume, &self.offer.model.price, &self.request),
            fee: self.offer.model.price.fee,
            uncertain: undelivered.uncertain,
            refused: u32::from(refused),
            rejections,
            outcome: failure.as_ref().map_or("ok", |failure| failure.class.as_str()),
            took,
            images: generated.iter().map(|picture| picture.id.clone()).collect(),
        };
        let settled = self.shared.durable_ledger.settle(hold, charge).await;
        let priced = generated.into_iter().zip(settled.prices());
        let pictures = priced.map(|(generated, usd)| Arc::new(GeneratedPicture { usd, ..generated })).collect();
        let (cost, uncertain) = (settled.settlement.usd, undelivered.uncertain);
        let promised = cost.saturating_add(settled.settlement.prepaid);
        let rejected = rejected.len();
        AttemptReport { pictures, at, cost, promised, uncertain, refused, rejected, best_effort, failure, gate, open }
    }

    /// Names pictures where that may take its time: the good ones, and those that are delivered if nothing better comes.
    async fn named_apart(
        self: Arc<Self>,
        pictures: Vec<CollectedPicture>,
        rejected: &mut [RejectedPicture],
    ) -> (Vec<GeneratedPicture>, Vec<BestEffort>) {
        let spare: Vec<_> = rejected.iter_mut().filter_map(|rejected| rejected.best_effort.take()).collect();
        let all = pictures.iter().chain(spare.iter().map(|(_, picture)| picture));
        let bytes = all.map(|picture| picture.picture.weight()).sum();
        let work = move || {
            let best_effort = spare.into_iter().map(|(badness, picture)| {
                let at = picture.at;
                BestEffort { at, badness, generated: Arc::new(self.named(picture)) }
            });
            let best_effort = best_effort.collect();
            (pictures.into_iter().map(|picture| self.named(picture)).collect(), best_effort)
        };
        offload(bytes, work).await
    }

    /// What was collected, which is nothing but a usage for a call that failed, and what was charged besides.
    fn undelivered(&self, ended: Result<CollectedPictures, FailedAttempt>) -> (CollectedPictures, Undelivered) {
        match ended {
            Ok(collected) => {
                let undelivered = self.undelivered_of(&collected);
                (collected, undelivered)
            }
            Err(failed) => {
                let undelivered = self.lost(&failed);
                let counted = failed.failure.counted.as_deref().cloned().unwrap_or_default();
                let usage = Usage { counted, ..Usage::default() };
                (
                    CollectedPictures { failure: Some(failed.failure), usage, ..CollectedPictures::default() },
                    undelivered,
                )
            }
        }
    }

    /// What an answer charges for pictures that it withheld, that are broken or that the route does not take.
    fn undelivered_of(&self, collected: &CollectedPictures) -> Undelivered {
        let (charges, each) = (self.offer.provider.billing.charges, self.candidate.usd);
        let (refused, told) = (usize::from(collected.refused), usize::from(collected.refused_billed));
        let refused = Undelivered::by_rule(charges.refused, refused, told, each);
        let thrown_away = collected.rejected.len();
        refused.and(Undelivered::by_rule(charges.rejected, thrown_away, thrown_away, each))
    }

    /// What a failed attempt charges: nothing to deliver, but perhaps something to pay.
    fn lost(&self, failed: &FailedAttempt) -> Undelivered {
        let FailedAttempt { failure, open, noted } = failed;
        let (charges, each) = (self.offer.provider.billing.charges, self.candidate.usd);
        let (all, told) = (usize::from(self.n), usize::from(failure.billed));
        if *open {
            let told = (told > 0 || self.is_told(failure)).then_some(told);
            return charges.of_abandoned(all, told, || self.may_cost(noted.as_ref()));
        }
        match failure.class {
            Class::Policy => Undelivered::by_rule(charges.refused, all, told, each),
            Class::Server | Class::Malformed => Undelivered::by_rule(charges.failed, all, told, each),
            _ => Undelivered::lost(told),
        }
    }

    /// Whether the vendor counted what the failed call took, in something that has a price.
    fn is_told(&self, failure: &Failure) -> bool {
        let usage = Usage { counted: failure.counted.as_deref().cloned().unwrap_or_default(), ..Usage::default() };
        self.bill().counted(false, 0, &usage).is_some_and(|usd| usd > Usd::ZERO)
    }

    /// A call that was sent and never answered, one whose answer says nothing, and a job that was lost, may have been
    /// drawn and billed: at what the vendor noted or else at their estimate.
    fn may_cost(&self, noted: Option<&Reported>) -> Usd {
        let estimate = || self.candidate.usd.checked_mul(u32::from(self.n)).unwrap_or(Usd::ZERO);
        let with_fee = |usd: Usd| usd.checked_add(self.offer.model.price.fee);
        noted.and_then(|noted| self.bill().reported(noted)).and_then(with_fee).unwrap_or_else(estimate)
    }

    /// What is known for the bill.
    fn bill(&self) -> BillInput<'_> {
        BillInput {
            price: &self.offer.model.price,
            request: &self.request,
            fitted: &self.candidate.fitted,
            usual: self.provider.usual(&self.offer.provider.account, &self.offer.model),
            sent_quality: self.sent_quality(),
            listed: self.candidate.listed,
        }
    }

    /// The quality that was sent. What the config sends with every call goes over what was asked.
    fn sent_quality(&self) -> Option<Quality> {
        let fixed = |fields: &BTreeMap<String, Value>| fields.get("quality").and_then(Value::as_str)?.parse().ok();
        let constants = &self.offer.provider.account.dialect.constants;
        fixed(&self.offer.model.options).or_else(|| fixed(constants)).or(self.candidate.fitted.quality)
    }
}

/// The sizes of `lost` pictures that are charged and not delivered, where they are known: those that were rejected, and no
/// size for those that never came.
fn lost_sizes(lost: usize, rejected: &[RejectedPicture]) -> Vec<Option<Size>> {
    let known = rejected.iter().map(|rejected| rejected.size).take(lost);
    let known: Vec<Option<Size>> = known.collect();
    let unknown = lost.saturating_sub(known.len());
    std::iter::repeat_n(None, unknown).chain(known).collect()
}
