//! Reads and checks a request to Anthropic's Messages API.

use axum::http::StatusCode;
use serde_json::Value;

use crate::sandbox::anthropic::errors::{bad_field, violation};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields, kind};
use crate::sandbox::settings::Vendor;

/// Models and their longest answers in tokens.
const MODELS: [(&str, u64); 4] = [
    ("claude-haiku-4-5", 64_000),
    ("claude-haiku-4-5-20251001", 64_000),
    ("claude-sonnet-4-6", 64_000),
    ("claude-opus-4-7", 32_000),
];

/// Fields that are taken and change nothing here.
const IGNORED: [&str; 3] = ["metadata", "service_tier", "cache_control"];

/// What a request asks to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ParsedRequest {
    pub model: String,
    pub max_tokens: u64,
    pub system: String,
    /// The last thing the user said.
    pub prompt: String,
    /// Characters of all that was said.
    said: usize,
}

impl ParsedRequest {
    pub(in crate::sandbox) fn read(mut fields: RequestFields, vendor: &Vendor) -> Result<ParsedRequest, ErrorResponse> {
        let model = fields.prompt("model", 256).map_err(bad_field)?;
        let longest = MODELS.iter().find(|(name, _)| *name == model).map(|(_, longest)| *longest);
        let longest = longest.or(vendor.token_price.contains_key(&model).then_some(64_000));
        let Some(longest) = longest else {
            return Err(violation(StatusCode::NOT_FOUND, "not_found_error", &format!("model: {model}")));
        };
        ParsedRequest::rest(model, longest, fields).map_err(bad_field)
    }

    fn rest(model: String, longest: u64, mut fields: RequestFields) -> Result<ParsedRequest, FieldError> {
        let most = i64::try_from(longest).unwrap_or(i64::MAX);
        let max_tokens = fields
            .whole("max_tokens", 1..=most)?
            .ok_or_else(|| FieldError::new("max_tokens", FieldErrorKind::Missing))?;
        let system = match fields.any("system") {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(blocks @ Value::Array(_)) => words("system", &blocks)?,
            Some(other) => return Err(FieldError::new("system", FieldErrorKind::NotA("string", kind(&other)))),
        };
        let messages = match fields.any("messages") {
            None => return Err(FieldError::new("messages", FieldErrorKind::Missing)),
            Some(Value::Array(messages)) => messages,
            Some(other) => return Err(FieldError::new("messages", FieldErrorKind::NotA("array", kind(&other)))),
        };
        let said = messages.iter().map(message).collect::<Result<Vec<_>, _>>()?;
        let prompt = match (said.first(), said.last()) {
            (Some(("user", _)), Some((_, last))) => last.clone(),
            (Some(_), _) => return Err(FieldError::other("messages", "first message must use the \"user\" role")),
            (None, _) => return Err(FieldError::other("messages", "at least one message is required")),
        };
        fields.number("temperature", 0.0..=1.0)?;
        fields.number("top_p", 0.0..=1.0)?;
        fields.whole("top_k", 0..=500)?;
        if fields.flag("stream")? == Some(true) {
            return Err(FieldError::other("stream", "is not what this sandbox does"));
        }
        match fields.any("stop_sequences") {
            None | Some(Value::Array(_)) => {}
            Some(other) => {
                return Err(FieldError::new("stop_sequences", FieldErrorKind::NotA("array", kind(&other))));
            }
        }
        for field in IGNORED {
            fields.any(field);
        }
        fields.end()?;
        let said = said.iter().map(|(_, words)| words.chars().count()).sum();
        Ok(ParsedRequest { model, max_tokens: max_tokens.unsigned_abs(), system, prompt, said })
    }

    /// Characters that the model reads, with what stands around every request.
    pub(in crate::sandbox) fn read_chars(&self) -> usize {
        self.system.chars().count() + self.said + 32
    }
}

/// Who speaks in a message, and what.
fn message(message: &Value) -> Result<(&str, String), FieldError> {
    let bad = |sentence: &str| FieldError::other("messages", sentence);
    let object = message.as_object().ok_or_else(|| bad("each must be an object"))?;
    if object.keys().any(|key| !["role", "content"].contains(&key.as_str())) {
        return Err(bad("Extra inputs are not permitted"));
    }
    let role = object.get("role").and_then(Value::as_str).filter(|role| ["user", "assistant"].contains(role));
    let role = role.ok_or_else(|| bad("role must be one of: user, assistant"))?;
    let content = object.get("content").ok_or_else(|| bad("content: Field required"))?;
    Ok((role, words("messages", content)?))
}

/// A text, or a list of text blocks.
fn words(field: &str, content: &Value) -> Result<String, FieldError> {
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let block = |block: &Value| {
                let text = (block["type"] == "text").then(|| block["text"].as_str()).flatten();
                text.map(str::to_owned).ok_or_else(|| FieldError::other(field, "this sandbox reads text blocks only"))
            };
            blocks.iter().map(block).collect::<Result<String, _>>()?
        }
        other => return Err(FieldError::new(field, FieldErrorKind::NotA("string", kind(other)))),
    };
    if text.is_empty() {
        return Err(FieldError::other(field, "text content must be non-empty"));
    }
    Ok(text)
}
