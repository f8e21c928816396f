//! The tree against the schema: unknown keys, wrong types and wrong words, all of them at once.
//!
//! The schema is generated from `file`'s types, so it cannot drift from what serde reads. What does not fit is noted,
//! marked bad and left out; the rest becomes the as-written types.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value as Schema;
use serde_yaml::{Mapping, Value};

use crate::config::file::File;
use crate::config::free_value::free;
use crate::config::report::{Finding, Findings};
use crate::config::schema_union::{SchemaUnion, property_names};
use crate::config::span::{Span, quoted};
use crate::config::suggest::{instead, nearest};
use crate::config::tree::{MapEntry, Node, NodeKind, Scalar};
use crate::config::yaml_versions::{Wanted, read_otherwise};

/// The JSON Schema of a config file. Everything is inlined: there is no `$ref` to follow.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<File>().to_value()
});

/// Reads the tree as a config file. `None` only when nothing can be read at all; that is noted too.
pub(super) fn read(tree: &mut Node, text: &str, findings: &mut Findings) -> Option<File> {
    let span = tree.span.clone();
    if let NodeKind::Map(entries) = &mut tree.kind {
        entries.retain(|entry| !entry.key.starts_with(OWN));
    }
    let value = SchemaCheck { text, findings: &mut *findings }.value(tree, &SCHEMA, &span)?;
    match serde_yaml::from_value(value) {
        Ok(file) => Some(file),
        // What fits the schema is readable. Serde's own words are not passed on: they quote values.
        Err(_) => {
            findings.add(Finding::new(span, "this file fits the schema but cannot be read", None));
            None
        }
    }
}

/// Keys of the file that begin so are the user's own: a place for anchors, as in other tools' YAML.
pub(super) const OWN: &str = "x-";

struct SchemaCheck<'a> {
    /// The file's text, redacted.
    text: &'a str,
    findings: &'a mut Findings,
}

impl<'a> SchemaCheck<'a> {
    /// The node as a value of the kind `schema` asks for; `None` when it does not fit. `at` is underlined then.
    fn value(&mut self, node: &mut Node, schema: &Schema, at: &Span) -> Option<Value> {
        if node.bad {
            return None;
        }
        let wanted = SchemaUnion::of(schema);
        if wanted.anything {
            self.ambiguous_below(node);
            return free(node);
        }
        let value = match &mut node.kind {
            NodeKind::Scalar(scalar) if scalar.is_null() && wanted.map.is_some() => {
                Some(Value::Mapping(Mapping::new()))
            }
            NodeKind::Scalar(scalar) => match wanted.scalar(scalar) {
                Some(value) => self.unless_ambiguous(scalar, wanted.yaml(scalar), at).then_some(value),
                None => self.wrong_scalar(scalar, &wanted, at),
            },
            NodeKind::List(items) => match wanted.list {
                Some(schema) => Some(Value::Sequence(self.items(items, schema))),
                None => self.wrong_type(&wanted, "a list", at),
            },
            NodeKind::Map(entries) => match wanted.map {
                Some(schema) => Some(Value::Mapping(self.entries(entries, schema))),
                None => self.wrong_type(&wanted, "a mapping", at),
            },
        };
        node.bad = value.is_none();
        value
    }

    fn items(&mut self, items: &mut [Node], schema: &Schema) -> Vec<Value> {
        let items = items.iter_mut().filter_map(|item| {
            let at = item.span.clone();
            self.value(item, schema, &at)
        });
        items.collect()
    }

    fn entries(&mut self, entries: &mut [MapEntry], schema: &Schema) -> Mapping {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let others = schema.get("additionalProperties").filter(|others| **others != Schema::Bool(false));
        let mut mapping = Mapping::new();
        for entry in entries {
            let property = properties.and_then(|properties| properties.get(&entry.key));
            // "Nothing" is the same as not being there, except among names of the user's own.
            if property.is_some() && entry.value.is_null() {
                continue;
            }
            let Some(schema) = property.or(others) else {
                self.unknown_key(entry, schema);
                continue;
            };
            if property.is_none() {
                self.ambiguous_key(entry);
            }
            let at = entry.span().clone();
            if let Some(value) = self.value(&mut entry.value, schema, &at) {
                mapping.insert(Value::String(entry.key.clone()), value);
            }
        }
        mapping
    }

