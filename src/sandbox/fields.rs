//! A strict reader of request fields: each field is taken once, by the type it must have; what is left is unknown.
//!
//! It says what is wrong as data ([`FieldError`]); every vendor gives that its own words, status and shape.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// One field that is not as it must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldError {
    /// Which field.
    pub field: String,
    /// What is the matter.
    pub why: FieldErrorKind,
}

/// What is the matter with a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldErrorKind {
    /// Not there, but required.
    Missing,
    /// There, but not known.
    Unknown,
    /// Not of this type; the type it has instead.
    NotA(&'static str, &'static str),
    /// An empty text.
    Empty,
    /// A text of more characters than this; how many it has.
    TooLong(usize, usize),
    /// A number below this.
    Below(String),
    /// A number above this.
    Above(String),
    /// A text that is none of these.
    NotOneOf(Vec<String>),
    /// Another error, in a sentence.
    Other(String),
}

impl FieldError {
    pub(super) fn new(field: &str, why: FieldErrorKind) -> FieldError {
        FieldError { field: field.to_owned(), why }
    }

    /// An error that needs a sentence of its own.
    pub(super) fn other(field: &str, sentence: impl Into<String>) -> FieldError {
        FieldError::new(field, FieldErrorKind::Other(sentence.into()))
    }

    /// A plain sentence, for vendors whose exact words are not known.
    pub(super) fn sentence(&self) -> String {
        match &self.why {
            FieldErrorKind::Missing => "is required".to_owned(),
            FieldErrorKind::Unknown => "is not a known field".to_owned(),
            FieldErrorKind::NotA(wanted, got) => format!("must be of type {wanted}, not {got}"),
            FieldErrorKind::Empty => "must not be empty".to_owned(),
            FieldErrorKind::TooLong(most, got) => format!("must have at most {most} characters, not {got}"),
            FieldErrorKind::Below(least) => format!("must be greater than or equal to {least}"),
            FieldErrorKind::Above(most) => format!("must be less than or equal to {most}"),
            FieldErrorKind::NotOneOf(words) => format!("must be one of: {}", words.join(", ")),
            FieldErrorKind::Other(sentence) => sentence.clone(),
        }
    }
}

/// The fields of one request that have not been taken yet.
#[derive(Clone, Debug)]
pub(super) struct RequestFields {
    left: Map<String, Value>,
    /// `null` means absent, as OpenAI has it.
    null_is_absent: bool,
    /// Numbers and flags are written as texts, as a form has them.
    form: bool,
}

impl RequestFields {
    /// A JSON object in which `null` is a value like any other.
    pub(super) fn json(object: Map<String, Value>) -> RequestFields {
        RequestFields { left: object, null_is_absent: false, form: false }
    }

    /// A JSON object in which `null` means absent.
    pub(super) fn nullable(object: Map<String, Value>) -> RequestFields {
        RequestFields { left: object, null_is_absent: true, form: false }
    }

    /// The fields of a form.
    pub(super) fn form(fields: Vec<(String, String)>) -> RequestFields {
        let left = fields.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
        RequestFields { left, null_is_absent: false, form: true }
    }

