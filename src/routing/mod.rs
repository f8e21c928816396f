//! Which route, and which of its offers in what order, and why not the others.
//!
//! Decisions only: the facts (capabilities, prices, pauses, free slots) are handed in as small values, and every "no" is a
//! [`Skip`] that the log, the metric and the caller's error name alike.

use std::sync::Arc;

use crate::capabilities::{Capabilities, FittedRequest, StrictOptions, Unsupported};
use crate::config::plan::{Offer, Route};
use crate::money::Usd;
use crate::request::ImageRequest;

pub use crate::routing::candidate::Candidate;
pub use crate::routing::price_caps::{Cap, CapOwner, Caps};
pub use crate::routing::skip::Skip;

mod candidate;
mod price_caps;
mod skip;
#[cfg(test)]
mod tests;

/// A request matched to a route.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// The route.
    pub route: Arc<Route>,
    /// The one offer the caller insists on, `provider/model`.
    pub pinned: Option<String>,
    /// The route's place in the plan.
    pub index: usize,
}

/// The first `allowed` route that answers to `model` and whose headers are all there. `header` looks up a lower-case name.
///
/// `provider/model` of one of a route's offers pins that offer. A request that names no model goes to the first route
/// that names none either, else to the first whose headers match.
pub fn find<'a>(
    routes: &[Arc<Route>],
    allowed: impl Fn(&Route) -> bool,
    model: Option<&str>,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Option<RouteMatch> {
    let told = |(name, value): &(String, String)| header(name) == Some(value.as_str());
    let open = |route: &Route| allowed(route) && route.headers.iter().all(told);
    let mut open = routes.iter().enumerate().filter(|(_, route)| open(route));
    let matched = |(index, route): (usize, &Arc<Route>), pinned| RouteMatch { route: route.clone(), pinned, index };
    let Some(model) = model else {
        let open: Vec<_> = open.collect();
        let unnamed = open.iter().find(|(_, route)| route.models.is_empty());
        return unnamed.or(open.first()).map(|found| matched(*found, None));
    };
    open.find_map(|(index, route)| {
        if route.offers.iter().any(|offer| offer.name == model) {
            return Some(matched((index, route), Some(model.to_owned())));
        }
        let answers = route.models.is_empty() || route.models.iter().any(|pattern| pattern.matches(model));
        answers.then(|| matched((index, route), None))
    })
}

/// What a picture of an offer costs now, made of its price without volume tiers.
pub type TieredPrice<'a> = &'a dyn Fn(&Offer, Usd) -> Option<Usd>;

/// What becomes of each of a route's offers before anyone is asked: able and affordable, or why not.
pub fn evaluate_candidates(
    matched: &RouteMatch,
    capabilities: &[Capabilities],
    request: &ImageRequest,
    caps: &Caps,
    tiered: TieredPrice<'_>,
) -> (Vec<Candidate>, Vec<(usize, Skip)>) {
    let RouteMatch { route, pinned, index: _ } = matched;
    let (mut able, mut skipped) = (Vec::new(), Vec::new());
    for (index, (offer, capabilities)) in route.offers.iter().zip(capabilities).enumerate() {
        if pinned.as_ref().is_some_and(|name| *name != offer.name) {
            continue;
        }
        match candidate(route, offer, capabilities, request, caps, tiered) {
            Ok((fitted, usd, listed)) => {
                // No document says which of several pictures an unfinished one belongs to; nor which seeds draw the
                // second and the third picture of a call with one seed, and they would not be the same elsewhere.
                let single = fitted.partials > 0 || request.seed.is_some();
                let max_n = if single { 1 } else { capabilities.max_n.max(1) };
                let strict = StrictOptions { size: route.size_tolerance.strict, wishes: route.strict };
                able.push(Candidate { offer: index, fitted, max_n, usd, listed, strict });
            }
            Err(skip) => skipped.push((index, skip)),
        }
    }
    (able, skipped)
}

fn candidate(
    route: &Route,
    offer: &Offer,
    capabilities: &Capabilities,
    request: &ImageRequest,
    caps: &Caps,
    tiered: TieredPrice<'_>,
) -> Result<(FittedRequest, Usd, Usd), Skip> {
    let fitted = capabilities.fit(request, route.size_tolerance).map_err(Skip::Unsupported)?;
    if let (true, Some(field)) = (route.strict, fitted.dropped()) {
        return Err(Skip::Unsupported(Unsupported::Dropped(field)));
    }
    let price = &offer.model.price;
    let listed = price.estimate(request, fitted.priced(), fitted.quality).ok_or(Skip::Unpriced)?;
    let usd = tiered(offer, listed).ok_or(Skip::Unpriced)?;
    caps.picture(offer.max_usd_per_image, usd)?;
    Ok((fitted, usd, listed))
}
