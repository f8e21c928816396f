//! What becomes of a prompt before it is drawn: a language model rewrites it, the route's prefix and suffix go around it.
//!
//! It happens once a flight, after the cache was looked into and before offers are chosen, so a hit pays nothing for
//! it. Nothing here may fail a request: whatever goes wrong, the caller's own prompt is drawn, and
//! [`Enriched`](outcome::Enriched) says why. Nothing is paid for a prompt that no offer could draw, nor at the cost of a
//! picture.

use std::sync::Arc;

use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::single_flight::Flight;
use crate::request::{Filled, ImageRequest};

mod outcome;
mod rewrite_cache_scope;
mod rewrite_limits;
mod rewriting;

pub use crate::gateway::enrich::rewrite_cache_scope::RewriteCacheScope;

use crate::gateway::enrich::rewrite_limits::RewriteLimits;
use rewriting::{Rewriting, Rewritten};

/// The request with the prompt that is to be drawn.
pub async fn prepare(spec: RoutedRequest, rewrite_scope: &RewriteCacheScope, flight: &Flight) -> RoutedRequest {
    let route = spec.matched.route.clone();
    if spec.request.is_variation() {
        // A variation has no prompt to rewrite.
        return spec;
    }
    let caller = spec.request.prompt.clone();
    let mut spec = with_words_around(spec);
    let Some(enrich) = &route.prompt.enrich else { return spec };
    let Some(rewrite_limits) = RewriteLimits::of(&spec) else { return spec };
    let rewriting = Rewriting { spec: &spec, enrich, rewrite_scope, caller: &caller, rewrite_limits };
    let Rewritten { enriched, words, cost, promised } = rewriting.run().await;
    let word = enriched.as_str();
    spec.shared.metrics.enrichments.with_label_values(&[route.name.as_str(), word]).inc();
    flight.update(|progress| {
        progress.cost = progress.cost.saturating_add(cost);
        progress.enriched = Some((enrich.name.clone(), word));
    });
    spec.spent = spec.spent.saturating_add(promised);
    match words {
        Some(words) => with_prompt(spec, &caller, route.prompt.with_prefix_and_suffix(&words)),
        None => spec,
    }
}

/// The request with the route's prefix and suffix around its prompt.
pub fn with_words_around(spec: RoutedRequest) -> RoutedRequest {
    if spec.request.is_variation() {
        return spec;
    }
    let caller = spec.request.prompt.clone();
    let prompt = spec.matched.route.prompt.with_prefix_and_suffix(&caller);
    with_prompt(spec, &caller, prompt)
}

/// The request with another prompt, which the answer tells where it is not what the caller wrote.
fn with_prompt(spec: RoutedRequest, caller: &str, prompt: String) -> RoutedRequest {
    if prompt == spec.request.prompt {
        return spec;
    }
    let revised_prompt = (prompt != caller).then(|| prompt.as_str().into());
    let filled = Filled { prompt: revised_prompt.is_some(), ..spec.request.filled };
    let request = Arc::new(ImageRequest { prompt, filled, ..(*spec.request).clone() });
    RoutedRequest { request, revised_prompt, ..spec }
}
