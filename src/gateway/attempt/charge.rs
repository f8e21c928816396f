//! What an attempt is charged: for which pictures, delivered or not, and what may have been charged besides.
//!
//! What a picture costs stands in `bill.rs`, and the ledger adds it up. What a vendor charges without a picture to show
//! for it can be overridden by the config. Nothing here asks anybody anything.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Kept;
use crate::config::plan::Charged;
use crate::failure::{Class, Failure};
use crate::gateway::attempt::inputs::Attempt;
use crate::gateway::attempt::results::{Collected, FailedAttempt, Report};
use crate::image::Picture;
use crate::ledger::{self, Charge, Hold};
use crate::money::Usd;
use crate::provider::{Reported, Usage};
use crate::upstream::blocking_pool::offload;

/// What was charged that brought nothing, and what may have been.
#[derive(Clone, Copy, Debug, Default)]
struct Undelivered {
    /// Pictures.
    lost: usize,
    /// Dollars.
    uncertain: Usd,
}

impl Attempt {
    /// Books what an attempt cost and reports it with each picture's price.
    pub(super) async fn book(
        self: &Arc<Self>,
        hold: Hold,
        ended: Result<Collected, FailedAttempt>,
        took: Duration,
    ) -> Report {
        let open = match &ended {
            Ok(collected) => collected.out_of_reach,
            Err(failed) => failed.open,
        };
        let (collected, undelivered) = self.undelivered(ended);
        let Collected { pictures, at, refused, usage, failure, .. } = collected;
        let (source, amount) = self.amount(&pictures, undelivered.lost, &usage);
        let kept = self.clone().named_apart(pictures).await;
        let charge = Charge {
            amount,
            source,
            tiers: ledger::tiers(&self.offer.model, &self.request),
            fee: self.offer.model.price.fee,
            uncertain: undelivered.uncertain,
            refused: u32::from(refused),
            outcome: failure.as_ref().map_or("ok", |failure| failure.class.word()),
            took,
            images: kept.iter().map(|kept| kept.id.clone()).collect(),
        };
        let settled = self.shared.journal.settle(hold, charge).await;
        let priced = kept.into_iter().zip(settled.prices());
        let pictures = priced.map(|(kept, usd)| Arc::new(Kept { usd, ..kept })).collect();
        let (cost, uncertain) = (settled.settlement.usd, undelivered.uncertain);
        let promised = cost.saturating_add(settled.settlement.prepaid);
        Report { pictures, at, cost, promised, uncertain, refused, failure, open }
    }

    /// Names pictures where that may take its time.
    async fn named_apart(self: Arc<Self>, pictures: Vec<Picture>) -> Vec<Kept> {
        let bytes = pictures.iter().map(Picture::weight).sum();
        offload(bytes, move || pictures.into_iter().map(|picture| self.named(picture)).collect()).await
    }

    /// What was collected, which is nothing but a usage for a call that failed, and what was charged besides.
    fn undelivered(&self, ended: Result<Collected, FailedAttempt>) -> (Collected, Undelivered) {
        match ended {
            Ok(collected) => {
                let undelivered = self.undelivered_of(&collected);
                (collected, undelivered)
            }
            Err(failed) => {
                let undelivered = self.lost(&failed);
                let counted = failed.failure.counted.as_deref().cloned().unwrap_or_default();
                let usage = Usage { counted, ..Usage::default() };
                (Collected { failure: Some(failed.failure), usage, ..Collected::default() }, undelivered)
            }
        }
    }

    /// What an answer charges for pictures that it withheld, that are broken or that the route does not take.
    fn undelivered_of(&self, collected: &Collected) -> Undelivered {
        let charges = self.offer.provider.billing.charges;
        let told = usize::from(collected.refused_billed);
        let refused = self.charged(charges.refused, usize::from(collected.refused), told);
        let thrown_away = collected.broken + collected.unlike.len();
        let rejected = self.charged(charges.rejected, thrown_away, thrown_away);
        refused.and(rejected)
    }

    /// What a failed attempt charges: nothing to deliver, but perhaps something to pay.
    fn lost(&self, failed: &FailedAttempt) -> Undelivered {
        let FailedAttempt { failure, open, noted } = failed;
        let (charges, all, told) =
            (self.offer.provider.billing.charges, usize::from(self.n), usize::from(failure.billed));
        if *open {
            let lost = |lost| Undelivered { lost, uncertain: Usd::ZERO };
            return match charges.abandoned {
                Some(Charged::No) => lost(0),
                Some(Charged::Yes) => lost(all),
                // What the vendor told is charged, and nothing besides.
                Some(Charged::Maybe) | None if told > 0 || self.is_told(failure) => lost(told),
                Some(Charged::Maybe) | None => Undelivered { lost: 0, uncertain: self.uncertain(noted.as_ref()) },
            };
        }
        match failure.class {
            Class::Policy => self.charged(charges.refused, all, told),
            Class::Server | Class::Malformed => self.charged(charges.failed, all, told),
            _ => Undelivered { lost: told, uncertain: Usd::ZERO },
        }
    }

    /// `pictures` as the config says they are charged; where it says nothing, `told` of them are.
    fn charged(&self, rule: Option<Charged>, pictures: usize, told: usize) -> Undelivered {
        let estimate = || u32::try_from(pictures).ok().and_then(|pictures| self.candidate.usd.checked_mul(pictures));
        match rule {
            None => Undelivered { lost: told, uncertain: Usd::ZERO },
            Some(Charged::No) => Undelivered::default(),
            Some(Charged::Yes) => Undelivered { lost: pictures, uncertain: Usd::ZERO },
            Some(Charged::Maybe) => Undelivered { lost: 0, uncertain: estimate().unwrap_or(Usd::ZERO) },
        }
    }

    /// Whether the vendor counted what the failed call took, in something that has a price.
    fn is_told(&self, failure: &Failure) -> bool {
        let usage = Usage { counted: failure.counted.as_deref().cloned().unwrap_or_default(), ..Usage::default() };
        self.counted(false, 0, &usage).is_some_and(|usd| usd > Usd::ZERO)
    }

    /// A call that was sent and never answered, one whose answer says nothing, and a job that was lost, may have been
    /// drawn and billed: at what the vendor noted or else at their estimate.
    fn uncertain(&self, noted: Option<&Reported>) -> Usd {
        let estimate = || self.candidate.usd.checked_mul(u32::from(self.n)).unwrap_or(Usd::ZERO);
        let with_fee = |usd: Usd| usd.checked_add(self.offer.model.price.fee);
        noted.and_then(|noted| self.reported(noted)).and_then(with_fee).unwrap_or_else(estimate)
    }
}

impl Undelivered {
    fn and(self, other: Undelivered) -> Undelivered {
        Undelivered { lost: self.lost + other.lost, uncertain: self.uncertain.saturating_add(other.uncertain) }
    }
}
