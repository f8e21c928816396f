//! YAML text as a tree that remembers where everything stood.
//!
//! Built from `saphyr-parser`'s events, because serde's readers forget positions. Aliases and `<<` merge keys are
//! resolved here (a copied node keeps the position it was written at), and keys given twice are noted. What a value
//! means is not decided here: every scalar is text. Depth and size are bounded, so that a few aliases of aliases
//! cannot fill the memory.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use super::report::{Finding, Findings};
use crate::config::span::{Span, quoted};
use crate::config::yaml_hints;
use crate::secret::Zeroize;

/// Mappings and lists within each other, at most. A config needs about eight.
const MAX_DEPTH: usize = 64;

/// Nodes in all, aliases counted as often as they are used.
pub(super) const MAX_NODES: usize = 100_000;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// A scalar's text; of a mapping its first entry and of a list its first item, so that it can be underlined.
    pub(super) span: Span,
    /// A problem was noted here: later rooms look away.
    pub(super) bad: bool,
    /// The value.
    pub(super) kind: NodeKind,
}

/// The three shapes of YAML.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    /// One text.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<MapEntry>),
}

/// One text.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// The text without its quotes, and once expanded with its `${NAME}` filled in.
    pub(super) value: String,
    /// Written without quotes, so that it may mean a number, a truth value or nothing.
    pub(super) plain: bool,
    /// Holds text from outside the file, which no problem may print.
    pub(super) expanded: bool,
}

impl Scalar {
    /// Whether it says "nothing".
    pub(super) fn is_null(&self) -> bool {
        self.plain && !self.expanded && matches!(self.value.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct MapEntry {
    /// The key's text.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) key_span: Span,
    /// The value.
    pub(super) value: Node,
    /// The key that was probably meant, when this one was not understood.
    pub(super) stands_for: Option<&'static str>,
    /// The value says "nothing", and without this key another one would be filled in: by `<<`, a preset or
    /// `model_defaults`.
    pub(super) takes_out: bool,
}

impl MapEntry {
    /// What to underline when the value is wrong: the value where it is a text, else the key.
    pub(super) fn span(&self) -> &Span {
        match &self.value.kind {
            NodeKind::Scalar(_) if !self.value.span.is_empty() => &self.value.span,
            _ => &self.key_span,
        }
    }
}

impl Zeroize for Node {
    /// Overwrites every value, for some are keys. The names of the config's keys are nobody's secret.
    fn zeroize(&mut self) {
        match &mut self.kind {
            NodeKind::Scalar(scalar) => scalar.value.zeroize(),
            NodeKind::List(items) => items.iter_mut().for_each(Zeroize::zeroize),
            NodeKind::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.zeroize()),
        }
    }
}

impl Node {
    fn new(span: Span, kind: NodeKind) -> Node {
        Node { span, bad: false, kind }
    }

    /// Whether nothing stands here, or a word for nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, NodeKind::Scalar(scalar) if scalar.is_null())
    }

    /// Nodes in this tree.
    pub(super) fn count(&self) -> usize {
        match &self.kind {
            NodeKind::Scalar(_) => 1,
            NodeKind::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            NodeKind::Map(entries) => 1 + entries.iter().map(|entry| entry.value.count()).sum::<usize>(),
        }
    }
}

/// Reads one YAML document. An empty one is an empty mapping.
///
/// What can be left out is noted in `findings`; the error is what makes the rest unreadable.
pub(super) fn read(text: &str, findings: &mut Findings) -> Result<Node, Finding> {
    refuse_control_characters(text)?;
    let mut builder = Builder::new(text, findings);
    let mut parser = Parser::new(StrInput::new(text));
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = builder.byte(error.marker().index());
            let help = yaml_hints::hint(text, at, error.info());
            Finding::new(one_char(text, at), format!("not valid YAML: {}", error.info()), help.as_deref())
        })?;
        let span = builder.span(&span);
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let help = "put everything into the first document, and delete the `---` in between";
                return Err(Finding::new(span, "a config is one YAML document, and here a second begins", Some(help)));
            }
        }
        builder.event(event, span)?;
    }
    Ok(builder.root.unwrap_or_else(|| Node::new(0..0, NodeKind::Map(Vec::new()))))
}

/// The parser takes a NUL for the end of the file, and YAML allows no other control character either.
fn refuse_control_characters(text: &str) -> Result<(), Finding> {
    let control = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    match text.find(control) {
        None => Ok(()),
        Some(at) => Err(Finding::new(one_char(text, at), "not valid YAML: a control character", Some("delete it"))),
    }
}

