//! Tells of checks of the quality gate that cannot work as they are written, as far as that is known without asking anybody.

use std::sync::Arc;

use crate::capabilities::{Capabilities, Sizes};
use crate::config::plan::{AskWhen, Plan, QualityCheck, QualityGate, Route};
use crate::config::{PlacedWarning, Warning};
use crate::gateway::config_warnings::place::of_route;
use crate::image::Size;
use crate::provider;

/// A warning of each.
pub(super) fn idle_checks(plan: &Plan) -> Vec<PlacedWarning> {
    let told = |(index, route): (usize, &Arc<Route>)| {
        let found = [(opaque(route), "quality"), (min_size(route), "quality"), (when_rejected(route), "offers")];
        let found = found.into_iter().filter_map(|(line, key)| Some((line?, key)));
        found
            .map(|(what, key)| PlacedWarning {
                warning: Warning::IdleCheck,
                place: of_route(index, &[key]),
                what: format!("route {}: {what}", route.name),
                help: "docs/guides/quality.md says what each check looks at".to_owned(),
            })
            .collect::<Vec<_>>()
    };
    plan.routes.iter().enumerate().flat_map(told).collect()
}

/// What of the gate's checks is easily misunderstood, a line on each: nothing is wrong with it.
#[cfg(any(test, feature = "cli"))]
pub fn notes(plan: &Plan) -> Vec<String> {
    let told = |route: &Arc<Route>| Some(format!("route {}: {}", route.name, transparent_brand(route)?));
    plan.routes.iter().filter_map(told).collect()
}

/// What the offers can do, each by its name.
fn capabilities(route: &Route) -> impl Iterator<Item = (&str, Capabilities)> {
    route.offers.iter().filter_map(|offer| {
        let adapter = provider::by_kind(offer.provider.kind)?;
        Some((offer.name.as_str(), provider::capabilities(adapter, &offer.provider.account, &offer.model)))
    })
}

/// The gate, where the config itself names `opaque`.
fn with_opaque(route: &Route) -> Option<&QualityGate> {
    route.quality.as_deref().filter(|gate| gate.named.has(QualityCheck::Opaque))
}

/// A picture is only held against `opaque` where its request asks for a transparent background.
fn opaque(route: &Route) -> Option<String> {
    with_opaque(route)?;
    let format = route.defaults.output_format.filter(|format| !format.has_alpha());
    if let Some(format) = format {
        return Some(format!(
            "`opaque` fails no picture whose format is that of `defaults.output_format`: {} has no transparency, so a \
             request for a transparent background is refused unless it names another format",
            format.as_str()
        ));
    }
    let none_can = capabilities(route).all(|(_, able)| !able.draws_transparent());
    none_can.then(|| {
        "`opaque` fails no picture: it looks at those of requests for a transparent background, and no offer draws one"
            .to_owned()
    })
}

/// Whoever wants transparent pictures and the brand's colours has to know of what the share is taken.
#[cfg(any(test, feature = "cli"))]
fn transparent_brand(route: &Route) -> Option<String> {
    let gate = with_opaque(route)?;
    gate.brand.as_ref().filter(|_| gate.checks().has(QualityCheck::BrandColor))?;
    Some("`brand.share` is a share of the pixels that can be seen: of a transparent picture its background counts for nothing".to_owned())
}

/// Offers whose every picture is smaller than `min_size` are paid and rejected.
fn min_size(route: &Route) -> Option<String> {
    let gate = route.quality.as_ref().filter(|gate| gate.checks().has(QualityCheck::TooSmall))?;
    let least = gate.min_size?;
    let able = capabilities(route).filter(|(_, able)| !may_reach(able, least));
    let names: Vec<&str> = able.map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "`min_size` {least} is more than any picture of {} has: each of them fails `too_small`",
            names.join(", ")
        )
    })
}

/// Whether a model may draw a picture of at least so many pixels across and down.
fn may_reach(able: &Capabilities, least: Size) -> bool {
    // An edit may have the size of the picture that it is given.
    if able.edit.is_some_and(|edit| edit.keeps_size) {
        return true;
    }
    match &able.sizes {
        // Nobody knows before it is drawn.
        Sizes::Any | Sizes::None => true,
        Sizes::Listed(sizes) => sizes.iter().any(|size| size.width >= least.width && size.height >= least.height),
        Sizes::Stepped(bounds) => {
            bounds.max_side >= least.width.max(least.height) && bounds.max_pixels >= least.pixels()
        }
        // The model decides the pixels, so that twice as many are not ruled out and four times as many are.
        Sizes::Ratios { pixels, .. } => {
            let largest_tier = able.tiers.iter().map(|tier| tier.square().pixels()).max().unwrap_or(0);
            (*pixels).max(largest_tier).saturating_mul(2) >= least.pixels()
        }
    }
}

