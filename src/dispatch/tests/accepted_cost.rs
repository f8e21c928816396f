//! What an accepted picture costs where the gate rejects some, by the machine itself and in closed form: offers are asked in
//! turn until a picture is accepted, and every call is paid for.

use super::*;
use crate::config::plan::AskWhen;

/// Requests of each order.
const REQUESTS: usize = 100_000;
/// Acceptance is counted in twentieths, so that the closed form is a fraction of whole numbers.
const WHOLE: u32 = 20;
/// Half, four fifths and 95% of the pictures.
const ACCEPTANCE: [u32; 3] = [10, 16, 19];

/// An offer whose pictures the gate accepts in so many twentieths of the calls.
#[derive(Clone, Copy, Debug)]
struct Gated {
    usd: Usd,
    accepted: u32,
}

/// What requests came to.
#[derive(Clone, Copy, Debug, Default)]
struct Bill {
    spent: Usd,
    accepted: u32,
}

/// Drives one request for one picture to its end; which offers were asked, in order.
fn serve(
    mut dispatch: Dispatch,
    facts: &World,
    offers: &[Gated],
    bill: &mut Bill,
    random: &mut fastrand::Rng,
) -> Vec<usize> {
    let (mut asked, mut time, mut spent) = (Vec::new(), facts.time(), Usd::ZERO);
    loop {
        match dispatch.next(facts, time) {
            Action::Start { candidate, places, .. } => {
                let Gated { usd, accepted } = offers[candidate];
                let call = dispatch.started(candidate, places, time);
                let accepted = random.u32(..WHOLE) < accepted;
                let rejection = CallEnd { rejected: true, ..failed(Class::Rejected) };
                let end = if accepted { CallEnd { at: vec![0], ..CallEnd::default() } } else { rejection };
                let ended = dispatch.ended(call, CallEnd { promised: usd, ..end }, time.now).unwrap();
                assert_eq!(ended.dispositions.len(), usize::from(accepted));
                spent = spent.checked_add(usd).unwrap();
                bill.accepted += u32::from(accepted);
                asked.push(candidate);
            }
            Action::Wait { until } => {
                time.now = until.expect("it waits until the same offer may be asked again");
                dispatch.timer(time);
            }
            Action::Finish => break,
            Action::Skipped { .. } => {}
            other => panic!("{other:?} where every offer has a slot"),
        }
    }
    assert_eq!(dispatch.promised(), spent, "the machine knows what its calls cost");
    bill.spent = bill.spent.checked_add(spent).unwrap();
    asked
}

/// What an accepted picture costs in this chain of calls, as a fraction: each call is paid for where all before it were
/// rejected, and a picture is accepted unless all of them are.
fn closed_form(chain: &[Gated]) -> (i128, i128) {
    let (mut cost, mut all_rejected, mut one) = (0, 1, 1);
    for Gated { usd, accepted } in chain {
        cost = cost * i128::from(WHOLE) + i128::from(usd.nanos()) * all_rejected * i128::from(WHOLE);
        all_rejected *= i128::from(WHOLE - accepted);
        one *= i128::from(WHOLE);
    }
    (cost, one - all_rejected)
}

/// Holds that an order of offers costs what the closed form says, to one percent. All but the first wait for a rejected
/// picture, or none does; each is asked at most so often.
fn holds(offers: &[Gated], when: &[AskWhen], per_offer: u32, random: &mut fastrand::Rng) {
    let facts = World::new(&vec![usize::MAX; offers.len()], Duration::from_secs(3600));
    let rules = DispatchRules { max_failures_per_offer: per_offer, ..rules(&facts, 1) };
    let priced = |(nth, offer): (usize, &Gated)| {
        let when = if nth == 0 { Vec::new() } else { when.to_vec() };
        Candidate { usd: offer.usd, listed: offer.usd, when, ..candidate(nth, 1) }
    };
    let candidates: Vec<Candidate> = offers.iter().enumerate().map(priced).collect();
    // Who has failed this request is asked after those who have not.
    let round: Vec<usize> = (0..offers.len()).collect();
    let chain = round.repeat(per_offer as usize);
    let mut bill = Bill::default();
    for _ in 0..REQUESTS {
        let dispatch = Dispatch::new(rules.clone(), candidates.clone(), Vec::new(), offers.len());
        let asked = serve(dispatch, &facts, offers, &mut bill, random);
        assert_eq!(asked, chain[..asked.len()], "{when:?} {per_offer}");
    }
    let calls: Vec<Gated> = chain.iter().map(|nth| offers[*nth]).collect();
    let (cost, accepted) = closed_form(&calls);
    // spent / bill.accepted against cost / accepted, multiplied crosswise.
    let (ours, theirs) = (i128::from(bill.spent.nanos()) * accepted, i128::from(bill.accepted) * cost);
    assert!(
        (ours - theirs).abs() * 100 <= theirs,
        "{offers:?} {when:?} {per_offer}: {bill:?} against {cost}/{accepted}"
    );
}

#[test]
fn the_closed_form_of_a_picture_that_is_rejected_half_the_time_is_twice_its_price_however_often_it_is_asked() {
    let sdxl = Gated { usd: Usd::from_nanos(9_000_000), accepted: 10 };
    for times in 1..=6 {
        let (cost, accepted) = closed_form(&vec![sdxl; times]);
        assert_eq!(cost, 18_000_000 * accepted, "{times}");
    }
    // A premium picture of four cents that is always good behind it: 0.009 and, half the time, 0.04.
    let premium = Gated { usd: Usd::from_nanos(40_000_000), accepted: WHOLE };
    let (cost, accepted) = closed_form(&[sdxl, premium]);
    assert_eq!(cost, 29_000_000 * accepted);
}

/// Orders of one, two and three of the offers.
const ORDERS: [&[usize]; 8] = [&[0], &[1], &[2], &[0, 1], &[2, 0], &[1, 2], &[0, 1, 2], &[2, 1, 0]];

/// Those of at least so many offers, at prices drawn at random, in turn with one call to each offer and with two.
fn orders_hold(least: usize, when: &[AskWhen], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for (nth, order) in ORDERS.into_iter().enumerate().filter(|(_, order)| order.len() >= least) {
        let mut priced = |offer: &usize| Gated {
            usd: Usd::from_nanos(random.i64(3_000_000..80_000_000)),
            accepted: ACCEPTANCE[*offer],
        };
        let offers: Vec<Gated> = order.iter().map(&mut priced).collect();
        holds(&offers, when, [1, 2][nth % 2], &mut random);
    }
}

#[test]
fn over_a_hundred_thousand_requests_an_accepted_picture_costs_within_one_percent_of_the_closed_form() {
    orders_hold(1, &[], 15);
}

#[test]
fn and_so_it_does_where_the_dearer_offers_are_asked_only_for_a_picture_that_was_rejected() {
    orders_hold(2, &[AskWhen::Rejected], 16);
}
