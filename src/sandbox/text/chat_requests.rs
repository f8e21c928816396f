//! Reads and checks a request for a chat completion.

use serde_json::Value;

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields, kind};
use crate::sandbox::openai::errors::{bad_field, invalid, no_such_model};
use crate::sandbox::settings::Vendor;
use crate::sandbox::text::models::TextModelFamily;

/// The longest answer of any model, in tokens.
const LONGEST_ANSWER: i64 = 128_000;

/// Fields that are taken and change nothing here.
const IGNORED: [&str; 9] = [
    "metadata",
    "service_tier",
    "store",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "response_format",
    "seed",
    "verbosity",
];

/// Who may speak.
const ROLES: [&str; 4] = ["developer", "system", "user", "assistant"];

/// What a request asks to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ParsedChat {
    pub(super) model: String,
    /// Tokens of the longest answer, thoughts included; `None` where the request does not bound it.
    pub(super) max_tokens: Option<u64>,
    /// All that was said, whoever said it.
    pub(super) said: String,
    /// The last thing the user said.
    pub(super) prompt: String,
    /// Tokens that the model thinks before it says anything.
    pub(super) thoughts: u64,
}

impl ParsedChat {
    pub(in crate::sandbox) fn read(mut fields: RequestFields, vendor: &Vendor) -> Result<ParsedChat, ErrorResponse> {
        let model = fields.prompt("model", 256).map_err(bad_field)?;
        match TextModelFamily::of(&model, vendor) {
            None => Err(no_such_model(&model)),
            Some(family) if family.embeds() => {
                let message = "This is not a chat model and thus not supported in the v1/chat/completions endpoint.";
                let body = invalid(message, Some("model"), None);
                Err(ErrorResponse::violation(axum::http::StatusCode::NOT_FOUND, body))
            }
            Some(family) => {
                let reasons = family == TextModelFamily::Reasons;
                if reasons && fields.has("max_tokens") {
                    return Err(unsupported("max_tokens", "Use 'max_completion_tokens' instead."));
                }
                for field in ["temperature", "top_p", "presence_penalty", "frequency_penalty"] {
                    if reasons && fields.has(field) {
                        return Err(unsupported(field, "Only the default is."));
                    }
                }
                if !reasons && fields.has("reasoning_effort") {
                    return Err(unsupported("reasoning_effort", "It does not reason."));
                }
                ParsedChat::rest(model, reasons, fields).map_err(bad_field)
            }
        }
    }

    fn rest(model: String, reasons: bool, mut fields: RequestFields) -> Result<ParsedChat, FieldError> {
        let bound = fields.whole("max_completion_tokens", 1..=LONGEST_ANSWER)?;
        let older = fields.whole("max_tokens", 1..=LONGEST_ANSWER)?;
        if bound.is_some() && older.is_some() {
            let sentence = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
            return Err(FieldError::other("max_tokens", sentence));
        }
        let effort = fields.choice("reasoning_effort", &["minimal", "low", "medium", "high"])?;
        let messages = fields.list("messages")?;
        let said = messages.iter().map(message).collect::<Result<Vec<_>, _>>()?;
        let prompt = said.iter().rev().find(|(role, _)| *role == "user").map(|(_, words)| words.clone());
        let prompt = prompt.ok_or_else(|| FieldError::new("messages", FieldErrorKind::Missing))?;
        fields.number("temperature", 0.0..=2.0)?;
        fields.number("top_p", 0.0..=1.0)?;
        fields.number("presence_penalty", -2.0..=2.0)?;
        fields.number("frequency_penalty", -2.0..=2.0)?;
        fields.whole("n", 1..=1)?;
        fields.any("stop");
        if fields.flag("stream")? == Some(true) {
            return Err(FieldError::other("stream", "Streaming is not what this sandbox does."));
        }
        for field in IGNORED {
            fields.any(field);
        }
        fields.end()?;
        let said = said.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("\n");
        let thoughts = match effort.as_deref() {
            _ if !reasons => 0,
            Some("minimal") => 0,
            Some("low") => 32,
            Some("high") => 128,
            _ => 64,
        };
        let max_tokens = bound.or(older).map(i64::unsigned_abs);
        Ok(ParsedChat { model, max_tokens, said, prompt, thoughts })
    }
}

/// A parameter that other models take.
fn unsupported(field: &str, instead: &str) -> ErrorResponse {
    let message = format!("Unsupported parameter: '{field}' is not supported with this model. {instead}");
    let body = invalid(&message, Some(field), Some("unsupported_parameter"));
    ErrorResponse::violation(axum::http::StatusCode::BAD_REQUEST, body)
}

/// Who speaks in a message, and what.
fn message(message: &Value) -> Result<(&str, String), FieldError> {
    let bad = |sentence: &str| FieldError::other("messages", sentence);
    let object = message.as_object().ok_or_else(|| bad("Each message must be an object."))?;
    if object.keys().any(|key| !["role", "content", "name"].contains(&key.as_str())) {
        return Err(bad("Additional properties are not allowed in a message."));
    }
    let role = object.get("role").and_then(Value::as_str).filter(|role| ROLES.contains(role));
    let role = role.ok_or_else(|| bad("Invalid value for a role."))?;
    let content = object.get("content").ok_or_else(|| bad("Missing content of a message."))?;
    Ok((role, words(content)?))
}

/// A text, or a list of text parts.
fn words(content: &Value) -> Result<String, FieldError> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let part = |part: &Value| {
                let text = (part["type"] == "text").then(|| part["text"].as_str()).flatten();
                text.map(str::to_owned).ok_or_else(|| FieldError::other("messages", "This sandbox reads text alone."))
            };
            parts.iter().map(part).collect()
        }
        other => Err(FieldError::new("messages", FieldErrorKind::NotA("string", kind(other)))),
    }
}
