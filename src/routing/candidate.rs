//! An offer that could draw a request.

use crate::capabilities::{FittedRequest, StrictOptions};
use crate::config::plan::AskWhen;
use crate::money::Usd;

/// An offer that could draw the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its place among the route's offers.
    pub offer: usize,
    /// The request as it will be asked.
    pub fitted: FittedRequest,
    /// Pictures per call.
    pub max_n: u8,
    /// Estimated price of one picture now.
    pub usd: Usd,
    /// The same without volume tiers.
    pub listed: Usd,
    /// When it may be asked; empty is at any time.
    pub when: Vec<AskWhen>,
    /// What the route takes only as it was asked.
    pub strict: StrictOptions,
}