    /// A field of any type.
    pub(super) fn any(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !(self.null_is_absent && value.is_null()))
    }

    /// Whether the field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !(self.null_is_absent && value.is_null()))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(FieldError::new(name, FieldErrorKind::NotA("string", kind(&other)))),
        }
    }

    /// A text of 1 to `most` characters that must be there.
    pub(super) fn prompt(&mut self, name: &str, most: usize) -> Result<String, FieldError> {
        let text = self.bounded(name, most)?.ok_or_else(|| FieldError::new(name, FieldErrorKind::Missing))?;
        if text.is_empty() { Err(FieldError::new(name, FieldErrorKind::Empty)) } else { Ok(text) }
    }

    /// A text of at most `most` characters.
    pub(super) fn bounded(&mut self, name: &str, most: usize) -> Result<Option<String>, FieldError> {
        let text = self.text(name)?;
        match text.as_deref().map(|text| text.chars().count()) {
            Some(length) if length > most => Err(FieldError::new(name, FieldErrorKind::TooLong(most, length))),
            _ => Ok(text),
        }
    }

    pub(super) fn whole(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, FieldError> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) if self.form => text.parse().ok(),
            Value::Number(number) => number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX)),
            _ => None,
        };
        let number = number.ok_or_else(|| FieldError::new(name, FieldErrorKind::NotA("integer", kind(&value))))?;
        if number < *range.start() {
            Err(FieldError::new(name, FieldErrorKind::Below(range.start().to_string())))
        } else if number > *range.end() {
            Err(FieldError::new(name, FieldErrorKind::Above(range.end().to_string())))
        } else {
            Ok(Some(number))
        }
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, FieldError> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) if self.form => text.parse().ok(),
            other => other.as_f64(),
        };
        let number = number.ok_or_else(|| FieldError::new(name, FieldErrorKind::NotA("number", kind(&value))))?;
        if range.contains(&number) {
            Ok(Some(number))
        } else if number > *range.end() {
            Err(FieldError::new(name, FieldErrorKind::Above(range.end().to_string())))
        } else {
            Err(FieldError::new(name, FieldErrorKind::Below(range.start().to_string())))
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, FieldError> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if self.form && ["true", "false"].contains(&text.as_str()) => {
                Ok(Some(text == "true"))
            }
            Some(other) => Err(FieldError::new(name, FieldErrorKind::NotA("boolean", kind(&other)))),
        }
    }

    /// One of `words`.
    pub(super) fn choice(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, FieldError> {
        match self.text(name)? {
            Some(text) if !words.contains(&text.as_str()) => Err(FieldError::new(
                name,
                FieldErrorKind::NotOneOf(words.iter().map(|word| (*word).to_owned()).collect()),
            )),
            text => Ok(text),
        }
    }

    /// The members of an object within the request.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<RequestFields>, FieldError> {
        self.any(name).map(|value| RequestFields::of_value(name, value)).transpose()
    }

    /// The members of `value`, which must be a JSON object and is called `name` in errors.
    pub(super) fn of_value(name: &str, value: Value) -> Result<RequestFields, FieldError> {
        match value {
            Value::Object(object) => Ok(RequestFields::json(object)),
            other => Err(FieldError::new(name, FieldErrorKind::NotA("object", kind(&other)))),
        }
    }

    /// A list within the request, empty when it is absent.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, FieldError> {
        match self.any(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(FieldError::new(name, FieldErrorKind::NotA("array", kind(&other)))),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), FieldError> {
        match self.left.keys().next() {
            Some(name) => Err(FieldError::new(name, FieldErrorKind::Unknown)),
            None => Ok(()),
        }
    }
}

/// The name of a value's JSON type.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "decimal",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> RequestFields {
        RequestFields::json(value.as_object().cloned().unwrap())
    }

    #[test]
    fn a_field_of_the_wrong_type_or_outside_its_range_is_told_apart() {
        let mut fields = fields(json!({"a": "1", "b": 1.5, "c": 11, "d": -1, "e": 18446744073709551615u64, "f": null}));
        let mut why = |name| fields.whole(name, 0..=10).map_err(|error| error.why);
        assert_eq!(why("a"), Err(FieldErrorKind::NotA("integer", "string")));
        assert_eq!(why("b"), Err(FieldErrorKind::NotA("integer", "decimal")));
        assert_eq!(why("c"), Err(FieldErrorKind::Above("10".to_owned())));
        assert_eq!(why("d"), Err(FieldErrorKind::Below("0".to_owned())));
        assert_eq!(why("e"), Err(FieldErrorKind::Above("10".to_owned())));
        assert_eq!(why("f"), Err(FieldErrorKind::NotA("integer", "null")));
        assert_eq!(why("g"), Ok(None));
    }

    #[test]
    fn what_nobody_took_is_unknown() {
        let mut fields = fields(json!({"prompt": "x", "promt": "y"}));
        assert_eq!(fields.prompt("prompt", 10), Ok("x".to_owned()));
        assert_eq!(fields.end(), Err(FieldError::new("promt", FieldErrorKind::Unknown)));
    }

    #[test]
    fn only_a_form_writes_numbers_and_flags_as_texts() {
        let texts = [("seed", "7"), ("cfg", "1.5"), ("stream", "true"), ("sync", "yes")];
        let mut form = RequestFields::form(texts.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec());
        assert_eq!(form.whole("seed", 0..=9), Ok(Some(7)));
        assert_eq!(form.number("cfg", 0.0..=9.0), Ok(Some(1.5)));
        assert_eq!(form.flag("stream"), Ok(Some(true)));
        assert!(form.flag("sync").is_err());
        assert!(fields(json!({"stream": "true"})).flag("stream").is_err());
    }
}
