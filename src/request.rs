//! What a caller may ask: OpenAI's image generation request, read and bounded.
//!
//! Every field of OpenAI's current Images API is known here, plus `seed` and `negative_prompt`. `null` means absent, and
//! so does a free text of nothing; in a form every text of nothing does, for that is what a field is sent as that was left
//! alone. An unknown field is an error that names it, and every bound is checked before anything is paid. Which provider
//! can do what is not decided here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::image::{Format, Size};
use crate::request::json::{Given, Shape, Unread};

mod edit;
mod feedback;
mod json;
mod options;

pub use crate::request::options::{
    Background, Complexity, Fidelity, Moderation, Quality, ResponseFormat, Style, Verdict,
};
pub use edit::{Draft, FormField};
pub use feedback::Feedback;

/// The longest prompt any model reads, in characters (OpenAI's GPT image models; PROVIDERS.md 1.1).
pub const PROMPT_MAX_CHARS: usize = 32_000;

/// Pictures one request may ask for.
pub const N_MAX: u8 = 10;

/// A picture the caller sent, checked: its bytes are a whole PNG, JPEG or WebP file of this size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file, untouched.
    pub bytes: Bytes,
    /// Sniffed from the bytes.
    pub format: Format,
    /// Measured from the bytes.
    pub size: Size,
    /// SHA-256 of the bytes, which stands for them in the cache's key: unlike XXH3's, nobody can make two files with
    /// the same one. Hashing takes longer than a connection should wait, so it is done here, where pictures are read.
    pub hash: [u8; 32],
}

impl Input {
    /// A picture that was checked already.
    pub fn new(bytes: Bytes, format: Format, size: Size) -> Input {
        let hash = Sha256::digest(&bytes).into();
        Input { bytes, format, size, hash }
    }
}

/// Which part of the first input picture is to change, in both polarities that vendors know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// As the caller sent it, OpenAI's way: a PNG whose transparent pixels are the ones to change.
    pub clear: Input,
    /// The same as a greyscale PNG: white is to change, black is to stay.
    pub white: Bytes,
}

/// What an edit starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// At least one picture, in the caller's order.
    pub images: Vec<Input>,
    /// The part to change; `None` leaves it to the model.
    pub mask: Option<Mask>,
    /// How closely to keep to the pictures.
    pub fidelity: Option<Fidelity>,
}

/// One image request, bounded but not yet given to a route. `None` is "absent", "null" or "auto".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRequest {
    /// What to draw; 1 to [`PROMPT_MAX_CHARS`] characters, not blank.
    pub prompt: String,
    /// What the picture must not show (extension).
    pub negative_prompt: Option<String>,
    /// A route's model name, or `provider/model` to pin one offer.
    pub model: Option<String>,
    /// Pictures wanted, 1 to [`N_MAX`].
    pub n: u8,
    /// Pixels wanted.
    pub size: Option<Size>,
    /// Effort wanted.
    pub quality: Option<Quality>,
    /// Link or base64, which is no part of what is drawn.
    pub response_format: Option<ResponseFormat>,
    /// File format wanted.
    pub output_format: Option<Format>,
    /// JPEG or WebP compression, 0 to 100.
    pub output_compression: Option<u8>,
    /// Background wanted.
    pub background: Option<Background>,
    /// Content filter wanted.
    pub moderation: Option<Moderation>,
    /// DALL-E 3 style.
    pub style: Option<Style>,
    /// gpt-image-2.6 complexity.
    pub complexity: Option<Complexity>,
    /// Draw the same again (extension); providers' ranges differ, 32 bits is common to all.
    pub seed: Option<u32>,
    /// The caller's own end-user name, handed to providers that take one.
    pub user: Option<String>,
    /// The answer as a stream of events.
    pub stream: bool,
    /// Unfinished versions of each picture to be shown in the stream, 0 to 3; 0 without a stream.
    pub partial_images: u8,
    /// What an edit starts from; `None` draws from the prompt alone.
    pub edit: Option<Edit>,
    /// What of it is not the caller's own.
    pub filled: Filled,
}

/// Which fields of a request hold what the route put there. It is part of no meaning: it only says whose mistake a
/// field can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Rewritten, or with the route's own words around it.
    pub prompt: bool,
    /// The route's default.
    pub size: bool,
    /// The route's default.
    pub quality: bool,
    /// The route's default.
    pub output_format: bool,
}

