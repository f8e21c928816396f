//! A price threshold and who set it.

use crate::money::Usd;

/// Who set a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapOwner {
    /// The caller, for this request: `x-easel-max-usd`.
    Caller,
    /// The config, for this client.
    Client,
    /// The config, for this route.
    Route,
    /// The config, for this offer on this route.
    Offer,
}

/// A cap and who set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cap {
    /// No dearer than this.
    pub usd: Usd,
    /// Who set it.
    pub whose: CapOwner,
}
