//! What of each budget is this process's, while one hands over to another.

use std::collections::HashMap;

use crate::config::plan::Budget;
use crate::ledger::counter::{CounterKey, CounterScope};
use crate::ledger::entry::Owner;
use crate::money::Usd;

/// What of the budgets is another process's.
#[derive(Debug, Default)]
pub(super) struct SharedBudgets {
    /// What this process may still spend, where it has handed over.
    allowances: Option<HashMap<String, Usd>>,
    /// What the process before may spend, where it still ends.
    set_aside: HashMap<String, Usd>,
}

impl SharedBudgets {
    /// Spends no more than this of these budgets from now on.
    pub(super) fn keep_only(&mut self, allowances: impl Iterator<Item = (String, Usd)>) {
        self.allowances = Some(allowances.collect());
    }

    /// Leaves so much of these budgets alone from now on.
    pub(super) fn leave_alone(&mut self, parts: impl Iterator<Item = (String, Usd)>) {
        self.set_aside = parts.collect();
    }

    /// How much of what is `left` of a budget is this process's.
    pub(super) fn own_part(&self, key: &CounterKey, left: Usd) -> Usd {
        if self.allowances.is_none() && self.set_aside.is_empty() {
            return left;
        }
        let key = key.to_string();
        let theirs = self.set_aside.get(&key).copied().unwrap_or(Usd::ZERO);
        let left = left.checked_sub(theirs).map_or(Usd::ZERO, |left| left.max(Usd::ZERO));
        match self.allowances.as_ref().and_then(|allowances| allowances.get(&key)) {
            Some(allowance) => left.min(*allowance),
            None => left,
        }
    }

    /// Takes what an attempt may cost from the allowances that it counts in. What it costs less does not come back.
    pub(super) fn use_allowances(&mut self, owner: &Owner, budgets: [&[Budget]; 3], usd: Usd) {
        let Some(allowances) = &mut self.allowances else { return };
        let [client, route, provider, _] = CounterScope::of(owner);
        for (scope, budgets) in [client, route, provider].into_iter().zip(budgets) {
            for Budget { per, zone, .. } in budgets {
                let key = CounterKey { scope: scope.clone(), per: *per, zone: zone.clone() };
                if let Some(allowance) = allowances.get_mut(&key.to_string()) {
                    *allowance = allowance.checked_sub(usd).map_or(Usd::ZERO, |left| left.max(Usd::ZERO));
                }
            }
        }
    }
}
