//! What is agreed about money beyond a picture's price: budgets, volume tiers, commitments, who is charged for what.

use crate::calendar::{Per, Zone};
use crate::money::Usd;
use crate::pricing::undelivered::Charges;
use crate::pricing::volume_tiers::VolumeTier;

/// So much and no more, in each day or month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How much.
    pub usd: Usd,
    /// How often it begins again.
    pub per: Per,
    /// Whose midnight that is.
    pub zone: Zone,
}

/// What is agreed with one vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// Whose months the vendor counts in.
    pub zone: Zone,
    /// Discounts by the pictures of all its models; sorted by `from`.
    pub volume: Vec<VolumeTier>,
    /// Paid for in any case every month: what pictures cost is taken out of it first.
    pub committed: Option<Usd>,
    /// A monthly fee for capacity that is held ready; `None` where none is bought now.
    pub reserved: Option<Usd>,
    /// What is charged when there is no picture to deliver.
    pub charges: Charges,
}
