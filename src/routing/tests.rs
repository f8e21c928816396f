//! Which route takes a request, and which of its offers may draw it.

use std::sync::Arc;

use super::*;
use crate::capabilities::{Capabilities, Sizes};
use crate::config::plan::Route;
use crate::config::{self, ConfigText, EnvAndFiles, ProviderKind};
use crate::money::Usd;
use crate::request::ImageRequest;

struct Nothing;

impl EnvAndFiles for Nothing {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _path: &std::path::Path) -> Result<String, String> {
        Err("no files here".to_owned())
    }
}

/// Routes to a provider with a model for a cent and one for five.
fn routes(written: &str) -> Vec<Arc<Route>> {
    let text = format!(
        "providers:\n  p: {{kind: k, base_url: http://127.0.0.1:1/, models: {{m: {{price: 0.01}}, dear: {{price: 0.05}}}}}}\n\
         routes:\n{written}"
    );
    let kind = ProviderKind { name: "k", default_base_url: None, needs_key: false, known_models: &[] };
    config::load(&ConfigText { name: "test", text: &text }, &[kind], &Nothing)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .plan
        .routes
}

fn four_at_once() -> Capabilities {
    Capabilities {
        max_n: 4,
        prompt_chars: 100,
        sizes: Sizes::Any,
        tiers: Vec::new(),
        formats: Vec::new(),
        qualities: Vec::new(),
        seed: true,
        negative_prompt: false,
        negative_chars: 0,
        transparent: false,
        compression: false,
        style: false,
        partials: true,
        generate: true,
        edit: None,
    }
}

#[test]
fn a_route_is_found_by_the_models_it_answers_to_and_an_offers_own_name_pins_the_offer() {
    let routes = routes(
        "  - {name: mockups, match: {models: [mockup, \"draft-*\"]}, offers: [p/m]}\n\
         \x20 - {name: all, offers: [p/dear]}\n",
    );
    let found = |model| {
        let matched = find(&routes, |_| true, model, |_| None).unwrap();
        (matched.route.name.clone(), matched.pinned, matched.index)
    };
    assert_eq!(found(Some("mockup")), ("mockups".to_owned(), None, 0));
    assert_eq!(found(Some("draft-7")), ("mockups".to_owned(), None, 0));
    assert_eq!(found(Some("flux")), ("all".to_owned(), None, 1), "a route without models answers to every name");
    assert_eq!(found(None), ("all".to_owned(), None, 1), "who names no model gets the route that names none");
    assert_eq!(found(Some("p/dear")), ("all".to_owned(), Some("p/dear".to_owned()), 1));
    assert!(find(&routes[..1], |_| true, Some("flux"), |_| None).is_none());
}

#[test]
fn a_route_is_taken_only_by_who_may_and_with_its_headers() {
    let routes = routes(
        "  - {name: team, match: {headers: {x-team: art}}, offers: [p/m]}\n\
         \x20 - {name: all, offers: [p/m]}\n",
    );
    let found = |allowed: &str, team: Option<&'static str>| {
        let header = |name: &str| team.filter(|_| name == "x-team");
        find(&routes, |route| allowed.contains(&route.name), Some("flux"), header).map(|matched| matched.index)
    };
    assert_eq!([found("team all", Some("art")), found("team all", Some("sales"))], [Some(0), Some(1)]);
    assert_eq!([found("team all", None), found("team", None), found("all", Some("art"))], [Some(1), None, Some(1)]);
}

/// The offers that are asked with how many pictures at once, and those that are not, with the reason.
type Appraised = (Vec<(usize, u8)>, Vec<(usize, &'static str)>);

/// What becomes of the offers of a route with both models for a request: who is asked for how many pictures at once, and
/// why the others are not asked.
fn appraised(pinned: Option<&str>, caps: &Caps, body: &str) -> Appraised {
    let route = routes("  - {name: all, offers: [p/m, p/dear]}\n").remove(0);
    let matched = RouteMatch { route, pinned: pinned.map(str::to_owned), index: 0 };
    let request = ImageRequest::from_json(body.as_bytes()).unwrap();
    let capabilities = [four_at_once(), four_at_once()];
    let (able, skipped) = evaluate_candidates(&matched, &capabilities, &request, caps, &|_, usd| Some(usd));
    let able = able.iter().map(|candidate| (candidate.offer, candidate.max_n)).collect();
    (able, skipped.iter().map(|(offer, skip)| (*offer, skip.as_str())).collect())
}

#[test]
fn only_the_pinned_offer_is_asked_and_of_the_others_nothing_is_said() {
    let body = r#"{"prompt":"a red fox"}"#;
    assert_eq!(appraised(None, &Caps::default(), body), (vec![(0, 4), (1, 4)], vec![]));
    assert_eq!(appraised(Some("p/dear"), &Caps::default(), body), (vec![(1, 4)], vec![]));
}

#[test]
fn pictures_with_a_seed_and_pictures_that_are_shown_unfinished_are_drawn_one_a_call() {
    let at_once = |body| appraised(Some("p/m"), &Caps::default(), body).0[0].1;
    assert_eq!(at_once(r#"{"prompt":"x"}"#), 4);
    assert_eq!(at_once(r#"{"prompt":"x","seed":7}"#), 1);
    assert_eq!(at_once(r#"{"prompt":"x","stream":true,"partial_images":2}"#), 1);
}

#[test]
fn a_price_at_a_cap_is_within_it_and_one_above_it_is_not() {
    let cap = |nanos| Cap { usd: Usd::from_nanos(nanos), whose: CapOwner::Route };
    let body = r#"{"prompt":"x"}"#;
    let at = |nanos| appraised(None, &Caps { per_image: Some(cap(nanos)), per_request: None }, body);
    assert_eq!(at(50_000_000), (vec![(0, 4), (1, 4)], vec![]));
    assert_eq!(at(49_999_999), (vec![(0, 4)], vec![(1, "over_price")]));

    let caps = Caps { per_image: None, per_request: Some(cap(40)) };
    let affordable =
        |usd, pictures, spent| caps.affordable(Usd::from_nanos(usd), pictures, Usd::from_nanos(spent)).is_ok();
    assert_eq!([affordable(10, 3, 10), affordable(10, 3, 11), affordable(10, 4, 1)], [true, false, false]);
    assert!(!affordable(i64::MAX, 2, 0), "what does not fit is over every cap");
    assert!(Caps::default().affordable(Usd::from_nanos(i64::MAX), 2, Usd::ZERO).is_ok());
}
