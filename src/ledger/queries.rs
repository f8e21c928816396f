//! What the ledger is asked: what was spent and saved, what came of it over the last hour, day or month, and how budgets
//! stand. Nothing is promised or settled here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
use crate::config::plan::{Dimension, Plan, Provider};
use crate::ledger::billed_model::BilledModel;
use crate::ledger::counter::{Budgeted, Counter, CounterKey};
use crate::ledger::plan_counters;
use crate::ledger::sliding_window;
use crate::ledger::sliding_window::Cost;
use crate::ledger::spend::{SpendAccount, Total};
use crate::ledger::state::Ledger;
use crate::money::Usd;

impl Ledger {
    /// Every account's total, in order of name.
    pub fn totals(&self) -> Vec<(SpendAccount, Total)> {
        self.lock().spend.totals().map(|(account, total)| (account.clone(), *total)).collect()
    }

    /// What was paid on each route.
    pub fn spent_by_route(&self) -> Vec<(Arc<str>, Usd)> {
        self.lock().spend.by_route()
    }

    /// What was paid for each tenant.
    pub fn spent_by_tenant(&self) -> Vec<(Arc<str>, Usd)> {
        self.lock().spend.by_tenant()
    }

    /// Everything on invoices. `None` when the sum does not fit.
    pub fn spent(&self) -> Option<Usd> {
        self.lock().spend.invoiced()
    }

    /// What the cache saved.
    pub fn total_saved(&self) -> Usd {
        self.lock().saved.values().fold(Usd::ZERO, |sum, usd| sum.saturating_add(*usd))
    }

    /// The same by tier.
    pub fn saved_by_tier(&self) -> BTreeMap<&'static str, Usd> {
        self.lock().saved.clone()
    }

    /// What is promised to attempts under way.
    pub fn reserved(&self) -> Usd {
        self.lock().under_way.values().fold(Usd::ZERO, |sum, entry| sum.saturating_add(entry.estimate))
    }

    /// What accepted pictures cost, as `Windows::costs` tells it.
    pub fn costs(&self, now: Moment) -> Vec<Cost> {
        self.lock().windows.costs(now)
    }

    /// Every name of a dimension that something was settled for.
    pub fn names(&self, by: Dimension) -> Vec<Arc<str>> {
        self.lock().windows.names(by).cloned().collect()
    }

    /// What was settled for a name over the time before `now`, as `Windows::sum` tells it.
    pub fn sum(&self, by: Dimension, name: &str, over: Duration, now: Moment) -> sliding_window::WindowSum {
        self.lock().windows.sum(by, name, Some(over), now)
    }

    /// What was settled for an offer, `provider/model`, on a route over the time before `now`, as `Windows::on_route` tells it.
    pub fn on_route(&self, route: &str, offer: &str, over: Duration, now: Moment) -> sliding_window::WindowSum {
        self.lock().windows.on_route(route, offer, over, now)
    }

    /// What `usd` adds to the invoice of a provider now: what it does not take from an unspent commitment.
    pub fn marginal(&self, provider: &Arc<Provider>, usd: Usd, now: Moment) -> Usd {
        if provider.billing.committed.is_none() {
            return usd;
        }
        let billed_model = BilledModel { provider: provider.clone(), model: None };
        let prepaid = self.lock().prepaid(&billed_model, usd, now);
        usd.checked_sub(prepaid).unwrap_or(usd)
    }

    /// Every budget of `plan`, as it stands.
    pub fn budgets(&self, plan: &Plan, now: Moment) -> Vec<Budgeted> {
        let mut state = self.lock();
        let mut stands = |(key, limit): (CounterKey, Usd)| {
            // What has a budget is counted; were it not, nothing would be used of it.
            let used = state.counters.get(&key, now).map_or(Usd::ZERO, |counter| counter.used());
            Budgeted { key, limit, used }
        };
        plan_counters::budgets(plan).into_iter().map(&mut stands).collect()
    }

    /// A counter as it stands.
    pub fn counter(&self, key: &CounterKey, now: Moment) -> Option<Counter> {
        self.lock().counters.get(key, now).cloned()
    }
}
