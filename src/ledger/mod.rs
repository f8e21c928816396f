//! What was paid, to whom, and for what; and what may still be promised.
//!
//! An attempt is opened by [`Ledger::reserve`], which promises its price against every budget it counts in or says
//! which of them it would pass, and is closed by its [`Hold`]. In between the promise stands, so no number of attempts
//! side by side can pass a limit. Amounts are exact; nothing is estimated here and nothing is rounded but a price.
//! Writing entries down is somebody else's work, in the order in which they are told here; what was written down before
//! comes back in the same order, while nothing else can happen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::calendar::{Moment, Per};
use crate::config::plan::{Budget, Model, Provider};
use crate::ledger::counter::{CounterKey, Counters, Scope};
use crate::ledger::entry::{Entry, Owner, Purpose, Settlement};
use crate::ledger::monthly_fee::Fees;
use crate::ledger::queries::Seen;
use crate::ledger::window::Windows;
use crate::money::Usd;
use crate::request::ImageRequest;

pub mod counter;
mod counter_keys;
pub mod entry;
mod hold;
pub mod monthly_fee;
mod queries;
mod restore;
mod volume;
pub mod window;

pub use crate::ledger::counter_keys::keys;
pub use crate::ledger::queries::add_to_windows;
pub use hold::{Amount, Charge, Hold, Settled};
pub use volume::tiers;

/// What an amount bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendKind {
    /// Pictures that can be delivered.
    Delivered,
    /// Pictures that were charged and cannot be delivered: refused after drawing, truncated, lost on the way.
    Lost,
    /// Prompts rewritten before they were drawn, those that came to nothing included. No pictures.
    Enrichment,
    /// Fees for capacity held ready. No pictures.
    Reserved,
    /// What was taken from a commitment instead of being charged. Not part of what was spent.
    Prepaid,
    /// Calls that were sent and never answered or by something that says nothing, and jobs that were taken on and lost: nobody knows whether they were
    /// carried out and charged. Not part of what was spent.
    Uncertain,
}

impl SpendKind {
    /// The word in the metric.
    pub fn word(self) -> &'static str {
        match self {
            SpendKind::Delivered => "delivered",
            SpendKind::Lost => "lost",
            SpendKind::Enrichment => "enrichment",
            SpendKind::Reserved => "reserved",
            SpendKind::Prepaid => "prepaid",
            SpendKind::Uncertain => "uncertain",
        }
    }

    /// Whether it stands on an invoice.
    pub fn is_invoiced(self) -> bool {
        !matches!(self, SpendKind::Prepaid | SpendKind::Uncertain)
    }
}

/// One line of the totals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// What was bought.
    pub kind: SpendKind,
}

/// Pictures and money of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Pictures paid for.
    pub pictures: u64,
    /// Money paid.
    pub usd: Usd,
}

/// What is agreed with the vendor of an attempt.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model, where it draws.
    pub model: Option<Arc<Model>>,
}

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
    /// What is agreed with its vendor.
    pub terms: Terms,
    /// Budgets of its client, its route and its provider.
    pub budgets: [&'a [Budget]; 3],
}

/// A budget that an attempt would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Whose.
    pub scope: Scope,
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

/// All that is known of money.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<LedgerState>,
    /// Held by who takes up what a record tells.
    recalling: Mutex<()>,
}

#[derive(Debug, Default)]
struct LedgerState {
    last_id: i64,
    paid: BTreeMap<Account, Total>,
    saved: Usd,
    overflowed: u64,
    counters: Counters,
    under_way: HashMap<i64, Entry>,
    windows: Windows,
    /// What was seen since a record is being read for other windows than these.
    meanwhile: Option<Vec<Seen>>,
    /// For how long they know of everything.
    looks_back: Duration,
    fees: Fees,
}

impl Ledger {
    /// Promises what an attempt may cost, or says which budget it would pass: of several the one with least left.
    /// `note` is called with the entry before anything else can happen to the ledger.
    pub fn reserve<T>(
        self: &Arc<Ledger>,
        intent: Intent<'_>,
        now: Moment,
        note: impl FnOnce(&Entry) -> T,
    ) -> Result<(Hold, T), Short> {
        let Intent { request, owner, purpose, pictures, estimate, terms, budgets } = intent;
        let mut state = self.lock();
        let short = state.shortages(&owner, budgets, estimate, now).into_iter().min_by_key(|short| short.left);
        if let Some(short) = short {
            return Err(short);
        }
        state.last_id += 1;
        let entry = Entry { id: state.last_id, at: now, request, owner, purpose, pictures, estimate };
        state.counters.reserve(&entry);
        state.under_way.insert(entry.id, entry.clone());
        let noted = note(&entry);
        Ok((Hold::new(self.clone(), entry, terms), noted))
    }

