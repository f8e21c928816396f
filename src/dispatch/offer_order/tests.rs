//! Orders by price, by acceptance, by time and by shares.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn usd(thousandths: i64) -> Usd {
    Usd::from_nanos(thousandths * 1_000_000)
}

fn priced(prices: &[i64]) -> Vec<OfferStanding> {
    let standing =
        |(offer, price): (usize, &i64)| OfferStanding { offer, usd: usd(*price), ..OfferStanding::default() };
    prices.iter().enumerate().map(standing).collect()
}

fn order(strategy: &Strategy, candidates: &[OfferStanding]) -> Vec<usize> {
    offer_order(strategy, candidates, WHOLE - 1, &mut WeightedTurns::default()).order
}

fn accepted(rules: AcceptanceRules) -> Strategy {
    Strategy::CheapestAccepted(rules)
}

#[test]
fn the_cheapest_comes_first_and_equals_stay_as_they_are_listed() {
    let candidates = priced(&[30, 10, 20, 10]);
    assert_eq!(order(&Strategy::Cheapest, &candidates), [1, 3, 2, 0]);
    assert_eq!(order(&Strategy::Order, &candidates), [0, 1, 2, 3]);
}

#[test]
fn a_dear_offer_whose_pictures_are_accepted_comes_before_a_cheap_one_whose_are_not() {
    let mut candidates = priced(&[9, 15]);
    (candidates[0].accepted, candidates[0].rejected) = (50, 50);
    (candidates[1].accepted, candidates[1].rejected) = (95, 5);
    assert_eq!(order(&accepted(AcceptanceRules::default()), &candidates), [1, 0]);
    assert_eq!(order(&Strategy::Cheapest, &candidates), [0, 1]);
}

#[test]
fn without_a_verdict_all_are_held_for_alike_and_the_prior_says_how_much_one_verdict_weighs() {
    let mut candidates = priced(&[10, 11]);
    assert_eq!(order(&accepted(AcceptanceRules::default()), &candidates), [0, 1]);
    candidates[0].rejected = 1;
    assert_eq!(order(&accepted(AcceptanceRules::default()), &candidates), [1, 0]);
    let firm = AcceptanceRules { prior_accepted: 900, prior_rejected: 100, ..AcceptanceRules::default() };
    assert_eq!(order(&accepted(firm), &candidates), [0, 1]);
}

#[test]
fn the_fastest_counts_the_wait_for_a_slot_and_one_of_whom_nothing_is_known_is_tried_by_one_request() {
    let mut candidates = priced(&[10, 10, 10]);
    candidates[0] = OfferStanding { service: Some(5 * SECOND), wait: 30 * SECOND, ..candidates[0] };
    candidates[1].service = Some(20 * SECOND);
    assert_eq!(order(&Strategy::Fastest, &candidates), [2, 1, 0]);
    candidates[2].under_way = 1;
    assert_eq!(order(&Strategy::Fastest, &candidates), [1, 0, 2]);
}

#[test]
fn the_offer_whose_turn_it_is_comes_first_and_the_others_after_it_by_their_shares() {
    let strategy = Strategy::Weighted(vec![20, 50, 30, 0]);
    let candidates = priced(&[1, 1, 1, 1]);
    let mut turns = WeightedTurns::default();
    let mut take = || offer_order(&strategy, &candidates, 0, &mut turns).order;
    assert_eq!(take(), [1, 2, 0, 3]);
    assert_eq!(take(), [2, 1, 0, 3]);
    let first: Vec<usize> = (0..100).map(|_| take()[0]).collect();
    for (offer, share) in [20, 50, 30, 0].into_iter().enumerate() {
        assert_eq!(first.iter().filter(|first| **first == offer).count(), share);
    }
}

#[test]
fn another_offer_is_tried_only_if_it_may_prove_cheaper_and_only_as_often_as_the_rules_say() {
    let mut candidates = priced(&[10, 12, 40]);
    candidates[0].accepted = 100;
    candidates[0].rejected = 25;
    let strategy = accepted(AcceptanceRules { explore_ppm: 50_000, ..AcceptanceRules::default() });
    let at = |chance, candidates: &[OfferStanding]| {
        offer_order(&strategy, candidates, chance, &mut WeightedTurns::default())
    };
    let tried = at(49_999, &candidates);
    assert_eq!((tried.order, tried.explores), (vec![1, 0, 2], true), "nothing is known of the second yet");
    let usual = at(50_000, &candidates);
    assert_eq!((usual.order, usual.explores), (vec![0, 1, 2], false));
    // A price of 40 cannot prove cheaper than an accepted picture for 12.5, however good its pictures are.
    candidates[1].rejected = 200;
    assert!(!at(0, &candidates).explores, "a fifth of them accepted makes 60 of 12");
    candidates[1] = OfferStanding { rejected: 0, conditional: true, ..candidates[1] };
    assert!(!at(0, &candidates).explores, "it waits for a reason to be asked");
}

