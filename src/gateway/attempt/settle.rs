//! What became of a try: which pictures were charged, delivered or not, and what may have been.
//!
//! What they cost is `bill.rs`'s business, and the ledger adds it up. What a vendor charges without a picture to show
//! for it can be overridden by the config. Nothing here asks anybody anything.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Kept;
use crate::capabilities::{Came, Unmet};
use crate::config::plan::Charged;
use crate::failure::{Class, Failure};
use crate::gateway::attempt::{Attempt, Collected, FailedAttempt, Report};
use crate::image::Picture;
use crate::ledger::{self, Charge, Hold};
use crate::money::Usd;
use crate::provider::{Reported, Usage};
use crate::upstream::apart::apart;

/// What was charged that brought nothing, and what may have been.
#[derive(Clone, Copy, Debug, Default)]
struct Undelivered {
    /// Pictures.
    lost: usize,
    /// Dollars.
    uncertain: Usd,
}

impl Attempt {
    /// Settles a try that brought an answer, or a failure, and reports it with each picture's price.
    pub(super) async fn settle(
        self: &Arc<Self>,
        hold: Hold,
        ended: Result<Collected, FailedAttempt>,
        took: Duration,
    ) -> Report {
        let open = match &ended {
            Ok(collected) => collected.out_of_reach,
            Err(failed) => failed.open,
        };
        let (collected, undelivered) = match ended {
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
        };
        let Collected { pictures, at, refused, usage, failure, .. } = collected;
        let (source, amount) = self.amount(&pictures, undelivered.lost, &usage);
        let (attempt, bytes) = (self.clone(), pictures.iter().map(Picture::weight).sum());
        let kept: Vec<Kept> =
            apart(bytes, move || pictures.into_iter().map(|picture| attempt.named(picture)).collect()).await;
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
        Report {
            pictures: priced.map(|(kept, usd)| Arc::new(Kept { usd, ..kept })).collect(),
            at,
            cost: settled.settlement.usd,
            promised: settled.settlement.usd.saturating_add(settled.settlement.prepaid),
            uncertain: undelivered.uncertain,
            refused,
            failure,
            open,
        }
    }

    /// A picture with its name, not yet priced.
    fn named(&self, picture: Picture) -> Kept {
        let adjusted = self.adjusted(&picture);
        let drawn_by = self.offer.name.as_str().into();
        Kept { adjusted, ..Kept::new(picture, drawn_by, Usd::ZERO, self.shared.hash_seed) }
    }

    /// What was changed of the request's wishes, a size or a file format that came out otherwise included.
    fn adjusted(&self, picture: &Picture) -> Arc<[String]> {
        self.came(picture).adjusted.iter().map(ToString::to_string).collect()
    }

    fn came(&self, picture: &Picture) -> Came {
        self.candidate.fitted.came(&self.request, picture.size, picture.format)
    }

    /// Turns away a picture that is not as was agreed where the route takes no other; elsewhere that is told. Such a
    /// picture is paid for, and the next would be like it.
    pub(super) fn insist(&self, picture: &Picture) -> Result<(), (Unmet, Failure)> {
        let came = self.came(picture);
        if let Some((unmet, change)) = came.refused(self.candidate.strict) {
            return Err((*unmet, Failure::new(Class::Unlike, format!("{unmet}: {change}"))));
        }
        for (unmet, change) in &came.unmet {
            log::warn!("{} drew {unmet}: {change}", self.offer.name);
        }
        Ok(())
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

    /// What a failed try charges: nothing to deliver, but perhaps something to pay.
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

    /// Counts pictures by what became of them.
    pub(super) fn count_verdicts(&self, ended: &Result<Collected, FailedAttempt>) {
        match ended {
            Ok(collected) => {
                self.count("delivered", collected.pictures.len());
                self.count("broken", collected.broken);
                collected.unlike.iter().for_each(|unmet| self.count(unmet.word(), 1));
                self.count("refused", usize::from(collected.refused));
            }
            Err(FailedAttempt { failure: Failure { class: Class::Policy, .. }, .. }) => {
                self.count("refused", usize::from(self.n));
            }
            Err(_) => {}
        }
    }
}

impl Undelivered {
    fn and(self, other: Undelivered) -> Undelivered {
        Undelivered { lost: self.lost + other.lost, uncertain: self.uncertain.saturating_add(other.uncertain) }
    }
}
