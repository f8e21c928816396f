//! How long a request would wait for slots at a provider that is full, out of the lane's queue and of measured times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::plan::{Offer, Priority};
use crate::dispatch::SlotForecast;
use crate::gateway::routed_request::RoutedRequest;

/// A call is expected to take no longer than this percentile of the recent ones: nine of ten requests that are let wait
/// for their slots are then in time, besides those whose slots come earlier than expected.
const IN_TIME: u8 = 90;

/// What may be expected of an offer, where `calls` of this class come now, and calls of the models `besides` run too.
/// `None` where nobody knows.
pub fn slot_forecast(
    spec: &RoutedRequest,
    offer: &Offer,
    (priority, calls, besides): (Priority, usize, &[Arc<str>]),
    now: Instant,
) -> Option<SlotForecast> {
    let wait = expected_wait(spec, offer, (priority, calls, besides), now)?;
    let (times, edits) = (&spec.shared.service_times, spec.request.edit.is_some());
    let call = times.percentile(&offer.name, edits, IN_TIME, now);
    let call = call.or_else(|| times.of(&offer.name, edits, now).median);
    Some(SlotForecast { wait, call: call.unwrap_or_default() })
}

/// How long until the last of so many calls has its slot; nothing where so many are free.
pub fn expected_wait(
    spec: &RoutedRequest,
    offer: &Offer,
    (priority, calls, besides): (Priority, usize, &[Arc<str>]),
    now: Instant,
) -> Option<Duration> {
    let (times, provider) = (&spec.shared.service_times, &offer.provider);
    let held = |model: &str| {
        let name = format!("{}/{model}", provider.name);
        let median = |edits| times.of(&name, edits, now).median;
        let edits = spec.request.edit.is_some();
        median(edits).or_else(|| median(!edits))
    };
    spec.shared.lane(provider).expected_wait(&spec.claim(priority, &offer.model.name), calls, besides, held)
}
