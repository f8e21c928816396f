//! What a route fills in, held against its offers by the very decision that is taken of a request: defaults that no row
//! prices, and defaults with which nobody draws.

use std::sync::Arc;

use crate::capabilities::{Capabilities, Sizes, Unsupported};
use crate::config::plan::{Offer, Plan, Route};
use crate::config::{PlacedWarning, Step, Warning};
use crate::gateway::config_warnings::place::of_route;
use crate::gateway::fill_in;
use crate::money::Usd;
use crate::pricing::{Row, RowSize, Table};
use crate::provider;
use crate::request::ImageRequest;
use crate::routing::{Caps, RouteMatch, Skip, evaluate_candidates};

/// The least that a client sends.
const REQUEST: &[u8] = br#"{"prompt": "a red fox"}"#;

pub(super) fn defaults(plan: &Plan) -> Vec<PlacedWarning> {
    let routes = || plan.routes.iter().enumerate();
    let open = routes().flat_map(|(index, route)| size_left_open(route, index));
    routes().flat_map(|(index, route)| of(route, index)).chain(open).collect()
}

/// Offers whose rows are for sizes alone, on a route that names none: the model draws what it likes, and what that costs
/// is not known before and perhaps not after.
fn size_left_open(route: &Route, index: usize) -> Vec<PlacedWarning> {
    if route.defaults.size.is_some() {
        return Vec::new();
    }
    let open = |offer: &Offer| {
        let Table::Rows(rows) = &offer.model.price.table else { return false };
        let Some(adapter) = provider::by_kind(offer.provider.kind) else { return false };
        let account = &offer.provider.account;
        let able = provider::capabilities(adapter, account, &offer.model);
        let unknown = adapter.usual(account, &offer.model).size.is_none() && able.tiers.is_empty();
        let pixels = |row: &Row| matches!(row.size, Some(RowSize::Pixels(_)));
        unknown && !matches!(able.sizes, Sizes::Listed(_)) && rows.iter().all(pixels)
    };
    let found = route.offers.iter().enumerate().filter(|(_, offer)| open(offer));
    found
        .map(|(offer, open)| {
            let mut place = of_route(index, &["offers"]);
            place.push(Step::Item(offer));
            PlacedWarning {
                warning: Warning::SizeLeftOpen,
                place,
                what: format!(
                    "a request that names no size gets the one that `{}` chooses, and its price has rows for some sizes alone",
                    open.name
                ),
                help: "add `size` to the route's `defaults`, or a row without `size` at the end of the price".to_owned(),
            }
        })
        .collect()
}

fn of(route: &Arc<Route>, index: usize) -> Vec<PlacedWarning> {
    let Some((drawn, skipped)) = evaluated(route, index) else { return Vec::new() };
    let place = |key: &str| {
        let below = if has_defaults(route) { "defaults" } else { key };
        of_route(index, &[below])
    };
    if drawn == 0 && !skipped.is_empty() {
        // A cap below every price is told at the cap, and a route of nothing but edits draws no generation.
        let told = skipped.iter().all(|(offer, skip)| match skip {
            Skip::Unsupported(Unsupported::Generate) => true,
            Skip::OverPrice { cap, .. } => least(route, *offer).is_none_or(|least| least > cap.usd),
            _ => false,
        });
        if told {
            return Vec::new();
        }
        let named =
            |(offer, skip): &(usize, Skip)| Some(format!("{} ({})", route.offers.get(*offer)?.name, words(*skip)));
        let reasons: Vec<String> = skipped.iter().filter_map(named).collect();
        return vec![PlacedWarning {
            warning: Warning::DefaultsRefused,
            place: place("name"),
            what: format!(
                "a request that names no size and no quality is refused by every offer: {}",
                reasons.join(", ")
            ),
            help: "change `defaults`, the cap, or the rows of a price".to_owned(),
        }];
    }
    let unpriced = skipped.iter().filter(|(_, skip)| *skip == Skip::Unpriced);
    let warn = |(offer, _): &(usize, Skip)| {
        let name = &route.offers.get(*offer)?.name;
        let mut place = of_route(index, &["offers"]);
        place.push(Step::Item(*offer));
        Some(PlacedWarning {
            warning: Warning::DefaultsUnpriced,
            place,
            what: format!(
                "no row of the price of `{name}` fits the route's defaults, so it is skipped where they are filled in"
            ),
            help: "add a row for them, or one without `size` and `quality` at the end".to_owned(),
        })
    };
    unpriced.filter_map(warn).collect()
}

