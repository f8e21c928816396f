//! An attempt under way: its promise stands until it is settled or taken back.
//!
//! Settling prices what was charged by the volume tiers it stands in, takes it from a commitment as far as one
//! reaches, and puts it in place of the promise, all in one step. A hold that is dropped was interrupted, and whatever
//! it was may have been charged.

use std::sync::Arc;
use std::time::Duration;

use crate::calendar::{Moment, Per};
use crate::config::plan::Volume;
use crate::ledger::counter::{CounterKey, Scope};
use crate::ledger::entry::{CostSource, Delivered, Entry, Purpose, Settlement};
use crate::ledger::{Ledger, LedgerState, Terms, volume, volume_keys};
use crate::money::{self, Usd};

/// What was charged, before volume tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// For the whole call, and how many pictures that was.
    Total {
        /// Dollars.
        usd: Usd,
        /// Pictures charged, delivered or not.
        billed: u32,
    },
    /// By the picture.
    Pictures {
        /// Those that can be delivered, in their order.
        delivered: Vec<Usd>,
        /// The others.
        lost: Vec<Usd>,
    },
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What was charged.
    pub amount: Amount,
    /// Where that comes from. What a vendor tells has its discounts in it already.
    pub source: CostSource,
    /// The model's volume tiers for these pictures; `None` takes them as they are written.
    pub tiers: Option<Vec<Volume>>,
    /// The part of the first picture's price that no tier takes the place of.
    pub fee: Usd,
    /// What may have been charged besides.
    pub uncertain: Usd,
    /// Pictures withheld for their content.
    pub refused: u32,
    /// `ok`, or the failure's word.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
    /// The ids of the pictures that can be delivered.
    pub images: Vec<Arc<str>>,
}

/// A settled attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The entry's number.
    pub id: i64,
    /// All of it.
    pub settlement: Settlement,
}

impl Settled {
    /// What it adds to the invoice.
    pub fn usd(&self) -> Usd {
        self.settlement.usd
    }

    /// What each delivered picture cost, in their order.
    pub fn prices(&self) -> impl Iterator<Item = Usd> {
        self.settlement.pictures.iter().map(|picture| picture.usd)
    }
}

/// An attempt under way.
#[derive(Debug)]
pub struct Hold {
    ledger: Arc<Ledger>,
    open: Option<(Entry, Terms)>,
}

impl Hold {
    pub(super) fn new(ledger: Arc<Ledger>, entry: Entry, terms: Terms) -> Hold {
        Hold { ledger, open: Some((entry, terms)) }
    }

    /// The entry's number.
    pub fn id(&self) -> i64 {
        self.open.as_ref().map_or(0, |(entry, _)| entry.id)
    }

    /// Puts what was charged in place of what was promised. `note` is called with the result before anything else can
    /// happen to the ledger.
    pub fn settle<T>(mut self, charge: Charge, now: Moment, note: impl FnOnce(&Settled) -> T) -> (Settled, Option<T>) {
        let Some((entry, terms)) = self.open.take() else {
            // A hold is open until it is consumed, so this cannot be.
            return (Settled { id: 0, settlement: Settlement::nothing(now) }, None);
        };
        let mut state = self.ledger.lock();
        let settlement = state.priced(&entry, &terms, charge, now);
        state.close(&entry, now);
        state.take(&entry, &settlement);
        let settled = Settled { id: entry.id, settlement };
        let noted = note(&settled);
        (settled, Some(noted))
    }

    /// Takes the promise back: nothing was sent. `note` is called with the entry's number, likewise.
    pub fn release<T>(mut self, now: Moment, note: impl FnOnce(i64) -> T) -> Option<T> {
        let (entry, _) = self.open.take()?;
        let mut state = self.ledger.lock();
        state.close(&entry, now);
        Some(note(entry.id))
    }
}

impl Drop for Hold {
    /// Interrupted: the entry stays open in the record, which a restart reads as possibly charged, and so it is here.
    fn drop(&mut self) {
        let Some((entry, _)) = self.open.take() else { return };
        let mut state = self.ledger.lock();
        let now = entry.at;
        let settlement = Settlement { uncertain: entry.estimate, outcome: "interrupted", ..Settlement::nothing(now) };
        state.close(&entry, now);
        state.take(&entry, &settlement);
    }
}

impl LedgerState {
    /// Counts what an attempt came to, wherever it counts.
    pub(super) fn take(&mut self, entry: &Entry, settlement: &Settlement) {
        match entry.purpose {
            Purpose::Reserve => self.counters.settle_late(&entry.owner, settlement),
            Purpose::Draw | Purpose::Enrich => self.counters.settle(&entry.owner, settlement),
        }
        self.book(entry, settlement);
        self.show(entry, settlement);
    }