    /// The budget that an attempt of `wanted` dollars would pass, if there is one. Nothing is promised.
    pub fn short(&self, owner: &Owner, budgets: [&[Budget]; 3], wanted: Usd, now: Moment) -> Option<Short> {
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
        let (tiers, fee) = (tiers(model, request)?, model.price.fee);
        let mut state = self.lock();
        let [of_model, of_provider] = volume_keys(provider, model).map(|key| state.position(&key, now));
        let most = u64::from(pictures);
        let base = volume::dearest(&tiers, of_model.0, of_model.0 + of_model.1 + most, base, fee)?;
        volume::dearest(&provider.billing.volume, of_provider.0, of_provider.0 + of_provider.1 + most, base, fee)
    }

    /// Adds what an answer from the cache would have cost.
    pub fn saved(&self, usd: Usd) {
        let mut state = self.lock();
        state.saved = state.saved.saturating_add(usd);
    }

    /// Every account's total, in order of name.
    pub fn totals(&self) -> Vec<(Account, Total)> {
        self.lock().paid.iter().map(|(account, total)| (account.clone(), *total)).collect()
    }

    /// Everything on invoices. `None` when the sum does not fit.
    pub fn spent(&self) -> Option<Usd> {
        let state = self.lock();
        if state.overflowed > 0 {
            return None;
        }
        let invoiced = state.paid.iter().filter(|(account, _)| account.kind.is_invoiced());
        crate::money::sum(invoiced.map(|(_, total)| total.usd))
    }

    /// What the cache saved.
    pub fn total_saved(&self) -> Usd {
        self.lock().saved
    }

    /// What is promised to attempts under way.
    pub fn reserved(&self) -> Usd {
        self.lock().under_way.values().fold(Usd::ZERO, |sum, entry| sum.saturating_add(entry.estimate))
    }

    /// A total to begin with, for the tests of who reads totals.
    #[cfg(test)]
    pub(crate) fn begin_with(&self, account: Account, total: Total) {
        self.lock().add(account, total);
    }

    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        // No code panics while it holds the lock, and the totals are whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the volume tiers of a model and of its provider count.
fn volume_keys(provider: &Provider, model: &Model) -> [CounterKey; 2] {
    let (name, zone): (Arc<str>, _) = (provider.name.as_str().into(), &provider.billing.zone);
    let monthly = |scope| CounterKey { scope, per: Per::Month, zone: zone.clone() };
    [monthly(Scope::Model(name.clone(), model.name.as_str().into())), monthly(Scope::Provider(name))]
}

impl LedgerState {
    /// Every budget with less left than `wanted`.
    fn shortages(&mut self, owner: &Owner, budgets: [&[Budget]; 3], wanted: Usd, now: Moment) -> Vec<Short> {
        let mut short = Vec::new();
        let [client, route, provider, _] = Scope::of(owner);
        for (scope, budgets) in [client, route, provider].into_iter().zip(budgets) {
            for Budget { usd, per, zone } in budgets {
                let key = CounterKey { scope: scope.clone(), per: *per, zone: zone.clone() };
                let Some(counter) = self.counters.get(&key, now) else { continue };
                let left = counter.left(*usd);
                if wanted > left {
                    let (scope, resets) = (key.scope, counter.period.end);
                    short.push(Short { scope, per: *per, limit: *usd, left, wanted, resets });
                }
            }
        }
        short
    }

    /// Pictures charged this month, and those under way.
    fn position(&mut self, key: &CounterKey, now: Moment) -> (u64, u64) {
        self.counters.get(key, now).map_or((0, 0), |counter| (counter.settled.billed, counter.under_way))
    }

    fn add(&mut self, account: Account, more: Total) {
        if more == Total::default() {
            return;
        }
        let total = self.paid.entry(account).or_default();
        total.pictures += more.pictures;
        match total.usd.checked_add(more.usd) {
            Some(sum) => total.usd = sum,
            // Nine billion dollars on one model: say so rather than wrap or clamp silently.
            None => self.overflowed += 1,
        }
    }

    /// Adds a settled attempt to the totals. What was prepaid is taken from what was delivered first.
    fn book(&mut self, entry: &Entry, settlement: &Settlement) {
        let Settlement { usd, prepaid, lost, uncertain, billed, .. } = *settlement;
        let delivered = settlement.pictures.len() as u64;
        let of =
            |kind| Account { provider: entry.owner.provider.to_string(), model: entry.owner.model.to_string(), kind };
        match entry.purpose {
            Purpose::Draw => {
                let lost = lost.min(usd);
                let good = usd.checked_sub(lost).unwrap_or(Usd::ZERO);
                self.add(of(SpendKind::Delivered), Total { pictures: delivered, usd: good });
                self.add(
                    of(SpendKind::Lost),
                    Total { pictures: u64::from(billed).saturating_sub(delivered), usd: lost },
                );
            }
            Purpose::Enrich => self.add(of(SpendKind::Enrichment), Total { pictures: 0, usd }),
            Purpose::Reserve => self.add(of(SpendKind::Reserved), Total { pictures: 0, usd }),
        }
        self.add(of(SpendKind::Prepaid), Total { pictures: 0, usd: prepaid });
        let unsure = if uncertain > Usd::ZERO { u64::from(entry.pictures) } else { 0 };
        self.add(of(SpendKind::Uncertain), Total { pictures: unsure, usd: uncertain });
    }
}

#[cfg(test)]
mod tests;