proptest! {
    #[test]
    fn every_order_has_each_candidate_once_and_is_the_same_for_the_same_facts(
        facts in prop::collection::vec((0..5i64, 0..9u64, 0..9u64, prop::option::of(0..4u64), 0..2usize, any::<bool>()), 0..6),
        chance in 0..WHOLE,
        which in 0..5usize,
    ) {
        let candidates: Vec<OfferStanding> = facts
            .iter()
            .enumerate()
            .map(|(offer, (price, accepted, rejected, service, under_way, conditional))| OfferStanding {
                offer,
                conditional: *conditional,
                usd: usd(*price),
                accepted: *accepted,
                rejected: *rejected,
                service: service.map(|seconds| seconds * SECOND.as_secs()).map(Duration::from_secs),
                under_way: *under_way,
                wait: Duration::ZERO,
            })
            .collect();
        let strategies = [
            Strategy::Order,
            Strategy::Cheapest,
            Strategy::CheapestAccepted(AcceptanceRules { explore_ppm: 500_000, ..AcceptanceRules::default() }),
            Strategy::Fastest,
            Strategy::Weighted(vec![40, 30, 20, 10, 0, 0]),
        ];
        let find = || offer_order(&strategies[which], &candidates, chance, &mut WeightedTurns::default());
        let found = find();
        prop_assert_eq!(&found, &find());
        let mut sorted = found.order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..candidates.len()).collect::<Vec<_>>());
    }
}

/// What 100,000 pictures cost an accepted one, where each request asks offers in turn until a picture is accepted.
fn cost_of_an_accepted_picture(
    prices: &[i64],
    acceptance: &[f64],
    random: &mut fastrand::Rng,
    mut order: impl FnMut(&[OfferStanding], &mut fastrand::Rng) -> Vec<usize>,
) -> f64 {
    let mut known = priced(prices);
    let (mut spent, mut good) = (0i64, 0i64);
    for _ in 0..100_000 {
        for nth in order(&known, random) {
            spent += known[nth].usd.nanos();
            if random.f64() < acceptance[nth] {
                known[nth].accepted += 1;
                good += 1;
                break;
            }
            known[nth].rejected += 1;
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a ratio that is compared with another")]
    let cost = spent as f64 / good as f64;
    cost
}

/// What an accepted picture costs in this fixed order, in closed form: each offer is paid for where all before it failed.
fn closed_form(prices: &[i64], acceptance: &[f64], order: &[usize]) -> f64 {
    let (mut reached, mut spent) = (1.0, 0.0);
    for nth in order {
        #[allow(clippy::cast_precision_loss, reason = "a ratio that is compared with another")]
        let price = usd(prices[*nth]).nanos() as f64;
        spent += reached * price;
        reached *= 1.0 - acceptance[*nth];
    }
    spent / (1.0 - reached)
}

#[test]
fn over_a_hundred_thousand_requests_cheapest_accepted_costs_within_two_percent_of_the_best_fixed_order() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let acceptance = [0.5, 0.8, 0.95];
    let rules = AcceptanceRules::default();
    let strategy = accepted(rules);
    let mut random = fastrand::Rng::with_seed(14);
    for _ in 0..12 {
        let prices: Vec<i64> = (0..3).map(|_| random.i64(3..80)).collect();
        let fixed = ORDERS.iter().map(|order| closed_form(&prices, &acceptance, order)).fold(f64::MAX, f64::min);
        let ours = cost_of_an_accepted_picture(&prices, &acceptance, &mut random, |known, random| {
            offer_order(&strategy, known, random.u32(..WHOLE), &mut WeightedTurns::default()).order
        });
        assert!(ours <= fixed * 1.02, "{prices:?}: {ours} against {fixed}");
    }
}
