//! What an attempt comes to: what was charged is priced by the volume tiers it stands in, and taken from a commitment as far
//! as one reaches.

use crate::calendar::{Moment, Per};
use crate::ledger::billed_model::BilledModel;
use crate::ledger::charge::Charge;
use crate::ledger::counter::{CounterKey, CounterScope};
use crate::ledger::entry::{CostSource, Delivered, Entry, Purpose, Settlement};
use crate::ledger::plan_counters::volume_keys;
use crate::ledger::state::LedgerState;
use crate::money::{self, Usd};
use crate::pricing::charged_amount::Shares;
use crate::pricing::volume_tiers::{MonthlyTiers, VolumeTier, apply};

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

impl LedgerState {
    /// The settlement of a charge at this moment.
    pub(super) fn priced(
        &mut self,
        entry: &Entry,
        billed_model: &BilledModel,
        charge: Charge,
        now: Moment,
    ) -> Settlement {
        let Charge { amount, source, tiers, fee, uncertain, refused, rejections, outcome, took, images } = charge;
        let Shares { mut delivered, mut lost, billed } = Shares::of(amount, images.len());
        let unpriced = Settlement { uncertain, refused, rejections, outcome, took, ..Settlement::nothing(now) };
        if source != CostSource::Reported {
            let amounts = delivered.iter_mut().chain(lost.iter_mut());
            if self.tier(billed_model, (tiers.as_deref(), fee), amounts, now).is_none() {
                self.spend.overflow();
                return unpriced;
            }
        }
        let (Some(good), Some(bad)) = (money::sum(delivered.iter().copied()), money::sum(lost)) else {
            self.spend.overflow();
            return unpriced;
        };
        let Some(total) = good.checked_add(bad) else {
            self.spend.overflow();
            return unpriced;
        };
        let prepaid = self.prepaid(billed_model, total, now);
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
        billed_model: &BilledModel,
        (tiers, fee): (Option<&[VolumeTier]>, Usd),
        amounts: impl Iterator<Item = &'a mut Usd>,
        now: Moment,
    ) -> Option<()> {
        let Some(model) = &billed_model.model else { return Some(()) };
        let (of_model, of_all) = (tiers.unwrap_or(&model.volume), billed_model.provider.billing.volume.as_slice());
        if of_model.is_empty() && of_all.is_empty() {
            return Some(());
        }
        let counts = volume_keys(&billed_model.provider, model).map(|key| self.position(&key, now).0);
        let [of_model, of_all] =
            [(of_model, counts[0]), (of_all, counts[1])].map(|(tiers, count)| MonthlyTiers { tiers, count });
        apply(of_model, of_all, fee, amounts)
    }

    /// How much of `total` is taken from what is committed for this month anyhow.
    pub(super) fn prepaid(&mut self, billed_model: &BilledModel, total: Usd, now: Moment) -> Usd {
        let billing = &billed_model.provider.billing;
        let Some(committed) = billing.committed else { return Usd::ZERO };
        let scope = CounterScope::Provider(billed_model.provider.name.as_str().into());
        let key = CounterKey { scope, per: Per::Month, zone: billing.zone.clone() };
        let used = self.counters.get(&key, now).map_or(Usd::ZERO, |counter| counter.settled.prepaid);
        committed.checked_sub(used).map_or(Usd::ZERO, |left| left.clamp(Usd::ZERO, total.max(Usd::ZERO)))
    }
}