/// Offers that wait for a rejection where next to nothing is rejected.
fn when_rejected(route: &Route) -> Option<String> {
    if route.quality.is_some() || route.strict {
        return None;
    }
    let waits = route.offers.iter().filter(|offer| offer.when == [AskWhen::Rejected]);
    let names: Vec<&str> = waits.map(|offer| offer.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} waits for a rejected picture, and with `quality: false` only a file is rejected that is no whole picture",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::config_loader;
    use crate::gateway::config_loader::ProcessEnv;

    /// A route of two offers, one of which draws transparent pictures, both of listed sizes.
    fn plan(offers: &str, more: &str) -> Plan {
        let config = format!(
            "clients: anyone
providers:
  old: {{kind: openai_compatible, base_url: 'https://one.example/v1/', models: {{small: {{price: 0.01, sizes: [512x512, 1024x512]}}}}}}
  openai: {{kind: openai, api_key: k, models: {{gpt-image-2: {{price: 0.04, transparent: true}}}}}}
routes:
  - {{name: r, offers: [{offers}], {more}}}
"
        );
        config_loader::check("easel.yaml", &config, &ProcessEnv).unwrap()
    }

    /// What is warned of at that route.
    fn told(offers: &str, more: &str) -> Vec<String> {
        idle_checks(&plan(offers, more)).into_iter().map(|warning| warning.what).collect()
    }

    #[test]
    fn a_check_for_transparency_where_nothing_is_transparent_is_told_if_the_config_names_it() {
        let none = told("old/small", "quality: {flag: [opaque]}");
        assert_eq!(none.len(), 1, "{none:?}");
        assert!(none[0].starts_with("route r: `opaque` fails no picture: "), "{none:?}");
        assert_eq!(told("old/small, openai/gpt-image-2", "quality: {flag: [opaque]}"), [""; 0]);
        assert_eq!(told("old/small", "quality: true"), [""; 0], "it is among the usual checks");
        let jpeg = told("openai/gpt-image-2", "quality: {flag: [opaque]}, defaults: {output_format: jpeg}");
        assert!(jpeg.len() == 1 && jpeg[0].contains("jpeg has no transparency"), "{jpeg:?}");
    }

    #[test]
    fn what_a_brand_s_share_is_taken_of_is_told_where_pictures_are_to_be_transparent() {
        let brand = "brand: {colors: ['#0a3d62']}";
        let told = |offers: &str, more: &str| notes(&plan(offers, more));
        let both = told("openai/gpt-image-2", &format!("quality: {{flag: [opaque], {brand}}}"));
        assert!(
            both.len() == 1 && both[0].contains("`brand.share` is a share of the pixels that can be seen"),
            "{both:?}"
        );
        assert_eq!(told("openai/gpt-image-2", &format!("quality: {{{brand}}}")), [""; 0]);
    }

    #[test]
    fn a_least_size_that_an_offer_never_draws_is_told_with_the_offer() {
        let too_large = told("old/small, openai/gpt-image-2", "quality: {min_size: 600x600}");
        assert!(too_large.len() == 1, "{too_large:?}");
        assert!(too_large[0].contains("`min_size` 600x600 is more than any picture of old/small has"), "{too_large:?}");
        assert_eq!(told("old/small", "quality: {min_size: 1024x512}"), [""; 0]);
    }

    #[test]
    fn an_offer_that_waits_for_a_rejection_where_nothing_is_rejected_is_told() {
        let offers = "old/small, {offer: openai/gpt-image-2, when: [rejected]}";
        let told_of = told(offers, "quality: false");
        assert!(told_of.len() == 1 && told_of[0].starts_with("route r: openai/gpt-image-2 waits for"), "{told_of:?}");
        for more in ["quality: true", "strict: true, quality: false", "deadline: 60s"] {
            assert_eq!(told(offers, more), [""; 0], "{more}");
        }
        let or_down = "old/small, {offer: openai/gpt-image-2, when: [rejected, unavailable]}";
        assert_eq!(told(or_down, "quality: false"), [""; 0]);
    }
}
