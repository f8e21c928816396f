//! What was spent so far: pictures and money by provider, model and what they bought.

use std::collections::BTreeMap;

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

/// Every account's total.
#[derive(Debug, Default)]
pub(super) struct Spend {
    totals: BTreeMap<SpendAccount, Total>,
    /// Sums and prices that did not fit.
    overflowed: u64,
}

impl Spend {
    /// Every account's total, in order of name.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&SpendAccount, &Total)> {
        self.totals.iter()
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
        self.add(of(SpendKind::Prepaid), Total { pictures: 0, usd: prepaid });
        let unsure = if uncertain > Usd::ZERO { u64::from(entry.pictures) } else { 0 };
        self.add(of(SpendKind::Uncertain), Total { pictures: unsure, usd: uncertain });
    }
}
