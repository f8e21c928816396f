//! Notes warnings, and what several of them ask of a place.

use crate::config::node_path::NodePath;
use crate::config::report::{Finding, Findings};
use crate::config::warnings::word::Warning;

/// Notes warnings.
#[derive(Default)]
pub(in crate::config) struct Warner {
    pub(in crate::config) findings: Findings,
}

impl Warner {
    /// Notes a warning at `place`, unless what stands there is not known.
    pub(super) fn warn(&mut self, warning: Warning, place: NodePath<'_>, what: impl Into<String>, help: &str) {
        if !place.is_bad() {
            self.findings.add(Finding::warning(warning, place.span(), what, Some(help)));
        }
    }
}

/// What is written where a plan has a place in a list that may also be one thing.
pub(super) fn one_of_many(at: NodePath<'_>, index: usize) -> NodePath<'_> {
    let item = at.item(index);
    if item.is_given() { item } else { at }
}