/// The fields a generation request may have.
const FIELDS: [&str; 17] = [
    "prompt",
    "model",
    "n",
    "size",
    "quality",
    "response_format",
    "output_format",
    "output_compression",
    "background",
    "moderation",
    "style",
    "complexity",
    "stream",
    "partial_images",
    "user",
    "seed",
    "negative_prompt",
];

impl ImageRequest {
    /// Reads a JSON body. Errors are 400s that name the field and say what to send.
    pub fn from_json(body: &[u8]) -> Result<ImageRequest, Error> {
        let shape = Shape { known: &FIELDS, pictures: None, example: EXAMPLE };
        Fields(object(body, shape)?.fields).read(&FIELDS)
    }
}

impl ImageRequest {
    /// Refuses wishes that exclude each other, a route's defaults among them: no vendor could meet both, so none is
    /// paid to try. `defaulted`: the format is the route's default.
    pub fn check_together(&self, defaulted: bool) -> Result<(), Error> {
        let Some(format) = self.output_format.filter(|format| !format.has_alpha()) else { return Ok(()) };
        if self.background != Some(Background::Transparent) {
            return Ok(());
        }
        let whose = if defaulted { "this route's default for 'output_format'" } else { "'output_format'" };
        let word = format.word();
        let message = format!(
            "'background' is 'transparent', and {whose} is '{word}', which cannot be: send 'output_format' 'png' or \
             'webp', or another 'background'."
        );
        Err(Error::invalid("background", message).with_code("invalid_value"))
    }
}

/// The least that can be asked.
const EXAMPLE: &str = "{\"prompt\": \"a red fox\"}";

/// The body's JSON object. Whatever else it is, or has, is told.
fn object(body: &[u8], shape: Shape) -> Result<json::Body<'_>, Error> {
    json::read(body, shape).map_err(|unread| match unread {
        Unread::Broken(error) => error,
        Unread::Unknown(field) => unknown(&field, shape.known),
    })
}

/// The object's fields, `null` counted as absent.
struct Fields<'a>(BTreeMap<Cow<'a, str>, Given<'a>>);

