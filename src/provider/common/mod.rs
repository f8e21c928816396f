//! What several vendors' wire formats share: JSON and forms, statuses and complaints, usage, tiers, tokens.

pub(in crate::provider) mod elide;
#[cfg(test)]
pub(in crate::provider) mod fixture;
pub(in crate::provider) mod form;
pub(in crate::provider) mod json;
pub(in crate::provider) mod tiers;
pub mod token;
pub(in crate::provider) mod usage;
pub(in crate::provider) mod vendor_error;
pub(in crate::provider) mod wire;
