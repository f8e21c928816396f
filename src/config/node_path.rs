//! A place in the config: the node at some path, or the nearest thing to point at where there is none.
//!
//! `check` walks the as-written types and the tree side by side; a place answers "what do I underline when this value
//! is wrong, or missing". It is a pointer and costs nothing until something is wrong.

use crate::config::span::{Span, quoted};
use crate::config::tree::{Node, NodeKind};

/// A node, or the absence of one.
#[derive(Clone, Copy)]
pub(super) struct NodePath<'t> {
    /// The file's text, redacted.
    text: &'t str,
    node: Option<&'t Node>,
    span: &'t Span,
    /// A problem was noted here or above.
    bad: bool,
}

impl<'t> NodePath<'t> {
    /// The whole file.
    pub(super) fn root(text: &'t str, tree: &'t Node) -> NodePath<'t> {
        NodePath { text, node: Some(tree), span: &tree.span, bad: tree.bad }
    }

    /// The value under `key`. Where there is none, a place that underlines this one; where `key` was misspelt, a place
    /// that is bad already, so that nobody reports it missing as well.
    pub(super) fn key(self, key: &str) -> NodePath<'t> {
        let Some(NodeKind::Map(entries)) = self.node.map(|node| &node.kind) else {
            return NodePath { node: None, ..self };
        };
        match entries.iter().find(|entry| entry.key == key) {
            Some(entry) => {
                NodePath { node: Some(&entry.value), span: entry.span(), bad: self.bad || entry.value.bad, ..self }
            }
            None => {
                let misspelt = entries.iter().any(|entry| entry.stands_for == Some(key));
                NodePath { node: None, bad: self.bad || misspelt, ..self }
            }
        }
    }

    /// The key itself of the value under `key`, for problems with a name.
    pub(super) fn name(self, key: &str) -> NodePath<'t> {
        let place = self.key(key);
        let Some(NodeKind::Map(entries)) = self.node.map(|node| &node.kind) else { return place };
        let span = entries.iter().find(|entry| entry.key == key).map_or(place.span, |entry| &entry.key_span);
        NodePath { span, ..place }
    }

    /// The list's item at `index`, not counting those that were left out for a problem.
    pub(super) fn item(self, index: usize) -> NodePath<'t> {
        let Some(NodeKind::List(items)) = self.node.map(|node| &node.kind) else {
            return NodePath { node: None, ..self };
        };
        match items.iter().filter(|item| !item.bad).nth(index) {
            Some(item) => NodePath { node: Some(item), span: &item.span, ..self },
            None => NodePath { node: None, ..self },
        }
    }

    /// The keys of the mapping here, those with problems included.
    pub(super) fn keys(self) -> impl Iterator<Item = &'t str> + Clone {
        let entries = match self.node.map(|node| &node.kind) {
            Some(NodeKind::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }

    /// Whether something is written here.
    pub(super) fn is_given(self) -> bool {
        self.node.is_some()
    }

    /// Whether a problem was noted here or above, or something below was left out because of one.
    pub(super) fn is_bad(self) -> bool {
        self.bad
    }

    /// Whether items of the list here were left out for a problem.
    pub(super) fn lost_items(self) -> bool {
        matches!(self.node.map(|node| &node.kind), Some(NodeKind::List(items)) if items.iter().any(|item| item.bad))
    }

    /// Whether the value came from outside the file, so that nothing may be said that was derived from it.
    pub(super) fn is_expanded(self) -> bool {
        matches!(self.node.map(|node| &node.kind), Some(NodeKind::Scalar(scalar)) if scalar.expanded)
    }

    /// What to underline.
    pub(super) fn span(self) -> Span {
        self.span.clone()
    }

    /// The line it stands on, from 1.
    pub(super) fn line(self) -> usize {
        self.text.get(..self.span.start).map_or(1, |above| above.matches('\n').count() + 1)
    }

    /// The value as the file has it, in back quotes.
    pub(super) fn shown(self) -> String {
        quoted(self.text.get(self.span.clone()).unwrap_or_default())
    }
}
