//! What an attempt came to, before volume tiers, and how that is divided among its pictures.

use std::sync::Arc;
use std::time::Duration;

use crate::config::plan::Volume;
use crate::ledger::entry::CostSource;
use crate::money::Usd;

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

/// A charge divided among its pictures.
pub(super) struct Shares {
    pub(super) delivered: Vec<Usd>,
    pub(super) lost: Vec<Usd>,
    pub(super) billed: u32,
}

impl Shares {
    /// A total is shared out evenly; what the division leaves over is on the first, so that nothing gets lost.
    pub(super) fn of(amount: Amount, images: usize) -> Shares {
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
