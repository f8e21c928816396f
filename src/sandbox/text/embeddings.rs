//! Reads and checks a request for embeddings, and answers it.

use axum::http::StatusCode;
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields, kind};
use crate::sandbox::openai::errors::{bad_field, invalid, no_such_model};
use crate::sandbox::settings::Vendor;
use crate::sandbox::text::models::TextModelFamily;
use crate::sandbox::text::usage::{TextUsage, tokens};
use crate::sandbox::text::vectors::vector;

/// Texts of one call.
const MOST_INPUTS: usize = 2048;
/// Tokens of one text.
const LONGEST_INPUT: u64 = 8192;
/// Tokens of all texts of one call.
const LONGEST_CALL: u64 = 300_000;
/// Numbers of a vector where the request does not say. The real ones have six times as many, which no test needs.
const DIMENSIONS: i64 = 256;

/// Texts that are to become vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParsedTexts {
    pub(super) model: String,
    inputs: Vec<String>,
    dimensions: usize,
    /// As base64 of little-endian numbers instead of a list.
    base64: bool,
}

impl ParsedTexts {
    pub(super) fn read(mut fields: RequestFields, vendor: &Vendor) -> Result<ParsedTexts, ErrorResponse> {
        let model = fields.prompt("model", 256).map_err(bad_field)?;
        let most = match TextModelFamily::of(&model, vendor) {
            None => return Err(no_such_model(&model)),
            Some(TextModelFamily::Embeds(most)) => most,
            Some(TextModelFamily::EmbedsFixed) if fields.has("dimensions") => {
                return Err(refused("This model does not support specifying dimensions."));
            }
            Some(TextModelFamily::EmbedsFixed) => DIMENSIONS,
            Some(TextModelFamily::Reasons | TextModelFamily::Writes) => {
                return Err(refused("You are not allowed to generate embeddings from this model"));
            }
        };
        let parsed = ParsedTexts::rest(model, most, fields).map_err(bad_field)?;
        let longest = parsed.inputs.iter().map(|text| tokens(text.chars().count())).max().unwrap_or(0);
        if longest > LONGEST_INPUT {
            let message = format!(
                "This model's maximum context length is {LONGEST_INPUT} tokens, however you requested {longest} tokens \
                 ({longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
            );
            return Err(refused(&message));
        }
        if parsed.tokens() > LONGEST_CALL {
            let message = format!("Requested {} tokens, max {LONGEST_CALL} tokens per request", parsed.tokens());
            let body = invalid(&message, None, Some("max_tokens_per_request"));
            return Err(ErrorResponse::violation(StatusCode::BAD_REQUEST, body));
        }
        Ok(parsed)
    }

    fn rest(model: String, most: i64, mut fields: RequestFields) -> Result<ParsedTexts, FieldError> {
        let inputs = match fields.any("input") {
            None => return Err(FieldError::new("input", FieldErrorKind::Missing)),
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.into_iter().map(text).collect::<Result<_, _>>()?,
            Some(other) => return Err(FieldError::new("input", FieldErrorKind::NotA("string", kind(&other)))),
        };
        if inputs.is_empty() || inputs.iter().any(String::is_empty) {
            return Err(FieldError::other("input", "'$.input' is invalid. Please check the API reference."));
        }
        if inputs.len() > MOST_INPUTS {
            return Err(FieldError::new("input", FieldErrorKind::Above(MOST_INPUTS.to_string())));
        }
        let dimensions = fields.whole("dimensions", 1..=most)?.unwrap_or(DIMENSIONS.min(most));
        let format = fields.choice("encoding_format", &["float", "base64"])?;
        fields.text("user")?;
        fields.end()?;
        let dimensions = usize::try_from(dimensions).unwrap_or(usize::MAX);
        Ok(ParsedTexts { model, inputs, dimensions, base64: format.as_deref() == Some("base64") })
    }

    fn tokens(&self) -> u64 {
        self.inputs.iter().map(|text| tokens(text.chars().count())).sum()
    }

    /// The answer, and what it took.
    pub(super) fn vectors(&self, fault: Mode) -> (TextUsage, Value) {
        let usage = TextUsage::of_reading(self.tokens());
        let mut vectors: Vec<Vec<f32>> = self.inputs.iter().map(|text| vector(text, self.dimensions)).collect();
        match fault {
            Mode::NoPictures => vectors.clear(),
            Mode::Truncated => {
                if let Some(last) = vectors.last_mut() {
                    last.truncate(self.dimensions / 2);
                }
            }
            _ => {}
        }
        let item = |(index, vector): (usize, &Vec<f32>)| {
            let embedding = if self.base64 { json!(base64(vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        };
        let data: Vec<Value> = vectors.iter().enumerate().map(item).collect();
        (usage, json!({"object": "list", "data": data, "model": self.model, "usage": usage.to_short_json()}))
    }
}

fn text(item: Value) -> Result<String, FieldError> {
    match item {
        Value::String(text) => Ok(text),
        other => Err(FieldError::new("input", FieldErrorKind::NotA("string", kind(&other)))),
    }
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode_to_string(bytes)
}

fn refused(message: &str) -> ErrorResponse {
    ErrorResponse::violation(StatusCode::BAD_REQUEST, invalid(message, None, None))
}
