//! What a dispatch loop holds: the machine, the calls under way, and the slots it waits for.

use std::sync::Arc;

use tokio::time::Instant;

use crate::breaker::Pass;
use crate::concurrency_limit::Slot;
use crate::config::plan::Offer;
use crate::dispatch::{ChoiceReason, Dispatch, EventTime};
use crate::gateway::attempt::AttemptReport;
use crate::gateway::join_few::JoinFew;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::single_flight::Flight;
use crate::service_times::Timing;

/// A call that has ended.
pub(super) struct Completed {
    pub(super) call: u32,
    pub(super) report: AttemptReport,
    pub(super) pass: Pass,
    pub(super) timing: Timing,
    /// Why its offer was asked.
    pub(super) reason: ChoiceReason,
    pub(super) began: Instant,
}

/// The dispatch of one flight, and what it holds while it goes on.
pub(super) struct DispatchLoop {
    pub(super) spec: RoutedRequest,
    pub(super) flight: Arc<Flight>,
    pub(super) dispatch: Dispatch,
    pub(super) running: JoinFew<Completed>,
    pub(super) waiting: JoinFew<(usize, Option<Slot>)>,
    /// The slot that came last of those that were waited for.
    pub(super) granted: Option<Slot>,
}

impl DispatchLoop {
    pub(super) fn time(&self) -> EventTime {
        EventTime { now: now(), deadline: self.flight.deadline().into_std() }
    }

    pub(super) fn offer(&self, candidate: usize) -> Option<&Offer> {
        self.spec.matched.route.offers.get(self.dispatch.candidate(candidate).offer)
    }

    pub(super) fn name(&self, candidate: usize) -> &str {
        self.offer(candidate).map(|offer| offer.name.as_str()).unwrap_or_default()
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