    /// Whether every tool that reads YAML takes the scalar for what Easel does, or writes it out as it was. Else that is
    /// noted. Every key's name and every vendor's word is held to it, since nothing tells what it was meant to be.
    fn unless_ambiguous(&mut self, scalar: &Scalar, wanted: Wanted, at: &Span) -> bool {
        let plain = scalar.plain && !scalar.expanded;
        let Some(other) = plain.then(|| read_otherwise(&scalar.value, wanted)).flatten() else { return true };
        let written = quoted(self.text.get(at.clone()).unwrap_or_default());
        let help = match wanted {
            Wanted::Number => "leave out the 0 before it",
            Wanted::Text | Wanted::Anything | Wanted::OwnWord => "put it in quotes",
        };
        self.findings.add(Finding::new(at.clone(), format!("other tools take {written} for {other}"), Some(help)));
        false
    }

    fn ambiguous_key(&mut self, entry: &MapEntry) {
        let quotes = self.text.get(entry.key_span.clone()).is_some_and(|written| written.starts_with(['"', '\'']));
        let key = Scalar { value: entry.key.clone(), plain: !quotes, expanded: false };
        self.unless_ambiguous(&key, Wanted::Text, &entry.key_span);
    }

    /// The same of all that stands in a vendor's own words.
    fn ambiguous_below(&mut self, node: &mut Node) {
        let span = node.span.clone();
        match &mut node.kind {
            NodeKind::Scalar(scalar) => node.bad |= !self.unless_ambiguous(scalar, Wanted::Anything, &span),
            NodeKind::List(items) => items.iter_mut().for_each(|item| self.ambiguous_below(item)),
            NodeKind::Map(entries) => entries.iter_mut().for_each(|entry| {
                self.ambiguous_key(entry);
                self.ambiguous_below(&mut entry.value);
            }),
        }
    }

    fn unknown_key(&mut self, entry: &mut MapEntry, schema: &Schema) {
        if entry.value.bad {
            return;
        }
        entry.value.bad = true;
        let keys = property_names(schema);
        entry.stands_for = nearest(&entry.key, keys.iter().copied()).and_then(known_name);
        let written = quoted(self.text.get(entry.key_span.clone()).unwrap_or_default());
        let help = instead(&entry.key, keys, "the keys here are");
        self.findings.add(Finding::new(entry.key_span.clone(), format!("unknown key {written}"), help.as_deref()));
    }

    fn wrong_type(&mut self, wanted: &SchemaUnion<'_>, found: &str, at: &Span) -> Option<Value> {
        let what = format!("expected {}, found {found}", wanted.words());
        self.findings.add(Finding::new(at.clone(), what, wanted.example().as_deref()));
        None
    }

    fn wrong_scalar(&mut self, scalar: &Scalar, wanted: &SchemaUnion<'_>, at: &Span) -> Option<Value> {
        let written = quoted(self.text.get(at.clone()).unwrap_or_default());
        if scalar.is_null() {
            return self.wrong_type(wanted, "nothing", at);
        }
        let help = match scalar.value.to_lowercase().as_str() {
            // What came from outside the file is not repeated, not even as a suggestion.
            _ if scalar.expanded => wanted.example(),
            "yes" | "on" if wanted.truth => Some("write `true`".to_owned()),
            "no" | "off" if wanted.truth => Some("write `false`".to_owned()),
            number if wanted.whole && is_grouped(number) => {
                Some(format!("write `{}`", number.replace(['_', ' ', '\''], "")))
            }
            _ if wanted.choice.is_empty() && wanted.takes_a_list_of(scalar) => {
                Some(format!("write `[{}]`", self.text.get(at.clone()).unwrap_or_default()))
            }
            _ if !wanted.choice.is_empty() => instead(&scalar.value, wanted.choice.clone(), "the words here are"),
            _ => wanted.example(),
        };
        let what = format!("expected {}, found {written}", wanted.words());
        self.findings.add(Finding::new(at.clone(), what, help.as_deref()));
        None
    }
}

/// The schema's own copy of a key, which lives as long as the program.
fn known_name(key: &str) -> Option<&'static str> {
    fn find(schema: &'static Schema, key: &str) -> Option<&'static str> {
        match schema {
            Schema::Object(object) => {
                let here = schema.get("properties").and_then(Schema::as_object);
                let here = here.and_then(|properties| properties.get_key_value(key));
                here.map(|(name, _)| name.as_str()).or_else(|| object.values().find_map(|below| find(below, key)))
            }
            Schema::Array(items) => items.iter().find_map(|below| find(below, key)),
            _ => None,
        }
    }
    find(&SCHEMA, key)
}

/// Whether a text is a whole number with something between its thousands that is not a comma or a point, which may mean
/// another number.
fn is_grouped(text: &str) -> bool {
    let mut groups = text.split(['_', ' ', '\'']);
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    groups.clone().count() > 1
        && groups.next().is_some_and(digits)
        && groups.all(|group| group.len() == 3 && digits(group))
}
