//! A job that the vendor has accepted and that is asked about until it ends.

use std::time::Duration;

use crate::failure::Failure;
use crate::gateway::attempt::backoff;
use crate::provider::{Call, Reported};

/// How the waiting for a job stands; the default is that none was accepted yet.
#[derive(Default)]
pub(super) struct Polling {
    /// Whether the vendor has accepted a job.
    pub(super) started: bool,
    /// Polls in a row that failed.
    pub(super) consecutive_failures: u32,
    /// The call that stops the job.
    pub(super) cancel: Option<Call>,
    /// What the vendor said that the job costs.
    pub(super) noted: Option<Reported>,
}

impl Polling {
    /// How long to wait before the same poll is sent again. Asking how a job stands costs nothing, and buying it anew
    /// would cost it twice, so nothing but the vendor's word on its end is a reason to give the job up at once: a
    /// garbled answer, a page of HTML, a redirect, and whatever else stands between the vendor and here may say.
    pub(super) fn try_again(&mut self, failure: &Failure, left: Duration) -> Option<Duration> {
        if !self.started || failure.ended {
            return None;
        }
        self.consecutive_failures += 1;
        backoff::pause(self.consecutive_failures, failure.retry_after, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Class;

    /// Time enough.
    const POLL: Duration = Duration::from_secs(60);

    #[test]
    fn the_end_of_a_job_is_not_asked_about_again() {
        let mut polling = Polling { started: true, ..Polling::default() };
        for class in Class::ALL {
            let mut polling = Polling { started: true, ..Polling::default() };
            let failure = Failure::new(class, "what stands between the vendor and here may say anything");
            assert!(polling.try_again(&failure, POLL).is_some(), "{class:?}");
            assert_eq!(polling.try_again(&failure.at_the_end(), POLL), None);
        }
        let failure = Failure::new(Class::Malformed, "<html>");
        assert_eq!(Polling::default().try_again(&failure, POLL), None, "a request for pictures is not sent twice");
        let pauses = std::iter::from_fn(|| polling.try_again(&failure, POLL)).count();
        assert_eq!(pauses, backoff::AGAIN as usize);
    }
}
