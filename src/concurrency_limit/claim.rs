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
}
