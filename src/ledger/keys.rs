//! What a plan needs to have counted.

use std::sync::Arc;

use crate::calendar::{Per, Zone};
use crate::config::plan::{Budget, Plan, Provider};
use crate::ledger::counter::{Key, Scope};

/// Every counter that a budget, a volume tier or a commitment of `plan` reads.
pub fn keys(plan: &Plan) -> Vec<Key> {
    let clients =
        plan.clients.iter().flat_map(|client| budgeted(Scope::Client(client.name.as_str().into()), &client.budgets));
    let routes =
        plan.routes.iter().flat_map(|route| budgeted(Scope::Route(route.name.as_str().into()), &route.budgets));
    clients.chain(routes).chain(plan.providers.values().flat_map(|provider| of_provider(provider))).collect()
}

fn budgeted(scope: Scope, budgets: &[Budget]) -> Vec<Key> {
    let key = |budget: &Budget| Key { scope: scope.clone(), per: budget.per, zone: budget.zone.clone() };
    budgets.iter().map(key).collect()
}

fn of_provider(provider: &Provider) -> Vec<Key> {
    let (name, zone): (Arc<str>, &Zone) = (provider.name.as_str().into(), &provider.billing.zone);
    let monthly = |scope| Key { scope, per: Per::Month, zone: zone.clone() };
    let mut keys = budgeted(Scope::Provider(name.clone()), &provider.budgets);
    if provider.billing.committed.is_some() || !provider.billing.volume.is_empty() {
        keys.push(monthly(Scope::Provider(name.clone())));
    }
    let tiered = provider.models.values().filter(|model| !model.volume.is_empty());
    keys.extend(tiered.map(|model| monthly(Scope::Model(name.clone(), model.name.as_str().into()))));
    keys
}
