//! The fields of a request, each taken out once and checked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::error::Error;
use crate::image::{BadSize, Format, Size};
use crate::request::image_request::{Filled, ImageRequest, N_MAX, PROMPT_MAX_CHARS};
use crate::request::json_body;
use crate::request::json_body::{BodySchema, FieldValue, Unread};
use crate::request::option_enums::{Background, Complexity, Moderation, Quality, ResponseFormat, Style};

/// The least that can be asked.
pub(super) const EXAMPLE: &str = "{\"prompt\": \"a red fox\"}";

/// The body's JSON object. Whatever else it is, or has, is told.
pub(super) fn object(body: &[u8], shape: BodySchema) -> Result<json_body::JsonBody<'_>, Error> {
    json_body::read(body, shape).map_err(|unread| match unread {
        Unread::Broken(error) => error,
        Unread::Unknown(field) => unknown(&field, shape.known),
    })
}

/// The object's fields, `null` counted as absent.
pub(super) struct Fields<'a>(pub(super) BTreeMap<Cow<'a, str>, FieldValue<'a>>);

impl Fields<'_> {
    /// The request without pictures; `known` are the fields there may be.
    pub(super) fn read(self, known: &[&str]) -> Result<ImageRequest, Error> {
        if let Some(unknown_field) = self.0.keys().find(|key| !known.contains(&&***key)) {
            return Err(unknown(unknown_field, known));
        }
        let (stream, partial_images) = self.stream()?;
        Ok(ImageRequest {
            prompt: self.prompt("prompt")?.ok_or_else(|| missing("prompt", "send a text that says what to draw"))?,
            negative_prompt: self.prompt("negative_prompt")?,
            model: self.name("model")?,
            n: self.whole("n", 1, u64::from(N_MAX))?.map_or(1, |n| n as u8),
            size: self.size()?,
            quality: self.word_or_auto("quality", Quality::ALL, Quality::as_str)?,
            response_format: self.word("response_format", ResponseFormat::ALL, ResponseFormat::as_str)?,
            output_format: self.word("output_format", &Format::ALL, Format::as_str)?,
            output_compression: self.whole("output_compression", 0, 100)?.map(|percent| percent as u8),
            background: self.word_or_auto("background", Background::ALL, Background::as_str)?,
            moderation: self.word_or_auto("moderation", Moderation::ALL, Moderation::as_str)?,
            style: self.word("style", Style::ALL, Style::as_str)?,
            complexity: self.word("complexity", Complexity::ALL, Complexity::as_str)?,
            seed: self.whole("seed", 0, u64::from(u32::MAX))?.map(|seed| seed as u32),
            user: self.name("user")?,
            stream,
            partial_images,
            edit: None,
            filled: Filled::default(),
        })
    }

    pub(super) fn get(&self, field: &str) -> Option<&FieldValue<'_>> {
        self.0.get(field).filter(|value| **value != FieldValue::Null)
    }

    /// Whether the answer is to be streamed, and with how many partial pictures. A stream carries base64 alone.
    pub(super) fn stream(&self) -> Result<(bool, u8), Error> {
        let stream = match self.get("stream") {
            None => false,
            Some(FieldValue::Bool(stream)) => *stream,
            Some(other) => return Err(wrong_type("stream", "true or false", other)),
        };
        let partial_images = self.whole("partial_images", 0, 3)?.map_or(0, |count| count as u8);
        if stream && self.text("response_format")? == Some("url") {
            let message = "A stream carries base64: leave 'response_format' out, or 'stream'.";
            return Err(Error::invalid("response_format", message).with_code("unsupported_value"));
        }
        // OpenAI's schema allows the number without a stream, where it means nothing.
        Ok((stream, if stream { partial_images } else { 0 }))
    }

    pub(super) fn text(&self, field: &'static str) -> Result<Option<&str>, Error> {
        match self.get(field) {
            None => Ok(None),
            Some(FieldValue::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(field, "a string", other)),
        }
    }

    /// A text in the caller's own words, which may as well be missing as be nothing. A size or a word of ours may not:
    /// who sends one means something.
    fn free_text(&self, field: &'static str) -> Result<Option<&str>, Error> {
        Ok(self.text(field)?.filter(|text| !text.trim().is_empty()))
    }

    pub(super) fn prompt(&self, field: &'static str) -> Result<Option<String>, Error> {
        let Some(text) = self.free_text(field)? else { return Ok(None) };
        let chars = text.chars().count();
        if chars > PROMPT_MAX_CHARS {
            return Err(Error::invalid(
                field,
                format!("'{field}' has {chars} characters; at most {PROMPT_MAX_CHARS} are read."),
            )
            .with_code("string_above_max_length"));
        }
        Ok(Some(text.to_owned()))
    }

    pub(super) fn name(&self, field: &'static str) -> Result<Option<String>, Error> {
        let Some(text) = self.free_text(field)? else { return Ok(None) };
        if text.len() > 256 || text.chars().any(char::is_control) {
            return Err(Error::invalid(
                field,
                format!("'{field}' must be printable characters, at most 256 bytes of them."),
            ));
        }
        Ok(Some(text.to_owned()))
    }

    pub(super) fn whole(&self, field: &'static str, least: u64, most: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let FieldValue::Number(number) = value else {
            return Err(wrong_type(field, "a whole number", value));
        };
        match number.as_u64().filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Error::invalid(
                field,
                format!("'{field}' must be a whole number from {least} to {most}, not {number}."),
            )),
        }
    }

    pub(super) fn size(&self) -> Result<Option<Size>, Error> {
        match self.text("size")? {
            None | Some("auto") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|why: BadSize| {
                let shown: String = text.chars().take(40).collect();
                Error::invalid("size", format!("'size' is '{shown}': {why}, or 'auto'.")).with_code("invalid_size")
            }),
        }
    }

    fn word_or_auto<T: Copy + FromStr>(
        &self,
        field: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, Error> {
        match self.text(field)? {
            Some("auto") => Ok(None),
            _ => self.choose(field, all, word, ", 'auto'"),
        }
    }

    pub(super) fn word<T: Copy + FromStr>(
        &self,
        field: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, Error> {
        self.choose(field, all, word, "")
    }

    fn choose<T: Copy + FromStr>(
        &self,
        field: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
        also: &str,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let choices: Vec<String> = all.iter().map(|choice| format!("'{}'", word(*choice))).collect();
            let shown: String = text.chars().take(40).collect();
            Error::invalid(field, format!("'{field}' is '{shown}': send one of {}{also}.", choices.join(", ")))
        })
    }
}

