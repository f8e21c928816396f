//! Whom a slot is for.

use std::sync::Arc;

use crate::config::plan::Priority;

/// Whom a slot is for.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whether somebody waits for the picture.
    pub priority: Priority,
    /// The tenant that asks.
    pub tenant: Arc<str>,
    /// The model that is asked, as the vendor knows it: most vendors limit each by itself.
    pub model: Arc<str>,
}
