//! What was spent so far: pictures and money by provider, model and what they bought.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::entry::{Entry, Purpose, Settlement};
use crate::money::{self, Usd};

/// What an amount bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendKind {
    /// Pictures that can be delivered.
    Delivered,
    /// Pictures that were charged and cannot be delivered: refused after drawing, truncated, lost on the way.
    Lost,
    /// Prompts rewritten before they were drawn, those that came to nothing included. No pictures.
    Enrichment,
    /// A judge's word on whether two prompts mean the same picture. No pictures.
    Comparison,
    /// Prompts as vectors. No pictures.
    Embedding,
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
    pub fn as_str(self) -> &'static str {
        match self {
            SpendKind::Delivered => "delivered",
            SpendKind::Lost => "lost",
            SpendKind::Enrichment => "enrichment",
            SpendKind::Comparison => "comparison",
            SpendKind::Embedding => "embedding",
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
pub struct SpendAccount {
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

/// Routes, and tenants, whose dollars are told one by one. A reload may bring new ones for ever, and each is a series to
/// whoever scrapes; the rest share [`OTHER`].
const NAMES: usize = 256;
/// Whose dollars those of the names beyond that are.
const OTHER: &str = "other";

/// Dollars paid by the name of whoever they were paid for.
#[derive(Debug, Default)]
struct ByName(BTreeMap<Arc<str>, Usd>);

impl ByName {
    /// What belongs to everybody has no name, and is nobody's.
    fn add(&mut self, name: &Arc<str>, usd: Usd) {
        if name.is_empty() || usd == Usd::ZERO {
            return;
        }
        let name = if self.0.len() < NAMES || self.0.contains_key(name) { name.clone() } else { OTHER.into() };
        let paid = self.0.entry(name).or_default();
        *paid = paid.saturating_add(usd);
    }

    fn all(&self) -> Vec<(Arc<str>, Usd)> {
        self.0.iter().map(|(name, usd)| (name.clone(), *usd)).collect()
    }
}

/// Every account's total.
#[derive(Debug, Default)]
pub(super) struct Spend {
    totals: BTreeMap<SpendAccount, Total>,
    routes: ByName,
    tenants: ByName,
    /// Sums and prices that did not fit.
    overflowed: u64,
}

impl Spend {
    /// Every account's total, in order of name.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&SpendAccount, &Total)> {
        self.totals.iter()
    }

    /// What was paid on each route.
    pub(super) fn by_route(&self) -> Vec<(Arc<str>, Usd)> {
        self.routes.all()
    }

    /// What was paid for each tenant.
    pub(super) fn by_tenant(&self) -> Vec<(Arc<str>, Usd)> {
        self.tenants.all()
    }

    /// Everything on invoices. `None` when the sum does not fit.
    pub(super) fn invoiced(&self) -> Option<Usd> {
        if self.overflowed > 0 {
            return None;
        }
        let invoiced = self.totals.iter().filter(|(account, _)| account.kind.is_invoiced());
        money::sum(invoiced.map(|(_, total)| total.usd))
    }

    /// Notes that an amount was too large to be added.
    pub(super) fn overflow(&mut self) {
        self.overflowed += 1;
    }

    /// Adds to one account.
    pub(super) fn add(&mut self, account: SpendAccount, more: Total) {
        if more == Total::default() {
            return;
        }
        let total = self.totals.entry(account).or_default();
        total.pictures += more.pictures;
        match total.usd.checked_add(more.usd) {
            Some(sum) => total.usd = sum,
            // Nine billion dollars on one model: say so rather than wrap or clamp silently.
            None => self.overflowed += 1,
        }
    }

    /// Adds a settled attempt to the totals. What was prepaid is taken from what was delivered first.
    pub(super) fn book(&mut self, entry: &Entry, settlement: &Settlement) {
        let Settlement { usd, prepaid, lost, uncertain, billed, .. } = *settlement;
        let delivered = settlement.pictures.len() as u64;
        let of = |kind| SpendAccount {
            provider: entry.owner.provider.to_string(),
            model: entry.owner.model.to_string(),
            kind,
        };
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
            Purpose::Compare => self.add(of(SpendKind::Comparison), Total { pictures: 0, usd }),
            Purpose::Embed => self.add(of(SpendKind::Embedding), Total { pictures: 0, usd }),
            Purpose::Reserve => self.add(of(SpendKind::Reserved), Total { pictures: 0, usd }),
        }
        self.routes.add(&entry.owner.route, usd);
        self.tenants.add(&entry.owner.tenant, usd);
        self.add(of(SpendKind::Prepaid), Total { pictures: 0, usd: prepaid });
        let unsure = if uncertain > Usd::ZERO { u64::from(entry.pictures) } else { 0 };
        self.add(of(SpendKind::Uncertain), Total { pictures: unsure, usd: uncertain });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_for_names_beyond_the_bound_is_told_as_others() {
        let mut names = ByName::default();
        let cent = Usd::from_nanos(10_000_000);
        for name in 0..NAMES + 3 {
            names.add(&name.to_string().into(), cent);
        }
        names.add(&"0".into(), cent);
        names.add(&"".into(), cent);
        let of = |name: &str| names.0.get(name).map(|usd| usd.nanos());
        assert_eq!(
            (of("0"), of("255"), of("256"), of(OTHER)),
            (Some(20_000_000), Some(10_000_000), None, Some(30_000_000))
        );
        assert_eq!(names.all().len(), NAMES + 1);
    }
}
