//! Times, numbers and alerts that cannot matter, because another one always comes first. Only what is written is looked
//! at: nobody is to be told of a default.

use std::sync::Arc;
use std::time::Duration;

use crate::config::node_path::NodePath;
use crate::config::plan::{HedgeAfter, MOST_VARIANTS, Measure, Plan, Provider, Route};
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;

pub(super) fn idle(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>) {
    for (name, provider) in &plan.providers {
        let at = tree.key("providers").key(name);
        connecting(warner, provider, at);
        queue(warner, plan, provider, at.key("concurrency"));
    }
    for (index, route) in plan.routes.iter().enumerate() {
        let at = tree.key("routes").item(index);
        route_times(warner, route, at);
        attempts(warner, route, at.key("attempts"));
    }
    alerts(warner, plan, tree.key("alerts"));
}

fn connecting(warner: &mut Warner, provider: &Provider, at: NodePath<'_>) {
    let place = at.key("connect_timeout");
    if place.is_given() && provider.connect_timeout > provider.timeout {
        let what = format!("{} never runs out: a whole call has {}", place.shown(), shown(provider.timeout));
        warner.warn(Warning::IdleTimeout, place, what, "make it shorter than `timeout`");
    }
}

fn queue(warner: &mut Warner, plan: &Plan, provider: &Provider, at: NodePath<'_>) {
    let concurrency = provider.concurrency;
    let (queue, wait) = (at.key("queue"), at.key("max_wait"));
    if queue.is_given() && concurrency.queue > 0 && concurrency.max_wait.is_zero() {
        let what = "nobody waits in this queue: `max_wait` is nothing";
        warner.warn(Warning::IdleQueue, queue, what, "give `max_wait` a time, or write `queue: 0`");
    }
    if wait.is_given() && concurrency.queue == 0 && !concurrency.max_wait.is_zero() {
        let what = "nobody waits so long: `queue` is 0";
        warner.warn(Warning::IdleQueue, wait, what, "give `queue` a number, or leave `max_wait` out");
    }
    let offered = |route: &&Arc<Route>| route.offers.iter().any(|offer| offer.provider.name == provider.name);
    let Some(longest) = plan.routes.iter().filter(offered).map(|route| route.deadline).max() else { return };
    if wait.is_given() && concurrency.queue > 0 && concurrency.max_wait > longest {
        let what = format!("nobody waits so long: the longest deadline of a route with it is {}", shown(longest));
        warner.warn(Warning::IdleTimeout, wait, what, "make it shorter than that deadline");
    }
}

fn route_times(warner: &mut Warner, route: &Route, at: NodePath<'_>) {
    let place = at.key("prompt").key("enrich").key("timeout");
    if let Some(enrich) = &route.prompt.enrich
        && place.is_given()
        && enrich.timeout > route.deadline / 2
    {
        let what = format!("{} never runs out: rewriting gets half of the deadline at most", place.shown());
        warner.warn(Warning::IdleTimeout, place, what, &format!("write at most {}", shown(route.deadline / 2)));
    }
    let place = at.key("hedge").key("after");
    if let Some(HedgeAfter::Time(after)) = route.hedge.map(|hedge| hedge.after)
        && after >= route.deadline
    {
        let what = format!("no call is so late: the deadline is {}", shown(route.deadline));
        warner.warn(Warning::IdleTimeout, place, what, "make it shorter than the deadline");
    }
}

fn attempts(warner: &mut Warner, route: &Route, at: NodePath<'_>) {
    let (max, per_offer) = (route.max_failures, route.max_failures_per_offer);
    let (max_at, per_offer_at) = (at.key("max"), at.key("per_offer"));
    if per_offer_at.is_given() && per_offer > max {
        let what = format!("no offer fails so often: a request gives up after {max}");
        warner.warn(Warning::IdleAttempts, per_offer_at, what, &format!("write at most {max}, or raise `max`"));
    }
    // Calls for as many pictures as one may ask for run at once, and each of them may fail.
    let at_once = u32::from(MOST_VARIANTS).saturating_sub(1);
    let offers = u32::try_from(route.offers.len()).unwrap_or(u32::MAX);
    let most = per_offer.saturating_add(at_once).saturating_mul(offers);
    if max_at.is_given() && max > most {
        let what = format!("no request fails so often: {offers} offers with {per_offer} failures each are done before");
        warner.warn(Warning::IdleAttempts, max_at, what, &format!("write at most {most}, or raise `per_offer`"));
    }
}

/// An alert on budgets where there is none.
fn alerts(warner: &mut Warner, plan: &Plan, at: NodePath<'_>) {
    let any = plan.providers.values().any(|provider| !provider.budgets.is_empty())
        || plan.routes.iter().any(|route| !route.budgets.is_empty())
        || plan.clients.iter().any(|client| !client.budgets.is_empty());
    for (index, alert) in plan.alerts.iter().enumerate() {
        if alert.when.measure == Measure::BudgetShare && !any {
            let what = "this alert never fires: the config has no budget";
            warner.warn(Warning::IdleAlert, at.item(index).key("when"), what, "add a `budget`, or delete the alert");
        }
    }
}

fn shown(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}
