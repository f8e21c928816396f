//! The tree against the schema: unknown keys, wrong types and wrong words, all of them at once.
//!
//! The schema is generated from `file`'s types, so it cannot drift from what serde reads. What does not fit is noted,
//! marked bad and left out; the rest becomes the as-written types. A text that looks like a number stays text wherever
//! the schema says text, so a price never passes through floating point.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value as Schema;
use serde_yaml::{Mapping, Value};

use crate::config::file::File;
use crate::config::report::{Finding, Findings};
use crate::config::span::{Span, quoted};
use crate::config::suggest::{instead, listed, nearest};
use crate::config::tree::{MapEntry, Node, NodeKind, Scalar};

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
const OWN: &str = "x-";

/// So many words are not listed in the middle of a sentence.
const LONG_CHOICE: usize = 12;

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
            return free(node);
        }
        let value = match &mut node.kind {
            NodeKind::Scalar(scalar) if scalar.is_null() && wanted.map.is_some() => {
                Some(Value::Mapping(Mapping::new()))
            }
            NodeKind::Scalar(scalar) => match wanted.scalar(scalar) {
                Some(value) => Some(value),
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
            if property.is_some() && matches!(&entry.value.kind, NodeKind::Scalar(scalar) if scalar.is_null()) {
                continue;
            }
            let Some(schema) = property.or(others) else {
                self.unknown_key(entry, schema);
                continue;
            };
            let at = entry.span().clone();
            if let Some(value) = self.value(&mut entry.value, schema, &at) {
                mapping.insert(Value::String(entry.key.clone()), value);
            }
        }
        mapping
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

/// The keys an object schema knows.
fn property_names(schema: &Schema) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Schema::as_object);
    properties.map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
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

/// What a schema asks for, its alternatives taken together.
#[derive(Default)]
struct SchemaUnion<'s> {
    anything: bool,
    map: Option<&'s Schema>,
    list: Option<&'s Schema>,
    text: bool,
    choice: Vec<&'s str>,
    whole: bool,
    truth: bool,
    examples: Vec<&'s Schema>,
    format: Option<&'s str>,
}

impl<'s> SchemaUnion<'s> {
    fn of(schema: &'s Schema) -> SchemaUnion<'s> {
        let mut wanted = SchemaUnion::default();
        wanted.add(schema);
        wanted
    }

    fn add(&mut self, schema: &'s Schema) {
        let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array());
        let mut leaf = true;
        for alternative in alternatives.flatten() {
            leaf = false;
            self.add(alternative);
        }
        if !leaf {
            return;
        }
        if let Some(examples) = schema.get("examples").and_then(Schema::as_array) {
            self.examples.extend(examples);
        }
        self.format = self.format.or(schema.get("format").and_then(Schema::as_str));
        let choice = schema.get("enum").and_then(Schema::as_array).into_iter().flatten().chain(schema.get("const"));
        let choice: Vec<&str> = choice.filter_map(Schema::as_str).collect();
        let types = match schema.get("type") {
            None => {
                self.anything |= choice.is_empty();
                vec![]
            }
            Some(Schema::Array(types)) => types.iter().filter_map(Schema::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
        };
        for name in types {
            match name {
                "object" => self.map = Some(schema),
                "array" => self.list = schema.get("items"),
                "string" => self.text |= choice.is_empty(),
                "integer" => self.whole = true,
                "boolean" => self.truth = true,
                // "number" stands beside "string" for amounts, which are read as text; "null" is absence.
                _ => {}
            }
        }
        self.choice.extend(choice);
    }

    /// Whether a list of nothing but this text is one of those wanted. A bare number names nothing.
    fn takes_a_list_of(&self, scalar: &Scalar) -> bool {
        let word = scalar.value.contains(char::is_alphabetic);
        word && self.list.is_some_and(|items| SchemaUnion::of(items).scalar(scalar).is_some())
    }

    fn scalar(&self, scalar: &Scalar) -> Option<Value> {
        let text = scalar.value.as_str();
        if scalar.is_null() {
            return None;
        }
        if self.choice.contains(&text) || self.text {
            return Some(Value::String(text.to_owned()));
        }
        if self.whole && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse::<u64>().ok().map(Value::from);
        }
        match text {
            "true" | "True" | "TRUE" if self.truth => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" if self.truth => Some(Value::Bool(false)),
            _ => None,
        }
    }

    /// What is wanted, in words.
    fn words(&self) -> String {
        let text = match self.format {
            Some("duration") => "a time",
            Some("bytes") => "an amount of memory",
            Some("usd") => "an amount of dollars",
            Some("size") => "a size",
            Some("percent") => "a percentage",
            Some("ratio") => "a shape",
            Some("condition") => "a condition",
            Some("decimal") => "a number",
            Some("color") => "a colour",
            _ => "a text",
        };
        let choice = match self.choice.len() {
            many @ LONG_CHOICE.. => format!("one of {many} words"),
            _ => self.choice.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        };
        let words = [
            (self.text, text),
            (!self.choice.is_empty(), choice.as_str()),
            (self.whole, "a whole number"),
            (self.truth, "true or false"),
            (self.list.is_some(), "a list"),
            (self.map.is_some(), "a mapping"),
        ];
        words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect::<Vec<_>>().join(" or ")
    }

    /// What to write, for example, or else how such a thing is written.
    fn example(&self) -> Option<String> {
        self.written_like().or_else(|| match (self.map.map(property_names), self.list) {
            (Some(keys), _) if !keys.is_empty() => Some(format!("the keys here are: {}", listed(keys.into_iter()))),
            (Some(_), _) => Some("write it as `name: value`".to_owned()),
            (None, Some(_)) => Some("begin each entry with `- `".to_owned()),
            (None, None) => None,
        })
    }

    fn written_like(&self) -> Option<String> {
        let examples: Vec<String> = self.examples.iter().map(|example| written(example)).collect();
        (!examples.is_empty()).then(|| format!("write it like {}", examples.join(", ")))
    }
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

/// An example as YAML has it: `{usd: 50, per: month}`.
fn written(example: &Schema) -> String {
    match example {
        Schema::String(text) => text.clone(),
        Schema::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}: {}", written(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A value of the vendor's own words, whatever it is.
fn free(node: &Node) -> Option<Value> {
    if node.bad {
        return None;
    }
    Some(match &node.kind {
        NodeKind::Scalar(scalar) => plain_value(scalar),
        NodeKind::List(items) => Value::Sequence(items.iter().filter_map(free).collect()),
        NodeKind::Map(entries) => {
            let entries = entries.iter().filter_map(|entry| {
                let value = free(&entry.value)?;
                Some((Value::String(entry.key.clone()), value))
            });
            Value::Mapping(entries.collect())
        }
    })
}

/// YAML 1.2's core schema: an unquoted word may mean nothing, a truth value or a number.
fn plain_value(scalar: &Scalar) -> Value {
    let text = scalar.value.as_str();
    if !scalar.plain {
        return Value::String(text.to_owned());
    }
    if scalar.is_null() {
        return Value::Null;
    }
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let numeric = text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    let number = numeric.then(|| {
        let whole = text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from));
        let fraction = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
        whole.ok().or_else(fraction)
    });
    number.flatten().unwrap_or_else(|| Value::String(text.to_owned()))
}
