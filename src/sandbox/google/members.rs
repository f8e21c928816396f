//! Objects and lists within a request to Google.

use serde_json::Value;

use crate::sandbox::fields::{Fields, Why, Wrong, kind};

pub(super) fn object(fields: &mut Fields, name: &str) -> Result<Option<Fields>, Wrong> {
    fields.any(name).map(|value| members(name, value)).transpose()
}

pub(super) fn members(name: &str, value: Value) -> Result<Fields, Wrong> {
    match value {
        Value::Object(object) => Ok(Fields::json(object)),
        other => Err(Wrong::new(name, Why::NotA("object", kind(&other)))),
    }
}

pub(super) fn list(fields: &mut Fields, name: &str) -> Result<Vec<Value>, Wrong> {
    match fields.any(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(Wrong::new(name, Why::NotA("array", kind(&other)))),
    }
}
