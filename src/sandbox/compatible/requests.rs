//! Reads and checks a request to the compatible vendor in its dialect.

use axum::http::StatusCode;

use crate::image::{Format, Size};
use crate::sandbox::compatible::dialect::{AnswerForm, Dialect};
use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::compatible::sizes;
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::settings::Vendor;

/// OpenAI's names of the fields a server may know besides `model`, `prompt`, `n`, the size and `response_format`.
/// A dialect may know fewer. Their values change nothing in the picture, except `seed` and `output_format`.
pub(super) const TAKEN: [&str; 8] =
    ["quality", "style", "user", "background", "moderation", "output_compression", "steps", "guidance_scale"];

/// What a request asks to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct ParsedRequest {
    pub model: String,
    pub prompt: String,
    pub n: u32,
    pub size: Size,
    pub quality: Option<String>,
    pub format: Format,
    pub seed: Option<i64>,
    pub links: bool,
    /// Hash of the pictures an edit starts from; 0 when there are none.
    pub fingerprint: u64,
}

impl ParsedRequest {
    pub(super) fn read(mut fields: RequestFields, vendor: &Vendor) -> Result<ParsedRequest, CompatibleError> {
        let dialect = &vendor.dialect;
        let parsed = ParsedRequest::read_fields(&mut fields, dialect)?;
        fields.end()?;
        if !dialect.models.is_empty() && !dialect.models.contains(&parsed.model) {
            let message = format!("model '{}' does not exist", parsed.model);
            return Err(CompatibleError::FieldError(StatusCode::NOT_FOUND, Some("model".to_owned()), message));
        }
        Ok(parsed)
    }

    fn read_fields(fields: &mut RequestFields, dialect: &Dialect) -> Result<ParsedRequest, FieldError> {
        let model = fields.prompt(theirs(dialect, "model"), 200)?;
        let prompt = fields.prompt(theirs(dialect, "prompt"), 32_000)?;
        let n = known(dialect, "n", |name| fields.whole(name, 1..=i64::from(dialect.max_n)))?;
        let formats: Vec<&str> = dialect.formats.iter().map(String::as_str).collect();
        let format = known(dialect, "output_format", |name| fields.choice(name, &formats))?;
        let form = known(dialect, "response_format", |name| fields.choice(name, &["url", &dialect.base64_word]))?;
        let size = sizes::size(fields, dialect)?;
        let seed = known(dialect, "seed", |name| fields.whole(name, 0..=i64::MAX))?;
        known(dialect, "negative_prompt", |name| fields.text(name))?;
        let quality = known(dialect, "quality", |name| Ok(fields.any(name)))?;
        for name in TAKEN {
            known(dialect, name, |name| Ok(fields.any(name)))?;
        }
        for name in &dialect.extra {
            fields.any(name);
        }
        let links = match dialect.answer {
            AnswerForm::Asked => form.as_deref() != Some(dialect.base64_word.as_str()),
            AnswerForm::Base64 | AnswerForm::DataUrl => false,
            AnswerForm::Url => true,
        };
        Ok(ParsedRequest {
            model,
            prompt,
            n: n.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            size,
            quality: quality.and_then(|value| value.as_str().map(str::to_owned)),
            format: format.and_then(|word| word.parse().ok()).unwrap_or(dialect.format),
            seed,
            links,
            fingerprint: 0,
        })
    }
}

/// What the dialect calls a field of OpenAI's.
fn theirs<'d>(dialect: &'d Dialect, name: &'d str) -> &'d str {
    dialect.rename.get(name).map_or(name, String::as_str)
}

/// The field, where the dialect knows it. What it does not know is left, and refused as unknown.
fn known<T>(
    dialect: &Dialect,
    name: &str,
    read: impl FnOnce(&str) -> Result<Option<T>, FieldError>,
) -> Result<Option<T>, FieldError> {
    let known = dialect.knows.as_ref().is_none_or(|knows| knows.contains(name));
    if known { read(theirs(dialect, name)) } else { Ok(None) }
}
