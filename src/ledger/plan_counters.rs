//! The counters that a plan needs: those of its budgets, its volume tiers and its commitments.

use std::sync::Arc;

use crate::calendar::{Per, Zone};
use crate::config::plan::{Budget, Model, Plan, Provider};
use crate::ledger::counter::{CounterKey, CounterScope};
use crate::money::Usd;

/// Every counter that a budget, a volume tier or a commitment of `plan` reads.
pub fn counter_keys(plan: &Plan) -> Vec<CounterKey> {
    let tiers = plan.providers.values().flat_map(|provider| of_provider(provider));
    budgets(plan).into_iter().map(|(key, _)| key).chain(tiers).collect()
}

/// What each budget of `plan` counts, and how much it is.
pub(super) fn budgets(plan: &Plan) -> Vec<(CounterKey, Usd)> {
    let clients = plan.clients.iter().flat_map(|client| budgeted(CounterScope::Client, &client.name, &client.budgets));
    let routes = plan.routes.iter().flat_map(|route| budgeted(CounterScope::Route, &route.name, &route.budgets));
    let providers = plan.providers.values();
    let providers = providers.flat_map(|provider| budgeted(CounterScope::Provider, &provider.name, &provider.budgets));
    clients.chain(routes).chain(providers).collect()
}

fn budgeted(scope: fn(Arc<str>) -> CounterScope, name: &str, budgets: &[Budget]) -> Vec<(CounterKey, Usd)> {
    let scope = scope(name.into());
    let key = |budget: &Budget| CounterKey { scope: scope.clone(), per: budget.per, zone: budget.zone.clone() };
    budgets.iter().map(|budget| (key(budget), budget.usd)).collect()
}

fn of_provider(provider: &Provider) -> Vec<CounterKey> {
    let (name, zone): (Arc<str>, &Zone) = (provider.name.as_str().into(), &provider.billing.zone);
    let monthly = |scope| CounterKey { scope, per: Per::Month, zone: zone.clone() };
    let mut keys = Vec::new();
    if provider.billing.committed.is_some() || !provider.billing.volume.is_empty() {
        keys.push(monthly(CounterScope::Provider(name.clone())));
    }
    let tiered = provider.models.values().filter(|model| !model.volume.is_empty());
    keys.extend(tiered.map(|model| monthly(CounterScope::Model(name.clone(), model.name.as_str().into()))));
    keys
}

/// What the volume tiers of a model and of its provider count.
pub(super) fn volume_keys(provider: &Provider, model: &Model) -> [CounterKey; 2] {
    let (name, zone): (Arc<str>, _) = (provider.name.as_str().into(), &provider.billing.zone);
    let monthly = |scope| CounterKey { scope, per: Per::Month, zone: zone.clone() };
    [monthly(CounterScope::Model(name.clone(), model.name.as_str().into())), monthly(CounterScope::Provider(name))]
}
