//! How long a request would wait for slots at a provider that is full, out of the lane's queue and of measured times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::plan::{Offer, Priority};
use crate::dispatch::SlotForecast;
use crate::gateway::routed_request::RoutedRequest;

/// Of so many requests that are let wait one may be late. Each of a request's calls can make it late, so that a call is
/// expected to take no longer than all but one in a hundred of the recent ones where one is waited for, and than all but one
/// in four hundred where four are. (With one in ten, one request in twenty was late in a burst, and half a percent fewer were
/// turned away: `cargo bench --bench burst`.)
const ONE_LATE_IN: u32 = 100;

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
    let late = ONE_LATE_IN.saturating_mul(u32::try_from(calls.max(1)).unwrap_or(u32::MAX));
    let call = times.all_but_one_in(late, &offer.name, edits, now);
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
