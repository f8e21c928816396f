//! Values of a vendor's own words: whatever stands there, as YAML 1.2 reads it.

use serde_yaml::Value;

use crate::config::tree::{Node, NodeKind, Scalar};

/// A value of the vendor's own words, whatever it is.
pub(super) fn free(node: &Node) -> Option<Value> {
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
