//! In which order a request's candidates are asked, by the route's strategy.
//!
//! Plain arithmetic over what is known of each candidate; chance comes in as a number. Every order is total and stable:
//! candidates that a strategy holds for equal are asked as they are listed.

use std::cmp::Reverse;
use std::time::Duration;

use crate::config::plan::{AcceptanceRules, Strategy};
use crate::dispatch::weighted_turns::WeightedTurns;
use crate::money::Usd;

/// One, in millionths.
const WHOLE: u32 = 1_000_000;

/// What is known of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfferStanding {
    /// Its place among the route's offers.
    pub offer: usize,
    /// Whether it waits for a reason to be asked.
    pub conditional: bool,
    /// What the pictures that are to be bought add to the invoice.
    pub usd: Usd,
    /// Pictures of it on this route that were accepted lately.
    pub accepted: u64,
    /// And that were rejected.
    pub rejected: u64,
    /// The median of its recent calls; `None` where nothing is known.
    pub service: Option<Duration>,
    /// Calls under way.
    pub under_way: usize,
    /// How long a slot would be waited for.
    pub wait: Duration,
}

/// An order of candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferOrder {
    /// Candidates, by their place in the list, the first to be asked first.
    pub order: Vec<usize>,
    /// Whether the first of them that waits for no reason is there to learn what it is worth.
    pub explores: bool,
}

impl OfferOrder {
    /// So many candidates, as they are listed.
    pub fn listed(candidates: usize) -> OfferOrder {
        OfferOrder { order: (0..candidates).collect(), explores: false }
    }
}

/// The order of `candidates`. `chance` is drawn evenly below a million; `turns` are the route's.
pub fn offer_order(
    strategy: &Strategy,
    candidates: &[OfferStanding],
    chance: u32,
    turns: &mut WeightedTurns,
) -> OfferOrder {
    let mut found = OfferOrder::listed(candidates.len());
    let order = &mut found.order;
    match strategy {
        Strategy::Order => {}
        Strategy::Cheapest => order.sort_by_key(|nth| candidates[*nth].usd),
        Strategy::Fastest => order.sort_by_key(|nth| expected_time(&candidates[*nth])),
        Strategy::CheapestAccepted(rules) => {
            order.sort_by_key(|nth| expected_cost(&candidates[*nth], rules));
            found.explores = explore(order, candidates, rules, chance);
        }
        Strategy::Weighted(shares) => {
            let able: Vec<usize> =
                candidates.iter().filter(|known| !known.conditional).map(|known| known.offer).collect();
            let turn = turns.take(shares, &able);
            order.sort_by_key(|nth| {
                let offer = candidates[*nth].offer;
                (Some(offer) != turn, Reverse(shares.get(offer).copied().unwrap_or(0)))
            });
        }
    }
    found
}

/// When a picture is expected. An offer of which nothing is known is asked once, and until that call has ended it comes
/// after all others: whoever was slow is tried again when its time is forgotten, by one request and not by a hundred.
fn expected_time(known: &OfferStanding) -> Duration {
    match known.service {
        Some(service) => service.saturating_add(known.wait),
        None if known.under_way == 0 => known.wait,
        None => Duration::MAX,
    }
}

/// What an accepted picture is expected to cost, in millionths of a nano-dollar: the price over the mean of the Beta
/// distribution that the prior and the verdicts make. Asked in this order, offers cost the least until one picture is
/// accepted (the ratio rule for independent trials).
fn expected_cost(known: &OfferStanding, rules: &AcceptanceRules) -> i128 {
    let (accepted, rejected) = posterior(known, rules);
    let all = accepted.saturating_add(rejected);
    i128::from(known.usd.nanos()).saturating_mul(i128::from(WHOLE)).saturating_mul(all.into())
        / i128::from(accepted.max(1))
}

fn posterior(known: &OfferStanding, rules: &AcceptanceRules) -> (u64, u64) {
    let accepted = known.accepted.saturating_add(rules.prior_accepted.into());
    (accepted, known.rejected.saturating_add(rules.prior_rejected.into()))
}

/// The acceptance that an offer may have at the best, in millionths: two standard deviations of its Beta distribution above
/// the mean, which is exceeded by one rate in forty.
fn best_acceptance_ppm(known: &OfferStanding, rules: &AcceptanceRules) -> u32 {
    let (accepted, rejected) = posterior(known, rules);
    #[allow(clippy::cast_precision_loss, reason = "a rate, no money; counts are far below 2^53")]
    let (accepted, all) = (accepted as f64, (accepted + rejected) as f64);
    let mean = accepted / all;
    let deviation = (mean * (1.0 - mean) / (all + 1.0)).sqrt();
    let best = ((mean + 2.0 * deviation).min(1.0) * f64::from(WHOLE)).ceil();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    let best = best as u32;
    best.max(1)
}

/// Puts another candidate than the best first in as many requests as the rules say: the one that may prove cheapest, if it
/// may prove cheaper than the best is. A price that no acceptance can make up for is never tried.
fn explore(order: &mut [usize], candidates: &[OfferStanding], rules: &AcceptanceRules, chance: u32) -> bool {
    if chance >= rules.explore_ppm {
        return false;
    }
    let asked_first = |nth: &usize| !candidates[*nth].conditional;
    let Some(best) = order.iter().position(asked_first) else { return false };
    let cost = expected_cost(&candidates[order[best]], rules);
    let optimistic = |nth: usize| {
        let known = &candidates[nth];
        let whole = i128::from(WHOLE);
        i128::from(known.usd.nanos()).saturating_mul(whole).saturating_mul(whole)
            / i128::from(best_acceptance_ppm(known, rules))
    };
    let others = (best + 1..order.len()).filter(|at| asked_first(&order[*at]));
    let promising = others.map(|at| (optimistic(order[at]), at)).filter(|(hoped, _)| *hoped < cost).min();
    let Some((_, at)) = promising else { return false };
    order[best..=at].rotate_right(1);
    true
}

#[cfg(test)]
mod tests;
