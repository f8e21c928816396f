//! What is agreed with the vendor of an attempt.

use std::sync::Arc;

use crate::config::plan::{Model, Provider};

/// What is agreed with the vendor of an attempt.
#[derive(Clone, Debug)]
pub struct BilledModel {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The model, where it draws.
    pub model: Option<Arc<Model>>,
}
