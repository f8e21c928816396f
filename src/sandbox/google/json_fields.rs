//! Objects and lists within a request to Google.

use serde_json::Value;

use crate::sandbox::fields::{FieldError, FieldErrorKind, Fields, kind};

pub(super) fn object(fields: &mut Fields, name: &str) -> Result<Option<Fields>, FieldError> {
    fields.any(name).map(|value| members(name, value)).transpose()
}

pub(super) fn members(name: &str, value: Value) -> Result<Fields, FieldError> {
    match value {
        Value::Object(object) => Ok(Fields::json(object)),
        other => Err(FieldError::new(name, FieldErrorKind::NotA("object", kind(&other)))),
    }
}

pub(super) fn list(fields: &mut Fields, name: &str) -> Result<Vec<Value>, FieldError> {
    match fields.any(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(FieldError::new(name, FieldErrorKind::NotA("array", kind(&other)))),
    }
}
