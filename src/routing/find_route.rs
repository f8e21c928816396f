//! Which route takes a request: by the model it names and by its headers.

use std::sync::Arc;

use crate::config::plan::Route;

/// A request matched to a route.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// The route.
    pub route: Arc<Route>,
    /// The one offer the caller insists on, `provider/model`.
    pub pinned: Option<String>,
    /// The route's place in the plan.
    pub index: usize,
}

/// The first `allowed` route that answers to `model` and whose headers are all there. `header` looks up a lower-case name.
///
/// `provider/model` of one of a route's offers pins that offer. A request that names no model goes to the first route
/// that names none either, else to the first whose headers match.
pub fn find<'a>(
    routes: &[Arc<Route>],
    allowed: impl Fn(&Route) -> bool,
    model: Option<&str>,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Option<RouteMatch> {
    let told = |(name, value): &(String, String)| header(name) == Some(value.as_str());
    let open = |route: &Route| allowed(route) && route.headers.iter().all(told);
    let mut open = routes.iter().enumerate().filter(|(_, route)| open(route));
    let matched = |(index, route): (usize, &Arc<Route>), pinned| RouteMatch { route: route.clone(), pinned, index };
    let Some(model) = model else {
        let open: Vec<_> = open.collect();
        let unnamed = open.iter().find(|(_, route)| route.models.is_empty());
        return unnamed.or(open.first()).map(|found| matched(*found, None));
    };
    open.find_map(|(index, route)| {
        if route.offers.iter().any(|offer| offer.name == model) {
            return Some(matched((index, route), Some(model.to_owned())));
        }
        let answers = route.models.is_empty() || route.models.iter().any(|pattern| pattern.matches(model));
        answers.then(|| matched((index, route), None))
    })
}
