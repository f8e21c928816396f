//! How an attempt ends: what the vendor's answer brought, how it failed, and what the gateway is told of it.

use std::sync::Arc;

use crate::cache::GeneratedPicture;
use crate::failure::{Class, Failure};
use crate::gateway::best_effort::BestEffort;
use crate::gateway::timeline::GateRecord;
use crate::image::{Picture, Size};
use crate::ledger::Rejections;
use crate::money::Usd;
use crate::provider::{Reported, Usage};
use crate::quality::PictureQuality;

/// What one attempt brought.
#[derive(Debug, Default)]
pub struct AttemptReport {
    /// Deliverable pictures.
    pub pictures: Vec<Arc<GeneratedPicture>>,
    /// Which one of the answer's pictures each of them is, counted from 0; others may be broken.
    pub at: Vec<u8>,
    /// What the attempt adds to the provider's invoice.
    pub cost: Usd,
    /// What it costs, paid for in advance or not.
    pub promised: Usd,
    /// What it may charge, as the vendor noted or as estimated: for a call whose answer never came, or a job that was
    /// lost.
    pub uncertain: Usd,
    /// Pictures withheld for their content.
    pub refused: u8,
    /// Pictures that came and are not delivered: broken ones, others than were asked for, or such as the route does not accept.
    pub rejected: usize,
    /// Those of them that are delivered if nothing better comes.
    pub best_effort: Vec<BestEffort>,
    /// What went wrong, if pictures are missing because of it.
    pub failure: Option<Failure>,
    /// How its pictures were held to the quality gate, where they were.
    pub gate: Option<GateRecord>,
    /// Whether nobody knows if it was carried out and charged, or it was and can't be had: the same must not be bought
    /// there again.
    pub open: bool,
}

/// What an answer brought, before it is priced.
#[derive(Default)]
pub(super) struct CollectedPictures {
    pub(super) pictures: Vec<CollectedPicture>,
    /// Pictures that came and are not delivered.
    pub(super) rejected: Vec<RejectedPicture>,
    /// All that came were links, and nothing is behind them that could be had: to ask again is to pay again.
    pub(super) out_of_reach: bool,
    pub(super) refused: u8,
    pub(super) refused_billed: u8,
    pub(super) usage: Usage,
    pub(super) failure: Option<Failure>,
    /// How they were held to the quality gate, where they were.
    pub(super) gate: Option<GateRecord>,
}

/// A picture that came.
pub(super) struct CollectedPicture {
    pub(super) picture: Picture,
    /// Which one of those that came it is.
    pub(super) at: u8,
    /// What the quality gate says of it; `None` where nobody looked.
    pub(super) quality: Option<Arc<PictureQuality>>,
}

/// A picture that came and is not delivered.
pub(super) struct RejectedPicture {
    /// Its size, where it could be read.
    pub(super) size: Option<Size>,
    /// The first reason.
    pub(super) reason: &'static str,
    /// How bad it is, and the picture itself, where it is delivered if nothing better comes.
    pub(super) best_effort: Option<(f64, CollectedPicture)>,
}

impl CollectedPictures {
    /// The pictures that came and are not delivered, by the first reason against each.
    pub(super) fn rejections(&self) -> Rejections {
        self.rejected.iter().map(|rejected| rejected.reason).collect()
    }

    /// Whether all `n` pictures that were asked for are there. With a seed none stands in for another.
    pub(super) fn has_all(&self, n: u8, seeded: bool) -> bool {
        let enough = self.pictures.len() >= usize::from(n);
        enough && (!seeded || self.pictures.iter().map(|picture| picture.at).take(usize::from(n)).eq(0..n))
    }
}

/// How an attempt ended without pictures.
pub(super) struct FailedAttempt {
    pub(super) failure: Failure,
    /// Whether nobody knows if it is drawn and charged.
    pub(super) open: bool,
    /// What the vendor said that it costs.
    pub(super) noted: Option<Reported>,
}

impl From<Failure> for FailedAttempt {
    /// Nothing was sent.
    fn from(failure: Failure) -> FailedAttempt {
        FailedAttempt { open: false, failure, noted: None }
    }
}

impl FailedAttempt {
    /// A call that came to nothing. `status` is the answer's, `None` where none was read to its end.
    pub(super) fn of_a_call(failure: Failure, status: Option<u16>, noted: Option<Reported>) -> FailedAttempt {
        FailedAttempt { open: failure.leaves_the_bill_open(status), failure, noted }
    }

    /// A job that was taken on and whose end is not known.
    pub(super) fn of_a_job(mut failure: Failure, noted: Option<Reported>) -> FailedAttempt {
        // The request and the model were good enough for the job to be taken on; it is only not found any more.
        if matches!(failure.class, Class::CallerInvalid | Class::ModelGone) {
            failure.class = Class::TimeoutAmbiguous;
        }
        FailedAttempt { failure, open: true, noted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_not_found_any_more_says_nothing_of_its_model_and_may_be_charged() {
        for (class, told) in [
            (Class::ModelGone, Class::TimeoutAmbiguous),
            (Class::CallerInvalid, Class::TimeoutAmbiguous),
            (Class::Auth, Class::Auth),
            (Class::Malformed, Class::Malformed),
        ] {
            let noted = Some(Reported::Cents("3.0".to_owned()));
            let failed = FailedAttempt::of_a_job(Failure::new(class, "gone"), noted.clone());
            assert_eq!((failed.failure.class, failed.open, failed.noted), (told, true, noted));
        }
    }
}
