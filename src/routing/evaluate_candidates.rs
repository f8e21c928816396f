//! Which of a route's offers can draw a request within its price caps, and why not the others.

use crate::capabilities::{Capabilities, FittedRequest, StrictOptions, Unsupported};
use crate::config::plan::{Offer, Route};
use crate::money::Usd;
use crate::request::ImageRequest;
use crate::routing::candidate::Candidate;
use crate::routing::find_route::RouteMatch;
use crate::routing::price_caps::Caps;
use crate::routing::skip::Skip;

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
                // Who insists on an offer is its reason.
                let when = if pinned.is_some() { Vec::new() } else { offer.when.clone() };
                able.push(Candidate { offer: index, fitted, max_n, usd, listed, when, strict });
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
