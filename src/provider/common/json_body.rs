//! Writes the fields of a call's JSON body.

use serde_json::{Map, Value};

/// A JSON field of a body, left out when there is nothing to say.
pub fn put(body: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(field.to_owned(), value.into());
    }
}