/// A 400 for a field that must be there.
pub(super) fn missing(field: &str, what_to_do: &str) -> Error {
    Error::invalid(field, format!("'{field}' is required: {what_to_do}.")).with_code("missing_required_parameter")
}

/// A name longer than this resembles no field; comparing takes time and memory by the product of both lengths.
pub(super) const RESEMBLES: usize = 40;

/// A 400 for a field that is none of `known`, with the nearest that is.
pub(super) fn unknown(field: &str, known: &[&str]) -> Error {
    let known_ones = if field.len() <= RESEMBLES { known } else { &[] };
    let nearest = known_ones.iter().map(|name| (strsim::osa_distance(name, field), name)).min();
    let nearest = nearest.filter(|(distance, _)| *distance <= 3);
    let help = match nearest {
        Some((_, name)) => format!("Did you mean '{name}'?"),
        None if known.len() <= 4 => format!("Send '{}' only.", known.join("', '")),
        None => "Remove it.".to_owned(),
    };
    let shown: String = field.chars().take(80).collect();
    Error::invalid(&shown, format!("Unknown parameter: '{shown}'. {help}")).with_code("unknown_parameter")
}

/// A 400 that names the field, what it should be and what it was.
pub(super) fn wrong_type(field: &str, wanted: impl Display, got: &FieldValue<'_>) -> Error {
    let message = format!("'{field}' must be {wanted}, not {}.", got.kind());
    Error::invalid(field, message).with_code("invalid_type")
}