/// How many offers could draw such a request, and why not the others.
fn evaluated(route: &Arc<Route>, index: usize) -> Option<(usize, Vec<(usize, Skip)>)> {
    let mut request = ImageRequest::from_json(REQUEST).ok()?;
    fill_in(&mut request, route);
    let able = |offer: &Offer| {
        let adapter = provider::by_kind(offer.provider.kind)?;
        Some(provider::capabilities(adapter, &offer.provider.account, &offer.model))
    };
    let capabilities: Vec<Capabilities> = route.offers.iter().map(able).collect::<Option<_>>()?;
    let matched = RouteMatch { route: route.clone(), pinned: None, index };
    let caps = Caps::of(route, None, None);
    let (drawn, mut skipped) = evaluate_candidates(&matched, &capabilities, &request, &caps, &|_, usd| Some(usd));
    let (within, over): (Vec<_>, Vec<_>) =
        drawn.into_iter().partition(|candidate| caps.affordable(candidate.usd, 1, Usd::ZERO).is_ok());
    let over = over.into_iter().filter_map(|candidate| {
        let exceeded = caps.affordable(candidate.usd, 1, Usd::ZERO).err()?;
        Some((candidate.offer, Skip::from(exceeded)))
    });
    skipped.extend(over);
    Some((within.len(), skipped))
}

/// The least that any picture of an offer may cost.
fn least(route: &Route, offer: usize) -> Option<Usd> {
    let offer = route.offers.get(offer)?;
    offer.model.price.least(&offer.model.volume, &offer.provider.billing.volume)
}

fn has_defaults(route: &Route) -> bool {
    let defaults = &route.defaults;
    defaults.size.is_some() || defaults.quality.is_some() || defaults.output_format.is_some()
}

/// Why an offer was skipped, with the sums where it is a matter of money.
fn words(skip: Skip) -> String {
    match skip {
        Skip::OverPrice { usd, cap } => format!("{usd} USD, and the cap is {}", cap.usd),
        Skip::Unpriced => "no row prices it".to_owned(),
        Skip::Unsupported(unable) => format!("does not draw this {}", unable.param()),
        other => other.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::config_loader::{ProcessEnv, check};

    fn told(price: &str, route: &str) -> Vec<(Warning, String)> {
        let text = format!(
            "providers:
  openai: {{kind: openai, api_key: k, models: {{gpt-image-2: {{price: {price}}}}}}}
  stability: {{kind: stability, api_key: k, models: {{core: {{price: 0.03}}, inpaint: {{price: 0.05}}}}}}
routes:
  - {{name: r, {route}}}
"
        );
        let plan = check("easel.yaml", &text, &ProcessEnv).unwrap_or_else(|problems| panic!("{problems}"));
        defaults(&plan).into_iter().map(|one| (one.warning, one.what)).collect()
    }

    const ROWS: &str = "[{size: 1024x1024, quality: medium, usd: 0.053}, {size: 1024x1024, quality: high, usd: 0.211}]";

    #[test]
    fn defaults_that_no_row_prices_are_told_at_the_offer_and_at_the_route_where_there_is_no_other() {
        let alone = told(ROWS, "offers: [openai/gpt-image-2], defaults: {size: 1536x1024, quality: medium}");
        assert!(
            matches!(alone.as_slice(), [(Warning::DefaultsRefused, what)] if what.contains("no row prices it")),
            "{alone:?}"
        );
        let both = "offers: [openai/gpt-image-2, stability/core], defaults: {size: 1536x1024, quality: medium}";
        let both = told(ROWS, both);
        assert!(
            matches!(both.as_slice(), [(Warning::DefaultsUnpriced, what)] if what.contains("openai/gpt-image-2")),
            "{both:?}"
        );
        assert_eq!(told(ROWS, "offers: [openai/gpt-image-2], defaults: {size: 1024x1024, quality: high}"), []);
    }

    #[test]
    fn defaults_that_are_dearer_than_the_cap_refuse_whoever_names_nothing() {
        let high = "offers: [openai/gpt-image-2], defaults: {size: 1024x1024, quality: high}";
        for cap in ["max_usd_per_image: 0.06", "max_usd_per_request: 0.06"] {
            let told = told(ROWS, &format!("{high}, price: {{{cap}}}"));
            assert!(
                matches!(told.as_slice(), [(Warning::DefaultsRefused, what)] if what.contains("0.211 USD, and the cap is 0.06")),
                "{told:?}"
            );
        }
        // Where no quality would be within it, the cap is what is told.
        assert_eq!(told(ROWS, &format!("{high}, price: {{max_usd_per_image: 0.01}}")), []);
    }

    #[test]
    fn a_size_that_is_left_to_the_model_and_may_have_no_price_is_told() {
        let open = told(ROWS, "offers: [openai/gpt-image-2]");
        assert!(
            matches!(open.as_slice(), [(Warning::SizeLeftOpen, what)] if what.contains("openai/gpt-image-2")),
            "{open:?}"
        );
        assert_eq!(told(ROWS, "offers: [openai/gpt-image-2], defaults: {size: 1024x1024}"), []);
        assert_eq!(told("[{size: 1024x1024, usd: 0.05}, {usd: 0.211}]", "offers: [openai/gpt-image-2]"), []);
        assert_eq!(told("0.05", "offers: [openai/gpt-image-2]"), []);
    }

    #[test]
    fn a_route_of_nothing_but_edits_is_not_held_against_a_generation() {
        assert_eq!(told(ROWS, "offers: [stability/inpaint]"), []);
    }
}
