//! How an attempt ends: what the vendor's answer brought, how it failed, and what the gateway is told of it.

use std::sync::Arc;

use crate::cache::GeneratedPicture;
use crate::capabilities::Mismatch;
use crate::failure::{Class, Failure};
use crate::image::Picture;
use crate::ledger::Rejections;
use crate::money::Usd;
use crate::provider::{Reported, Usage};

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
    /// Pictures that came and are not delivered: broken ones, or others than were asked for.
    pub rejected: usize,
    /// What went wrong, if pictures are missing because of it.
    pub failure: Option<Failure>,
    /// Whether nobody knows if it was carried out and charged, or it was and can't be had: the same must not be bought
    /// there again.
    pub open: bool,
}

/// What an answer brought, before it is priced.
#[derive(Default)]
pub(super) struct CollectedPictures {
    pub(super) pictures: Vec<Picture>,
    /// Which one of those that came each of them is.
    pub(super) at: Vec<u8>,
    /// Pictures that came and could not be read.
    pub(super) broken: usize,
    /// All that came were links, and nothing is behind them that could be had: to ask again is to pay again.
    pub(super) out_of_reach: bool,
    /// Pictures that are not as was agreed, on a route that takes no others.
    pub(super) unlike: Vec<Mismatch>,
    pub(super) refused: u8,
    pub(super) refused_billed: u8,
    pub(super) usage: Usage,
    pub(super) failure: Option<Failure>,
}

impl CollectedPictures {
    /// The pictures that came and are not delivered, by the first reason against each.
    pub(super) fn rejections(&self) -> Rejections {
        let unlike = self.unlike.iter().map(|unmet| unmet.as_str());
        std::iter::repeat_n("broken", self.broken).chain(unlike).collect()
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
