//! What a place of the schema asks for, and whether a scalar is that.
//!
//! A text that looks like a number stays text wherever the schema says text, so a price never passes through floating
//! point.

use serde_json::Value as Schema;
use serde_yaml::Value;

use crate::config::suggest::listed;
use crate::config::tree::Scalar;
use crate::config::yaml_versions::Wanted;

/// So many words are not listed in the middle of a sentence.
const LONG_CHOICE: usize = 12;

/// The keys an object schema knows.
pub(super) fn property_names(schema: &Schema) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Schema::as_object);
    properties.map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What a schema asks for, its alternatives taken together.
#[derive(Default)]
pub(super) struct SchemaUnion<'s> {
    pub(super) anything: bool,
    pub(super) map: Option<&'s Schema>,
    pub(super) list: Option<&'s Schema>,
    text: bool,
    pub(super) choice: Vec<&'s str>,
    pub(super) whole: bool,
    number: bool,
    pub(super) truth: bool,
    examples: Vec<&'s Schema>,
    format: Option<&'s str>,
}

impl<'s> SchemaUnion<'s> {
    pub(super) fn of(schema: &'s Schema) -> SchemaUnion<'s> {
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
                // It stands beside "string" for amounts, which are read as text.
                "number" => self.number = true,
                // "null" is absence.
                _ => {}
            }
        }
        self.choice.extend(choice);
    }

    /// Whether a list of nothing but this text is one of those wanted. A bare number names nothing.
    pub(super) fn takes_a_list_of(&self, scalar: &Scalar) -> bool {
        let word = scalar.value.contains(char::is_alphabetic);
        word && self.list.is_some_and(|items| SchemaUnion::of(items).scalar(scalar).is_some())
    }

    pub(super) fn scalar(&self, scalar: &Scalar) -> Option<Value> {
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
        if let Some(word) = self.word_for_truth(scalar) {
            return Some(Value::String(word.to_owned()));
        }
        match text {
            "true" | "True" | "TRUE" if self.truth => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" if self.truth => Some(Value::Bool(false)),
            _ => None,
        }
    }

    /// The word that a tool of YAML 1.1 writes as a truth value: `off` and `no` become `false`.
    fn word_for_truth(&self, scalar: &Scalar) -> Option<&'s str> {
        let words = match scalar.value.as_str() {
            "true" if scalar.plain => ["on", "yes"],
            "false" if scalar.plain => ["off", "no"],
            _ => return None,
        };
        self.choice.iter().copied().find(|word| !self.truth && words.contains(word))
    }

    /// What a scalar that fits is held to where tools differ in what they take it for. One of our own words is understood
    /// in any case, and a shape that became a number is none.
    pub(super) fn yaml(&self, scalar: &Scalar) -> Wanted {
        match () {
            () if self.choice.contains(&scalar.value.as_str()) || self.format == Some("ratio") => Wanted::OwnWord,
            () if self.number || self.whole => Wanted::Number,
            () => Wanted::Text,
        }
    }

    /// What is wanted, in words.
    pub(super) fn words(&self) -> String {
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
    pub(super) fn example(&self) -> Option<String> {
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
