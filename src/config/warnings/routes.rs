//! Routes and names of models that no request gets to. What one earlier route takes whole is a problem, and found in
//! `check`; here are what several take together, and what is left of a route of which a part is taken.

use std::sync::Arc;

use crate::config::node_path::NodePath;
use crate::config::plan::{ModelPattern, Plan, Route};
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;

pub(super) fn routes(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>) {
    for (index, route) in plan.routes.iter().enumerate() {
        let at = tree.key("routes").item(index);
        if !plan.clients.is_empty() && !plan.clients.iter().any(|client| client.may_use(&route.name)) {
            let what = format!("no client may use route `{}`", route.name);
            warner.warn(
                Warning::RouteWithoutClient,
                at.key("name"),
                what,
                "name it in a client's `routes`, or delete it",
            );
        }
        let earlier: Vec<&Arc<Route>> =
            plan.routes.iter().take(index).filter(|earlier| is_before(plan, earlier, route)).collect();
        taken(warner, route, &earlier, at);
    }
}

/// Whether all who may use `later` and whose headers lead to it get to `earlier` first.
fn is_before(plan: &Plan, earlier: &Route, later: &Route) -> bool {
    let headers = earlier.headers.iter().all(|header| later.headers.contains(header));
    let mut clients = plan.clients.iter().filter(|client| client.may_use(&later.name));
    headers && clients.all(|client| client.may_use(&earlier.name))
}

fn taken(warner: &mut Warner, route: &Route, earlier: &[&Arc<Route>], at: NodePath<'_>) {
    let taker = |pattern: &ModelPattern| earlier.iter().find(|earlier| takes(earlier, pattern));
    let takers: Vec<_> = route.models.iter().map(taker).collect();
    let models = at.key("match").key("models");
    if !takers.is_empty() && takers.iter().all(Option::is_some) {
        let mut names: Vec<String> = takers.iter().flatten().map(|route| format!("`{}`", route.name)).collect();
        names.dedup();
        let what = format!(
            "no request gets here: {} {} them all",
            names.join(" and "),
            if names.len() == 1 { "takes" } else { "take" }
        );
        warner.warn(Warning::UnreachableRoute, models, what, "put this route before them, or give it other models");
        return;
    }
    for (index, (pattern, taker)) in route.models.iter().zip(&takers).enumerate() {
        let Some(taker) = taker else { continue };
        let what = format!("no request for `{}` gets here: route `{}` takes them", shown(pattern), taker.name);
        warner.warn(Warning::UnreachableModel, models.item(index), what, "delete it, or put this route first");
    }
}

/// Whether a route takes every model that `pattern` means, by its own patterns or because it is the name of an offer.
fn takes(route: &Route, pattern: &ModelPattern) -> bool {
    let by_pattern = route.models.iter().any(|wide| match (wide, pattern) {
        (ModelPattern::Exact(wide), ModelPattern::Exact(name)) => wide == name,
        (ModelPattern::Exact(_), ModelPattern::Prefix(_)) => false,
        (ModelPattern::Prefix(wide), ModelPattern::Exact(text) | ModelPattern::Prefix(text)) => text.starts_with(wide),
    });
    let by_offer = matches!(pattern, ModelPattern::Exact(name) if route.offers.iter().any(|offer| offer.name == *name));
    route.models.is_empty() || by_pattern || by_offer
}

fn shown(pattern: &ModelPattern) -> String {
    match pattern {
        ModelPattern::Exact(name) => name.clone(),
        ModelPattern::Prefix(prefix) => format!("{prefix}*"),
    }
}
