//! What one attempt is given: its offer, the request, and what of the gateway it works with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

use crate::config::plan::{Offer, QualityGate};
use crate::gateway::shared::Shared;
use crate::gateway::single_flight::Flight;
use crate::provider::{Adapter, Job};
use crate::request::ImageRequest;
use crate::routing::Candidate;
use crate::secret::Secret;
use crate::upstream::transport::reply_memory::CallReservation;
use crate::upstream::transport::{AllowedTargets, Bounds};

/// One attempt, ready to run.
pub struct Attempt {
    /// Transport, ledger and the rest.
    pub shared: Arc<Shared>,
    /// The wire format.
    pub provider: &'static dyn Adapter,
    /// The provider and the model that are asked.
    pub offer: Offer,
    /// How the request fits this offer.
    pub candidate: Candidate,
    /// The request.
    pub request: Arc<ImageRequest>,
    /// The prompt, where it was rewritten; returned with the pictures of providers that return none.
    pub revised_prompt: Option<Arc<str>>,
    /// Pictures asked of this call.
    pub n: u8,
    /// Largest reply.
    pub body_limit: usize,
    /// What its replies take of the memory for all replies, until the attempt is settled.
    pub memory_reservation: Arc<CallReservation>,
    /// Set when its pictures are there and are being looked at.
    pub arrived: Arc<AtomicBool>,
    /// What its pictures must be; `None` takes any.
    pub gate: Option<Arc<QualityGate>>,
    /// The most pixels that are decoded.
    pub max_pixels: u64,
    /// The route.
    pub route: Arc<str>,
    /// The request's own id.
    pub request_id: Arc<str>,
    /// Where unfinished pictures are shown.
    pub flight: Arc<Flight>,
}

impl Attempt {
    /// What the adapter is told when a call is sent at this moment, with the token that goes with it.
    pub(super) fn job<'a>(&'a self, deadline: Instant, bearer: Option<&'a Secret>) -> Job<'a> {
        let (offer, left) = (&self.offer, deadline.saturating_duration_since(Instant::now()));
        let job = Job::new(&offer.provider.account, &offer.model, &self.request, &self.candidate.fitted, self.n, left);
        Job { bearer, ..job }
    }

    /// The limits of time and size for one call.
    pub(super) fn bounds(&self, deadline: Instant, reach: AllowedTargets) -> Bounds {
        let provider = &self.offer.provider;
        let (connect, idle) = (provider.connect_timeout, provider.idle_timeout);
        Bounds { deadline, connect, silence: None, idle, body: self.body_limit, reach }
    }
}
