//! What a route's strategy goes by, looked up for each candidate: its price, its verdicts, its times and its queue.

use std::time::Instant;

use crate::config::plan::{Offer, Strategy};
use crate::dispatch::{OfferOrder, OfferStanding, WeightedTurns, offer_order};
use crate::gateway::dispatch_loop::slot_forecast::expected_wait;
use crate::gateway::dispatch_loop::state::now;
use crate::gateway::routed_request::RoutedRequest;
use crate::money::Usd;
use crate::routing::Candidate;

/// One in so many is how finely chance is drawn.
const CHANCES: u32 = 1_000_000;

/// The candidates in the order in which they are asked, and whether the first is there to learn what it is worth.
pub fn in_order(spec: &RoutedRequest, candidates: Vec<Candidate>) -> (Vec<Candidate>, bool) {
    let route = &spec.matched.route;
    if route.strategy == Strategy::Order || candidates.len() < 2 {
        return (candidates, false);
    }
    let standings = standings(spec, &candidates, now());
    let chance = fastrand::u32(..CHANCES);
    let OfferOrder { order, explores } = match &route.strategy {
        Strategy::Weighted(_) => {
            spec.shared.with_turns(&route.name, |turns| offer_order(&route.strategy, &standings, chance, turns))
        }
        strategy => offer_order(strategy, &standings, chance, &mut WeightedTurns::default()),
    };
    (sorted(candidates, &order), explores)
}

/// The same for a request that is only looked at: no turn is taken, and nothing is explored.
pub fn in_order_without_turn(spec: &RoutedRequest, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let route = &spec.matched.route;
    let mut turns = spec.shared.with_turns(&route.name, |turns| turns.clone());
    let order = offer_order(&route.strategy, &standings(spec, &candidates, now()), CHANCES, &mut turns).order;
    sorted(candidates, &order)
}

/// What is known of each candidate now.
pub fn standings(spec: &RoutedRequest, candidates: &[Candidate], now: Instant) -> Vec<OfferStanding> {
    let offers = &spec.matched.route.offers;
    let known = |candidate: &Candidate| {
        offers.get(candidate.offer).map_or_else(OfferStanding::default, |offer| standing(spec, candidate, offer, now))
    };
    candidates.iter().map(known).collect()
}

fn standing(spec: &RoutedRequest, candidate: &Candidate, offer: &Offer, now: Instant) -> OfferStanding {
    let (shared, route) = (&spec.shared, &spec.matched.route);
    let today = shared.clock.now();
    let pictures = u32::try_from(spec.open.len()).unwrap_or(u32::MAX);
    // An amount that does not fit is dearer than any that does.
    let usd = candidate.usd.checked_mul(pictures).unwrap_or(Usd::from_nanos(i64::MAX));
    let judged = match &route.strategy {
        Strategy::CheapestAccepted(rules) => shared.ledger.on_route(&route.name, &offer.name, rules.over, today),
        _ => Default::default(),
    };
    let time = shared.service_times.of(&offer.name, spec.request.edit.is_some(), now);
    OfferStanding {
        offer: candidate.offer,
        conditional: !candidate.when.is_empty(),
        usd: shared.ledger.marginal(&offer.provider, usd, today),
        accepted: judged.accepted,
        rejected: judged.rejected,
        service: time.median,
        under_way: time.under_way,
        wait: expected_wait(spec, offer, (spec.priority, 1, &[]), now).unwrap_or_default(),
    }
}

fn sorted(candidates: Vec<Candidate>, order: &[usize]) -> Vec<Candidate> {
    let mut candidates: Vec<Option<Candidate>> = candidates.into_iter().map(Some).collect();
    order.iter().filter_map(|nth| candidates.get_mut(*nth).and_then(Option::take)).collect()
}
