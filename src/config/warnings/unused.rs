//! Providers and models that nothing names.

use std::collections::BTreeSet;

use crate::config::node_path::NodePath;
use crate::config::plan::{EquivalenceJudge, Plan};
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;

pub(super) fn unused(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>) {
    let used = used(plan);
    for (name, provider) in &plan.providers {
        let models = || provider.models.keys().chain(provider.writers.keys());
        let is_used = |model: &&String| used.contains(&(name.as_str(), model.as_str()));
        let at = tree.key("providers");
        if !models().any(|model| is_used(&model)) {
            let what = format!("nothing uses provider `{name}`");
            warner.warn(Warning::UnusedProvider, at.name(name), what, "offer a model of it on a route, or delete it");
            continue;
        }
        for model in models().filter(|model| !is_used(model)) {
            let what = format!("nothing uses `{name}/{model}`");
            warner.warn(
                Warning::UnusedModel,
                at.key(name).key("models").name(model),
                what,
                "offer it on a route, or delete it",
            );
        }
    }
}

/// What something names: a provider, and a model of it.
fn used(plan: &Plan) -> BTreeSet<(&str, &str)> {
    let mut used = BTreeSet::new();
    for route in &plan.routes {
        used.extend(route.offers.iter().map(|offer| (offer.provider.name.as_str(), offer.model.name.as_str())));
        used.extend(route.prompt.enrich.iter().map(|enrich| (&*enrich.provider.name, &*enrich.writer.name)));
        used.extend(route.near_embedding.iter().map(|near| (&*near.provider.name, &*near.model.name)));
        used.extend(route.learn.iter().map(|learn| match &learn.judge {
            EquivalenceJudge::Chat { provider, model } => (&*provider.name, &*model.name),
            EquivalenceJudge::Embedding(near) => (&*near.provider.name, &*near.model.name),
        }));
    }
    used
}