/// The span of the character at `at`; empty at the end of the text.
fn one_char(text: &str, at: usize) -> Span {
    at..at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

/// What is being built, innermost last.
enum OpenNode {
    List { span: Span, anchor: usize, items: Vec<Node> },
    Map { span: Span, anchor: usize, entries: Vec<MapEntry>, seen: HashSet<String>, key: Pending, merged: Vec<Node> },
}

/// The key whose value comes next.
enum Pending {
    None,
    Key(String, Span),
    Merge,
}

struct Builder<'a> {
    text: &'a str,
    /// Byte offset of every character: the parser counts characters.
    offsets: Vec<usize>,
    findings: &'a mut Findings,
    stack: Vec<OpenNode>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, findings: &'a mut Findings) -> Builder<'a> {
        let offsets = text.char_indices().map(|(at, _)| at).collect();
        Builder { text, offsets, findings, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None }
    }

    fn byte(&self, character: usize) -> usize {
        self.offsets.get(character).copied().unwrap_or(self.text.len())
    }

    /// The parser's span in bytes, without the white space it sometimes ends in.
    fn span(&self, span: &saphyr_parser::Span) -> Span {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        let end = end.max(start);
        let written = self.text.get(start..end).unwrap_or_default();
        start..start + written.trim_end().len()
    }

    /// The parser counts a comment behind a quoted text as part of it.
    fn without_comment(&self, span: Span) -> Span {
        let written = self.text.get(span.clone()).unwrap_or_default();
        let mut chars = written.char_indices();
        let quote = chars.next().map_or('"', |(_, quote)| quote);
        while let Some((at, c)) = chars.next() {
            if c == '\\' && quote == '"' {
                chars.next();
            } else if c == quote {
                let doubled = quote == '\'' && written[at + 1..].starts_with('\'');
                if !doubled {
                    return span.start..span.start + at + 1;
                }
                chars.next();
            }
        }
        span
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Finding> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                let plain = style == ScalarStyle::Plain;
                let span = match style {
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.without_comment(span),
                    // Where nothing is written, the parser points at the next sign.
                    ScalarStyle::Plain if value.is_empty() => span.start..span.start,
                    ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => span,
                };
                let scalar = Scalar { value: value.into_owned(), plain, expanded: false };
                self.finish(Node::new(span, NodeKind::Scalar(scalar)), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                self.open(OpenNode::List { span, anchor, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), &span);
                let (entries, seen, key, merged) = (Vec::new(), HashSet::new(), Pending::None, Vec::new());
                self.open(OpenNode::Map { span, anchor, entries, seen, key, merged })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += node.count();
                    self.finish(node, 0)
                }
                None => Err(Finding::new(span, "this alias stands inside the very thing it names", None)),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Span) {
        if tagged {
            let help = "delete the word that begins with `!`";
            self.findings.add(Finding::new(span.clone(), "tags mean nothing in a config", Some(help)));
        }
    }

    fn open(&mut self, frame: OpenNode) -> Result<(), Finding> {
        let (OpenNode::List { span, .. } | OpenNode::Map { span, .. }) = &frame;
        if self.stack.len() >= MAX_DEPTH {
            return Err(Finding::new(span.clone(), format!("more than {MAX_DEPTH} levels deep"), None));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Finding> {
        match self.stack.pop() {
            Some(OpenNode::List { span, anchor, items }) => {
                let span = items.first().map_or(span, |item| item.span.clone());
                self.finish(Node::new(span, NodeKind::List(items)), anchor)
            }
            Some(OpenNode::Map { span, anchor, mut entries, merged, .. }) => {
                let span = entries.first().map_or(span, |first| match first.value.kind {
                    NodeKind::Scalar(_) => first.key_span.start..first.value.span.end.max(first.key_span.end),
                    _ => first.key_span.clone(),
                });
                for node in merged {
                    self.merge(node, &mut entries)?;
                }
                self.finish(Node::new(span, NodeKind::Map(entries)), anchor)
            }
            // The parser closes only what it opened.
            None => Ok(()),
        }
    }

    /// Adds the entries of a `<<` value. What is written beats what is merged; the loser stays as a bad entry, so that
    /// a key's value is redacted wherever it stands.
    fn merge(&mut self, node: Node, entries: &mut Vec<MapEntry>) -> Result<(), Finding> {
        match node.kind {
            NodeKind::Map(more) => {
                let seen: HashMap<String, usize> =
                    entries.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).rev().collect();
                for mut entry in more {
                    if let Some(winner) = seen.get(&entry.key).and_then(|index| entries.get_mut(*index)) {
                        winner.takes_out |= winner.value.is_null() && !entry.value.is_null();
                        entry.value.bad = true;
                    }
                    entries.push(entry);
                }
            }
            NodeKind::List(items) => {
                for item in items {
                    self.merge(item, entries)?;
                }
            }
            NodeKind::Scalar(_) => {
                let help = "write `<<: *name`, where `&name` stands before a mapping";
                self.findings.add(Finding::new(node.span, "only a mapping can be merged", Some(help)));
            }
        }
        Ok(())
    }

    /// Hands a finished node to whatever contains it.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Finding> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Finding::new(node.span, format!("more than {MAX_NODES} values, aliases included"), None));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(OpenNode::List { items, .. }) => items.push(node),
            Some(OpenNode::Map { entries, seen, key, merged, .. }) => match std::mem::replace(key, Pending::None) {
                Pending::None => *key = pending(node)?,
                Pending::Key(name, span) => entries.push(entry(self.text, name, span, node, seen, self.findings)),
                Pending::Merge => merged.push(node),
            },
        }
        Ok(())
    }
}

/// What `node` means as a key.
fn pending(node: Node) -> Result<Pending, Finding> {
    match node.kind {
        NodeKind::Scalar(scalar) if scalar.plain && scalar.value == "<<" => Ok(Pending::Merge),
        NodeKind::Scalar(scalar) => Ok(Pending::Key(scalar.value, node.span)),
        NodeKind::List(_) | NodeKind::Map(_) => {
            Err(Finding::new(node.span, "a key is a plain word, not a mapping or a list", None))
        }
    }
}

/// The entry `name: value`, marked bad when the key was there before. It stays in the tree so that a key's value is
/// redacted wherever it is.
fn entry(
    text: &str,
    name: String,
    key_span: Span,
    mut value: Node,
    seen: &mut HashSet<String>,
    findings: &mut Findings,
) -> MapEntry {
    if !seen.insert(name.clone()) {
        let written = quoted(text.get(key_span.clone()).unwrap_or_default());
        let help = "keep one of the two; the first stands above";
        findings.add(Finding::new(key_span.clone(), format!("the key {written} is given twice"), Some(help)));
        value.bad = true;
    }
    MapEntry { key: name, key_span, value, stands_for: None, takes_out: false }
}

#[cfg(test)]
mod tests;