    fn close(&mut self, entry: &Entry, now: Moment) {
        self.under_way.remove(&entry.id);
        self.counters.release(entry, now);
    }

    /// The settlement of a charge at this moment.
    fn priced(&mut self, entry: &Entry, terms: &Terms, charge: Charge, now: Moment) -> Settlement {
        let Charge { amount, source, tiers, fee, uncertain, refused, outcome, took, images } = charge;
        let Shares { mut delivered, mut lost, billed } = Shares::of(amount, images.len());
        let unpriced = Settlement { uncertain, refused, outcome, took, ..Settlement::nothing(now) };
        if source != CostSource::Reported {
            let amounts = delivered.iter_mut().chain(lost.iter_mut());
            if self.tier(terms, (tiers.as_deref(), fee), amounts, now).is_none() {
                self.overflowed += 1;
                return unpriced;
            }
        }
        let (Some(good), Some(bad)) = (money::sum(delivered.iter().copied()), money::sum(lost)) else {
            self.overflowed += 1;
            return unpriced;
        };
        let Some(total) = good.checked_add(bad) else {
            self.overflowed += 1;
            return unpriced;
        };
        let prepaid = self.prepaid(terms, total, now);
        let usd = total.checked_sub(prepaid).unwrap_or(total);
        // What is paid for words is not lost, though no picture comes of it.
        let lost = if entry.purpose == Purpose::Draw { bad } else { Usd::ZERO };
        let pictures = images.into_iter().zip(delivered).map(|(image, usd)| Delivered { image, usd }).collect();
        let source = if total == Usd::ZERO && billed == 0 { CostSource::Nothing } else { source };
        Settlement { usd, prepaid, lost, source, billed, pictures, ..unpriced }
    }

    /// Prices pictures by where each stands among the month's.
    fn tier<'a>(
        &mut self,
        terms: &Terms,
        (tiers, fee): (Option<&[Volume]>, Usd),
        amounts: impl Iterator<Item = &'a mut Usd>,
        now: Moment,
    ) -> Option<()> {
        let Some(model) = &terms.model else { return Some(()) };
        let (of_model, of_all) = (tiers.unwrap_or(&model.volume), &terms.provider.billing.volume);
        if of_model.is_empty() && of_all.is_empty() {
            return Some(());
        }
        let [model, provider] = volume_keys(&terms.provider, model).map(|key| self.position(&key, now).0);
        for (place, usd) in (0..).zip(amounts) {
            let fee = if place == 0 { fee } else { Usd::ZERO };
            let base = volume::price(of_model, model.saturating_add(place), *usd, fee)?;
            *usd = volume::price(of_all, provider.saturating_add(place), base, fee)?;
        }
        Some(())
    }

    /// How much of `total` is taken from what is committed for this month anyhow.
    fn prepaid(&mut self, terms: &Terms, total: Usd, now: Moment) -> Usd {
        let billing = &terms.provider.billing;
        let Some(committed) = billing.committed else { return Usd::ZERO };
        let scope = Scope::Provider(terms.provider.name.as_str().into());
        let key = CounterKey { scope, per: Per::Month, zone: billing.zone.clone() };
        let used = self.counters.get(&key, now).map_or(Usd::ZERO, |counter| counter.settled.prepaid);
        committed.checked_sub(used).map_or(Usd::ZERO, |left| left.clamp(Usd::ZERO, total.max(Usd::ZERO)))
    }
}

/// A charge divided among its pictures.
struct Shares {
    delivered: Vec<Usd>,
    lost: Vec<Usd>,
    billed: u32,
}

impl Shares {
    /// A total is shared out evenly; what the division leaves over is on the first, so that nothing gets lost.
    fn of(amount: Amount, images: usize) -> Shares {
        let (usd, billed) = match amount {
            Amount::Pictures { delivered, lost } => {
                let billed = count(delivered.len() + lost.len());
                return Shares { delivered, lost, billed };
            }
            Amount::Total { usd, billed } => (usd, billed.max(count(images))),
        };
        if billed == 0 {
            return Shares { delivered: Vec::new(), lost: vec![usd], billed };
        }
        let (each, over) = (usd.nanos() / i64::from(billed), usd.nanos() % i64::from(billed));
        let mut shares = vec![Usd::from_nanos(each); usize::try_from(billed).unwrap_or(images)];
        if let Some(first) = shares.first_mut() {
            *first = Usd::from_nanos(each + over);
        }
        let lost = shares.split_off(images);
        Shares { delivered: shares, lost, billed }
    }
}

fn count(pictures: usize) -> u32 {
    u32::try_from(pictures).unwrap_or(u32::MAX)
}
