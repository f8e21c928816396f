//! The schema as editors get it, made of the one by which the loader reads.
//!
//! The loader's has what it takes to tell where a value is wrong; what is missing, what must go together and what a value
//! looks like is `check`'s business, which says it in words. An editor has only the schema. So here a key is required whose
//! description says "Required.", `null` is no value, a word list takes a reference to the outside too, and no text is
//! refused because it looks like a number. It refuses nothing that the loader takes, but for a key without a value.

use serde_json::{Map, Value, json};

use crate::config::file::{NAME, ROW_SIZE};
use crate::config::provider_kind::ProviderKind;
use crate::config::schema_check::OWN;

/// A text with something in it from outside, `${NAME}` or `${file:/path}`: what it is, only the loader knows.
const REFERENCE: &str = r"\$\{";

/// The schema for editors, from the loader's.
pub(super) fn editor_schema(loader: &Value, kinds: &[ProviderKind]) -> Value {
    let mut schema = loader.clone();
    let provider = "/properties/providers/additionalProperties";
    if let Some(kind) = schema.pointer_mut(&format!("{provider}/properties/kind")).and_then(Value::as_object_mut) {
        kind.insert("enum".to_owned(), kinds.iter().map(|kind| kind.name).collect());
    }
    translate(&mut schema);
    if let Some(provider) = schema.pointer_mut(provider).and_then(Value::as_object_mut) {
        // A preset has a kind.
        provider.insert("anyOf".to_owned(), json!([{"required": ["kind"]}, {"required": ["preset"]}]));
    }
    if let Some(root) = schema.as_object_mut() {
        // Nothing here is newer than draft 7, which every editor knows.
        root.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
        root.insert("title".to_owned(), "Config of Easel".into());
        root.insert("required".to_owned(), json!(["providers", "routes"]));
        root.insert(
            "patternProperties".to_owned(),
            json!({ (format!("^{OWN}")): {"description": "Your own, for anchors."} }),
        );
    }
    schema
}

/// One place of the schema and all below it.
fn translate(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for gone in ["default", "format", "title"] {
        // A format of ours is not what JSON Schema means by the same word.
        object.remove(gone);
    }
    drop_null(object);
    for key in ["anyOf", "oneOf"] {
        object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().for_each(translate);
    }
    for key in ["items", "additionalProperties"] {
        object.get_mut(key).into_iter().for_each(translate);
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        let required: Vec<Value> = properties
            .iter()
            .filter(|(_, property)| is_required(property))
            .map(|(name, _)| name.as_str().into())
            .collect();
        properties.values_mut().for_each(translate);
        if !required.is_empty() {
            for name in required.iter().filter_map(Value::as_str) {
                let list = properties.get_mut(name).and_then(Value::as_object_mut);
                if let Some(list) = list.filter(|property| property.get("type") == Some(&json!("array"))) {
                    list.insert("minItems".to_owned(), 1.into());
                }
            }
            object.insert("required".to_owned(), required.into());
        }
    }
    words(object);
    scalar(object);
}

/// Whether a key must be there, by what its description says.
fn is_required(property: &Value) -> bool {
    let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
    description.contains("Required.") || description.contains("Required;")
}

/// Takes `null` out of what may stand there, and what is left alone out of its list of alternatives.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    let Some(Value::Array(alternatives)) = object.get_mut("anyOf") else { return };
    alternatives.retain(|one| one.get("type") != Some(&json!("null")));
    if let [Value::Object(one)] = alternatives.as_mut_slice() {
        let one = std::mem::take(one);
        object.remove("anyOf");
        for (key, value) in one {
            // What is said of the key is more than what is said of its type.
            object.entry(key).or_insert(value);
        }
        // It may have been a list of alternatives itself.
        drop_null(object);
    }
}

/// A list of words: the loader also takes one that comes from outside, and the truth value that a tool of YAML 1.1 makes of
/// `off` or `no`.
fn words(object: &mut Map<String, Value>) {
    let listed: Vec<Value> = match (object.get("enum"), object.get("oneOf")) {
        (Some(Value::Array(words)), _) => words.clone(),
        (_, Some(Value::Array(ones))) => ones.iter().filter_map(|one| one.get("const").cloned()).collect(),
        _ => return,
    };
    let has = |words: [&str; 2]| listed.iter().filter_map(Value::as_str).any(|word| words.contains(&word));
    let mut more = vec![json!({"type": "string", "pattern": REFERENCE})];
    more.extend(
        [(has(["on", "yes"]), true), (has(["off", "no"]), false)]
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, truth)| json!({"const": truth})),
    );
    if let Some(Value::Array(ones)) = object.get_mut("oneOf") {
        ones.extend(more);
    } else {
        object.remove("enum");
        object.remove("type");
        more.insert(0, json!({"type": "string", "enum": listed}));
        object.insert("anyOf".to_owned(), more.into());
    }
}

/// A single value: written in quotes or not, or come from outside.
fn scalar(object: &mut Map<String, Value>) {
    // A word of a list, and what is one of several, is told there.
    if object.contains_key("const") || object.contains_key("enum") || object.contains_key("anyOf") {
        return;
    }
    let or_reference = |pattern: &str| format!("({pattern})|{REFERENCE}");
    let (types, pattern) = match object.get("type").and_then(Value::as_str) {
        Some("integer") => (json!(["integer", "string"]), Some(or_reference("^[0-9]+$"))),
        Some("boolean") => (json!(["boolean", "string"]), Some(or_reference("^(true|True|TRUE|false|False|FALSE)$"))),
        Some("string") => match object.get("pattern").and_then(Value::as_str) {
            Some(digits @ (ROW_SIZE | NAME)) => (json!(["string", "integer"]), Some(or_reference(digits))),
            Some(pattern) => (json!("string"), Some(or_reference(pattern))),
            // A name, a model, a key may be all digits.
            None => (json!(["string", "number", "boolean"]), None),
        },
        // An amount.
        None => match object.get("pattern").and_then(Value::as_str) {
            Some(pattern) => (json!(["number", "string"]), Some(or_reference(pattern))),
            None => return,
        },
        Some(_) => return,
    };
    object.insert("type".to_owned(), types);
    if let Some(pattern) = pattern {
        object.insert("pattern".to_owned(), pattern.into());
    }
}
