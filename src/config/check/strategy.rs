//! `strategy:` and `when:` of a route: shares that add up, and offers that can be reached.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{AcceptanceRules, AskWhen, LONGEST_WINDOW, Offer, Strategy};
use crate::config::suggest::{instead, nearest};

/// One percent, in parts per million.
const PERCENT: u32 = 10_000;
/// More than this of a prior, and no verdicts would ever be heard over it.
const MOST_PRIOR: u32 = 1_000_000;
/// Sums are kept by the minute.
const SHORTEST_WINDOW: Duration = Duration::from_secs(60);

pub(super) fn strategy(
    checker: &mut Checker<'_>,
    written: Option<&file::Strategy>,
    at: NodePath<'_>,
    offers: &[Offer],
) -> Strategy {
    let mapping = match written {
        None => return Strategy::Order,
        Some(file::Strategy::Word(word)) => return named(*word),
        Some(file::Strategy::With(mapping)) => mapping,
    };
    match (&mapping.weighted, &mapping.cheapest_accepted) {
        (Some(shares), None) => weighted(checker, shares, at.key("weighted"), offers),
        (None, Some(rules)) => Strategy::CheapestAccepted(acceptance(checker, rules, at.key("cheapest_accepted"))),
        _ => {
            let help = "write a word, or `weighted: {provider/model: 70%, ...}`, or `cheapest_accepted: {...}`";
            checker.report(at, "this is not one strategy", help.to_owned());
            Strategy::Order
        }
    }
}

fn named(word: file::StrategyWord) -> Strategy {
    match word {
        file::StrategyWord::Order => Strategy::Order,
        file::StrategyWord::Cheapest => Strategy::Cheapest,
        file::StrategyWord::CheapestAccepted => Strategy::CheapestAccepted(AcceptanceRules::default()),
        file::StrategyWord::Fastest => Strategy::Fastest,
    }
}

/// The share of each listed offer, in whole percents.
fn weighted(
    checker: &mut Checker<'_>,
    written: &BTreeMap<String, file::Percent>,
    at: NodePath<'_>,
    offers: &[Offer],
) -> Strategy {
    let mut shares = vec![0u8; offers.len()];
    let mut certain = !at.is_bad() && written.len() == at.keys().count();
    for (name, share) in written {
        let place = at.name(name);
        let names = || offers.iter().map(|offer| offer.name.as_str());
        let Some(offer) = names().position(|known| known == name) else {
            let help = match nearest(name, names()) {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => instead(name, names(), "its offers are"),
            };
            checker.report(place, format!("{} is not among this route's offers", place.shown()), help);
            certain = false;
            continue;
        };
        match checker.read(place, Some(share)) {
            Some(ppm) if ppm % PERCENT == 0 && ppm <= 100 * PERCENT => {
                shares[offer] = u8::try_from(ppm / PERCENT).unwrap_or(100);
            }
            Some(_) => {
                let help = "write whole percents, so that a hundred requests have them exactly".to_owned();
                checker.report(place, format!("{} is not a share", place.shown()), help);
                certain = false;
            }
            None => certain = false,
        }
    }
    let sum: u32 = shares.iter().map(|share| u32::from(*share)).sum();
    if certain && sum != 100 {
        checker.report(at, format!("these shares add up to {sum}%"), "let them be 100% together".to_owned());
    }
    Strategy::Weighted(shares)
}

fn acceptance(checker: &mut Checker<'_>, written: &file::CheapestAccepted, at: NodePath<'_>) -> AcceptanceRules {
    let file::CheapestAccepted { prior, explore, over } = written;
    let usual = AcceptanceRules::default();
    let (prior_at, explore_at, over_at) = (at.key("prior"), at.key("explore"), at.key("over"));
    let prior_accepted = checker.count(prior_at.key("accepted"), prior.accepted, 1, usual.prior_accepted);
    let prior_rejected = checker.count(prior_at.key("rejected"), prior.rejected, 0, usual.prior_rejected);
    for (count, place) in [(prior_accepted, prior_at.key("accepted")), (prior_rejected, prior_at.key("rejected"))] {
        if count > MOST_PRIOR {
            checker.report(
                place,
                format!("{} is more than any traffic could outweigh", place.shown()),
                format!("write at most {MOST_PRIOR}"),
            );
        }
    }
    let explore_ppm = checker.read(explore_at, explore.as_ref()).unwrap_or(usual.explore_ppm);
    if explore_ppm > 100 * PERCENT {
        checker.report(
            explore_at,
            format!("{} is more than all requests", explore_at.shown()),
            "write at most 100%".to_owned(),
        );
    }
    let over = checker.some_time(over_at, over.as_ref(), usual.over);
    if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&over) {
        checker.report(
            over_at,
            format!("{} is no time that Easel can look back over", over_at.shown()),
            "write 1m to 31d".to_owned(),
        );
    }
    AcceptanceRules { prior_accepted, prior_rejected, explore_ppm, over: over.clamp(SHORTEST_WINDOW, LONGEST_WINDOW) }
}

/// The reasons of one offer, each once.
pub(super) fn ask_when(checker: &mut Checker<'_>, written: Option<&[file::AskWhen]>, at: NodePath<'_>) -> Vec<AskWhen> {
    let Some(written) = written else { return Vec::new() };
    if written.is_empty() && !at.lost_items() {
        let help = "name reasons, or leave `when` out to ask it at any time".to_owned();
        checker.report(at, "an empty list is no reason to ask anybody", help);
    }
    let mut reasons = Vec::new();
    for (index, word) in written.iter().enumerate() {
        let reason = match word {
            file::AskWhen::First => AskWhen::First,
            file::AskWhen::Rejected => AskWhen::Rejected,
            file::AskWhen::Unavailable => AskWhen::Unavailable,
            file::AskWhen::Saturated => AskWhen::Saturated,
            file::AskWhen::Late => AskWhen::Late,
        };
        if reasons.contains(&reason) {
            let place = at.item(index);
            checker.report(place, format!("{} is there twice", place.shown()), "delete one".to_owned());
        } else {
            reasons.push(reason);
        }
    }
    reasons
}

/// Somebody must be there for a request to which nothing has happened yet.
pub(super) fn somebody_first(checker: &mut Checker<'_>, offers: &[Offer], at: NodePath<'_>) {
    let begins = |offer: &Offer| {
        offer.when.is_empty() || offer.when.iter().any(|when| matches!(when, AskWhen::First | AskWhen::Unavailable))
    };
    if !offers.is_empty() && !at.lost_items() && !offers.iter().any(begins) {
        let help = "let one offer have no `when`, or `first` among its reasons".to_owned();
        checker.report(at, "no offer of this route may be asked first", help);
    }
}
