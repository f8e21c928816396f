//! What is agreed about money beyond a picture's price: budgets, volume tiers, commitments, who is charged for what.

use crate::calendar::{Per, Zone};
use crate::money::Usd;

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

/// A price from some number of pictures on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Pictures charged before in the same month.
    pub from: u64,
    /// What the next one costs.
    pub price: VolumePrice,
}

/// How a volume tier changes a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumePrice {
    /// A picture costs this, whatever the table says.
    Flat(Usd),
    /// So many parts per million less.
    Discount(u32),
}

/// What is agreed with one vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// Whose months the vendor counts in.
    pub zone: Zone,
    /// Discounts by the pictures of all its models; sorted by `from`.
    pub volume: Vec<Volume>,
    /// Paid for in any case every month: what pictures cost is taken out of it first.
    pub committed: Option<Usd>,
    /// A monthly fee for capacity that is held ready; `None` where none is bought now.
    pub reserved: Option<Usd>,
    /// What is charged when there is no picture to deliver.
    pub charges: Charges,
}

/// What is charged when there is no picture to deliver; `None` is as the vendor's answers tell and its documents say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    /// Pictures withheld for their content.
    pub refused: Option<Charged>,
    /// Pictures that came and cannot be delivered.
    pub rejected: Option<Charged>,
    /// Calls that failed at the vendor, by its own word.
    pub failed: Option<Charged>,
    /// Calls that were given up or answered by something that says nothing, and jobs that were lost.
    pub abandoned: Option<Charged>,
}

/// Whether something is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charged {
    /// It is not.
    No,
    /// It is, as if it had been delivered.
    Yes,
    /// Nobody knows: it is recorded apart.
    Maybe,
}
