//! The promise of money before an attempt: against every budget it counts in, or not at all.

use std::sync::Arc;

use crate::calendar::{Moment, Per};
use crate::config::plan::{Budget, Model, Provider};
use crate::ledger::billed_model::BilledModel;
use crate::ledger::counter::{CounterKey, CounterScope};
use crate::ledger::entry::{Entry, Owner, Purpose};
use crate::ledger::hold::Hold;
use crate::ledger::plan_counters::volume_keys;
use crate::ledger::state::{Ledger, LedgerState};
use crate::money::Usd;
use crate::pricing::volume_tiers::{dearest, tiers_for};
use crate::request::ImageRequest;

/// What an attempt is going to do.
#[derive(Clone, Debug)]
pub struct Intent<'a> {
    /// The request's own id.
    pub request: Arc<str>,
    /// Whose it is.
    pub owner: Owner,
    /// What for.
    pub purpose: Purpose,
    /// Pictures asked for.
    pub pictures: u32,
    /// What it may cost, volume tiers applied.
    pub estimate: Usd,
    /// Why its offer was asked; empty for what is no choice.
    pub chosen: &'static str,
    /// What is agreed with its vendor.
    pub billed_model: BilledModel,
    /// Budgets of its client, its route and its provider.
    pub budgets: [&'a [Budget]; 3],
}

/// A budget that an attempt would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// Whose.
    pub scope: CounterScope,
    /// How often it begins again.
    pub per: Per,
    /// How much it is.
    pub limit: Usd,
    /// What is neither spent nor promised of it.
    pub left: Usd,
    /// What the attempt may cost.
    pub wanted: Usd,
    /// When it begins again; `None` is never.
    pub resets: Option<Moment>,
}

impl Ledger {
    /// Promises what an attempt may cost, or says which budget it would pass: of several the one with least left.
    /// `note` is called with the entry before anything else can happen to the ledger.
    pub fn reserve<T>(
        self: &Arc<Ledger>,
        intent: Intent<'_>,
        now: Moment,
        note: impl FnOnce(&Entry) -> T,
    ) -> Result<(Hold, T), BudgetExceeded> {
        let Intent { request, owner, purpose, pictures, estimate, chosen, billed_model, budgets } = intent;
        let mut state = self.lock();
        let short = state.shortages(&owner, budgets, estimate, now).into_iter().min_by_key(|short| short.left);
        if let Some(short) = short {
            return Err(short);
        }
        state.shared_budgets.use_allowances(&owner, budgets, estimate);
        state.last_id += 1;
        let entry = Entry { id: state.last_id, at: now, request, owner, purpose, pictures, estimate, chosen };
        state.counters.reserve(&entry);
        state.under_way.insert(entry.id, entry.clone());
        let noted = note(&entry);
        Ok((Hold::new(self.clone(), entry, billed_model), noted))
    }

    /// The budget that an attempt of `wanted` dollars would pass, if there is one. Nothing is promised.
    pub fn short(&self, owner: &Owner, budgets: [&[Budget]; 3], wanted: Usd, now: Moment) -> Option<BudgetExceeded> {
        self.lock().shortages(owner, budgets, wanted, now).into_iter().min_by_key(|short| short.left)
    }

    /// The price of the dearest of the next `pictures` of `request`, volume tiers applied to `base`, which has the call's
    /// fee in it; attempts under way are reckoned with. `None` where it does not fit.
    pub fn tiered(
        &self,
        (provider, model): (&Provider, &Model),
        request: &ImageRequest,
        base: Usd,
        pictures: u32,
        now: Moment,
    ) -> Option<Usd> {
        if model.volume.is_empty() && provider.billing.volume.is_empty() {
            return Some(base);
        }
        let (tiers, fee) = (tiers_for(&model.volume, &model.price, request)?, model.price.fee);
        let mut state = self.lock();
        let [of_model, of_provider] = volume_keys(provider, model).map(|key| state.position(&key, now));
        let most = u64::from(pictures);
        let base = dearest(&tiers, of_model.0, of_model.0 + of_model.1 + most, base, fee)?;
        dearest(&provider.billing.volume, of_provider.0, of_provider.0 + of_provider.1 + most, base, fee)
    }
}

impl LedgerState {
    /// Every budget with less left than `wanted`.
    fn shortages(&mut self, owner: &Owner, budgets: [&[Budget]; 3], wanted: Usd, now: Moment) -> Vec<BudgetExceeded> {
        let mut short = Vec::new();
        let [client, route, provider, _] = CounterScope::of(owner);
        for (scope, budgets) in [client, route, provider].into_iter().zip(budgets) {
            for Budget { usd, per, zone } in budgets {
                let key = CounterKey { scope: scope.clone(), per: *per, zone: zone.clone() };
                let Some(left) = self.counters.get(&key, now).map(|counter| counter.left(*usd)) else { continue };
                let left = self.shared_budgets.own_part(&key, left);
                if wanted > left {
                    let resets = self.counters.get(&key, now).and_then(|counter| counter.period.end);
                    let scope = key.scope;
                    short.push(BudgetExceeded { scope, per: *per, limit: *usd, left, wanted, resets });
                }
            }
        }
        short
    }
}