impl Fields<'_> {
    /// The request without pictures; `known` are the fields there may be.
    fn read(self, known: &[&str]) -> Result<ImageRequest, Error> {
        if let Some(stranger) = self.0.keys().find(|key| !known.contains(&&***key)) {
            return Err(unknown(stranger, known));
        }
        let (stream, partial_images) = self.stream()?;
        Ok(ImageRequest {
            prompt: self.prompt("prompt")?.ok_or_else(|| missing("prompt", "send a text that says what to draw"))?,
            negative_prompt: self.prompt("negative_prompt")?,
            model: self.name("model")?,
            n: self.whole("n", 1, u64::from(N_MAX))?.map_or(1, |n| n as u8),
            size: self.size()?,
            quality: self.word_or_auto("quality", Quality::ALL, Quality::word)?,
            response_format: self.word("response_format", ResponseFormat::ALL, ResponseFormat::word)?,
            output_format: self.word("output_format", &Format::ALL, Format::word)?,
            output_compression: self.whole("output_compression", 0, 100)?.map(|percent| percent as u8),
            background: self.word_or_auto("background", Background::ALL, Background::word)?,
            moderation: self.word_or_auto("moderation", Moderation::ALL, Moderation::word)?,
            style: self.word("style", Style::ALL, Style::word)?,
            complexity: self.word("complexity", Complexity::ALL, Complexity::word)?,
            seed: self.whole("seed", 0, u64::from(u32::MAX))?.map(|seed| seed as u32),
            user: self.name("user")?,
            stream,
            partial_images,
            edit: None,
            filled: Filled::default(),
        })
    }

    fn get(&self, field: &str) -> Option<&Given<'_>> {
        self.0.get(field).filter(|value| **value != Given::Null)
    }

    /// Whether the answer is to be streamed, and with how many partial pictures. A stream carries base64 alone.
    fn stream(&self) -> Result<(bool, u8), Error> {
        let stream = match self.get("stream") {
            None => false,
            Some(Given::Bool(stream)) => *stream,
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

    fn text(&self, field: &'static str) -> Result<Option<&str>, Error> {
        match self.get(field) {
            None => Ok(None),
            Some(Given::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(field, "a string", other)),
        }
    }

    /// A text in the caller's own words, which may as well be missing as be nothing. A size or a word of ours may not:
    /// who sends one means something.
    fn free_text(&self, field: &'static str) -> Result<Option<&str>, Error> {
        Ok(self.text(field)?.filter(|text| !text.trim().is_empty()))
    }

    fn prompt(&self, field: &'static str) -> Result<Option<String>, Error> {
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

    fn name(&self, field: &'static str) -> Result<Option<String>, Error> {
        let Some(text) = self.free_text(field)? else { return Ok(None) };
        if text.len() > 256 || text.chars().any(char::is_control) {
            return Err(Error::invalid(
                field,
                format!("'{field}' must be printable characters, at most 256 bytes of them."),
            ));
        }
        Ok(Some(text.to_owned()))
    }

    fn whole(&self, field: &'static str, least: u64, most: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let Given::Number(number) = value else {
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

    fn size(&self) -> Result<Option<Size>, Error> {
        match self.text("size")? {
            None | Some("auto") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|why: crate::image::BadSize| {
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

    fn word<T: Copy + FromStr>(
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
fn missing(field: &str, what_to_do: &str) -> Error {
    Error::invalid(field, format!("'{field}' is required: {what_to_do}.")).with_code("missing_required_parameter")
}

/// A name longer than this resembles no field; comparing takes time and memory by the product of both lengths.
const RESEMBLES: usize = 40;

/// A 400 for a field that is none of `known`, with the nearest that is.
fn unknown(field: &str, known: &[&str]) -> Error {
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
fn wrong_type(field: &str, wanted: impl Display, got: &Given<'_>) -> Error {
    let message = format!("'{field}' must be {wanted}, not {}.", got.kind());
    Error::invalid(field, message).with_code("invalid_type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<ImageRequest, Error> {
        ImageRequest::from_json(body.as_bytes())
    }

    #[test]
    fn a_bare_prompt_is_a_whole_request() {
        let request = read(r#"{"prompt":"a red fox"}"#).unwrap();
        assert_eq!(request.prompt, "a red fox");
        assert_eq!((request.n, request.size, request.response_format), (1, None, None));
    }

    #[test]
    fn null_and_auto_mean_absent() {
        let plain = read(r#"{"prompt":"x"}"#).unwrap();
        let spelled = read(
            r#"{"prompt":"x","n":null,"size":"auto","quality":"auto","background":"auto","moderation":"auto",
                "style":null,"seed":null,"stream":false,"partial_images":0,"user":null,"model":null}"#,
        )
        .unwrap();
        assert_eq!(plain, spelled);
    }

    #[test]
    fn null_means_absent_in_every_field_and_a_text_of_nothing_where_words_are_free() {
        let plain = read(r#"{"prompt":"x"}"#).unwrap();
        for field in FIELDS.into_iter().filter(|field| *field != "prompt") {
            let with = |given: &str| read(&format!(r#"{{"prompt":"x","{field}":{given}}}"#));
            assert_eq!(with("null").as_ref(), Ok(&plain), "{field}");
            for nothing in ["\"\"", "\" \\n\""] {
                match field {
                    "model" | "negative_prompt" | "user" => assert_eq!(with(nothing).as_ref(), Ok(&plain), "{field}"),
                    _ => assert_eq!(with(nothing).unwrap_err().param.as_deref(), Some(field), "{field}: {nothing}"),
                }
            }
        }
        for nothing in ["null", "\"\"", "\" \\n\""] {
            let error = read(&format!(r#"{{"prompt":{nothing}}}"#)).unwrap_err();
            assert_eq!((error.param.as_deref(), error.code()), (Some("prompt"), "missing_required_parameter"));
        }
    }

    #[test]
    fn every_parameter_is_read() {
        let request = read(
            r#"{"prompt":"x","negative_prompt":"text","model":"mockup","n":4,"size":"1536x1024","quality":"high",
                "response_format":"url","output_format":"webp","output_compression":80,"background":"transparent",
                "moderation":"low","style":"vivid","complexity":"low","seed":7,"user":"u-1"}"#,
        )
        .unwrap();
        assert_eq!(request.negative_prompt.as_deref(), Some("text"));
        assert_eq!((request.n, request.size), (4, Some(Size::new(1536, 1024))));
        assert_eq!((request.quality, request.output_format), (Some(Quality::High), Some(Format::Webp)));
        assert_eq!((request.output_compression, request.background), (Some(80), Some(Background::Transparent)));
        assert_eq!((request.moderation, request.style), (Some(Moderation::Low), Some(Style::Vivid)));
        assert_eq!((request.complexity, request.seed), (Some(Complexity::Low), Some(7)));
        assert_eq!(request.response_format, Some(ResponseFormat::Url));
    }

    #[test]
    fn each_mistake_names_its_field() {
        let long = format!(r#"{{"prompt":"{}"}}"#, "a".repeat(PROMPT_MAX_CHARS + 1));
        for (body, param) in [
            (r#"{}"#, "prompt"),
            (r#"{"prompt":"  "}"#, "prompt"),
            (r#"{"prompt":7}"#, "prompt"),
            (long.as_str(), "prompt"),
            (r#"{"prompt":"x","n":0}"#, "n"),
            (r#"{"prompt":"x","n":11}"#, "n"),
            (r#"{"prompt":"x","n":1.5}"#, "n"),
            (r#"{"prompt":"x","n":"2"}"#, "n"),
            (r#"{"prompt":"x","size":"0x0"}"#, "size"),
            (r#"{"prompt":"x","size":"banana"}"#, "size"),
            (r#"{"prompt":"x","quality":"best"}"#, "quality"),
            (r#"{"prompt":"x","output_compression":101}"#, "output_compression"),
            (r#"{"prompt":"x","seed":-1}"#, "seed"),
            (r#"{"prompt":"x","stream":1}"#, "stream"),
            (r#"{"prompt":"x","stream":true,"partial_images":4}"#, "partial_images"),
            (r#"{"prompt":"x","stream":true,"response_format":"url"}"#, "response_format"),
            (r#"{"prompt":"x","partial_images":4}"#, "partial_images"),
            (r#"{"prompt":"x","model":"a\nb"}"#, "model"),
            (r#"{"prompt":"x","sise":"1x1"}"#, "sise"),
        ] {
            let error = read(body).unwrap_err();
            assert_eq!((error.kind.status(), error.param.as_deref()), (400, Some(param)), "{body}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_the_nearest_known_one() {
        let error = read(r#"{"prompt":"x","respnse_format":"url"}"#).unwrap_err();
        assert_eq!(error.code(), "unknown_parameter");
        assert_eq!(error.message, "Unknown parameter: 'respnse_format'. Did you mean 'response_format'?");
    }

    #[test]
    fn a_name_of_megabytes_is_refused_without_being_compared_or_repeated() {
        for name in ["a".repeat(4 << 20), "\u{e9}".repeat(41), "respnse_format".repeat(3)] {
            let error = read(&format!("{{\"prompt\":\"x\",\"{name}\":1}}")).unwrap_err();
            assert_eq!(error.code(), "unknown_parameter");
            assert!(error.message.ends_with("Remove it.") && error.message.len() < 300, "{}", error.message);
        }
    }

    #[test]
    fn a_transparent_jpeg_is_refused_whoever_wished_for_jpeg() {
        let check = |more: &str, defaulted| {
            let request = read(&format!(r#"{{"prompt":"x"{more}}}"#)).unwrap();
            request.check_together(defaulted).map_err(|error| (error.param.clone().unwrap(), error.message))
        };
        let both = r#","background":"transparent","output_format":"jpeg""#;
        for (defaulted, words) in [(false, "'output_format' is 'jpeg'"), (true, "this route's default")] {
            let (param, message) = check(both, defaulted).unwrap_err();
            assert!(param == "background" && message.contains(words), "{message}");
        }
        for fine in [
            "",
            r#","background":"transparent""#,
            r#","background":"transparent","output_format":"webp""#,
            r#","background":"opaque","output_format":"jpeg""#,
        ] {
            assert_eq!(check(fine, false), Ok(()), "{fine}");
        }
    }

    #[test]
    fn what_is_not_a_json_object_is_told_so() {
        for body in ["", "{", "[]", "\"x\"", "{\"prompt\":\"x\"", "\u{0}"] {
            assert_eq!(read(body).unwrap_err().code(), "invalid_json", "{body:?}");
        }
    }
}
