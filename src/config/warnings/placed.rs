//! Warnings of who knows more than the config: found by a plan, placed by the path to what is meant.

use crate::config::node_path::NodePath;
use crate::config::report::Finding;
use crate::config::warnings::word::Warning;

/// A step on the way to a place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the value under a key.
    Key(String),
    /// To a key itself.
    Name(String),
    /// To an item of a list.
    Item(usize),
}

/// A warning, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedWarning {
    /// Which.
    pub warning: Warning,
    /// The way from the file's root to what is to be underlined; it may end where nothing is written.
    pub place: Vec<Step>,
    /// What is hardly meant.
    pub what: String,
    /// What to write instead.
    pub help: String,
}

impl PlacedWarning {
    /// The same with its place in the file; `None` where what stands there is not known.
    pub(in crate::config) fn found(&self, root: NodePath<'_>) -> Option<Finding> {
        let place = self.place.iter().fold(root, |place, step| match step {
            Step::Key(key) => place.key(key),
            Step::Name(key) => place.name(key),
            Step::Item(index) => place.item(*index),
        });
        let help = Some(self.help.as_str());
        (!place.is_bad()).then(|| Finding::warning(self.warning, place.span(), self.what.as_str(), help))
    }
}
