//! What an attempt came to, before volume tiers.

use std::sync::Arc;
use std::time::Duration;

use crate::ledger::rejections::Rejections;
use crate::money::Usd;
use crate::pricing::charged_amount::{ChargedAmount, CostSource};
use crate::pricing::volume_tiers::VolumeTier;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What was charged.
    pub amount: ChargedAmount,
    /// Where that comes from. What a vendor tells has its discounts in it already.
    pub source: CostSource,
    /// The model's volume tiers for these pictures; `None` takes them as they are written.
    pub tiers: Option<Vec<VolumeTier>>,
    /// The part of the first picture's price that no tier takes the place of.
    pub fee: Usd,
    /// What may have been charged besides.
    pub uncertain: Usd,
    /// Pictures withheld for their content.
    pub refused: u32,
    /// Pictures that came and are not delivered, and why.
    pub rejections: Rejections,
    /// `ok`, or the failure's word.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
    /// The ids of the pictures that can be delivered.
    pub images: Vec<Arc<str>>,
}
