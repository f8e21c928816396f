//! How full it was at the vendor when a call was sent.

use std::sync::Arc;

/// The calls in flight as one is sent, that one among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// The model that is asked.
    pub model: Arc<str>,
    /// Calls to the provider.
    pub of_all: usize,
    /// Calls of the model.
    pub of_model: usize,
}
