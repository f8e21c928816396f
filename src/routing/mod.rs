//! Which route takes a request, which of its offers can draw it, and why not the others.
//!
//! Decisions only: the facts (capabilities, prices, pauses, free slots) are handed in as small values, and every "no" is a
//! [`Skip`] that the log, the metric and the caller's error name alike. In what order offers are asked is for `dispatch`.

pub use crate::routing::candidate::Candidate;
pub use crate::routing::evaluate_candidates::evaluate_candidates;
pub use crate::routing::find_route::{RouteMatch, find};
pub use crate::routing::price_caps::{Cap, CapOwner, Caps};
pub use crate::routing::skip::Skip;

mod candidate;
mod evaluate_candidates;
mod find_route;
mod price_caps;
mod skip;
#[cfg(test)]
mod tests;
