//! What a caller may ask: OpenAI's image generation request, read and bounded.
//!
//! Every field of OpenAI's current Images API is known here, plus `seed` and `negative_prompt`. `null` means absent, and
//! so does a free text of nothing; in a form every text of nothing does, for that is what a field is sent as that was left
//! alone. An unknown field is an error that names it, and every bound is checked before anything is paid. Which provider
//! can do what is not decided here.

use crate::error::Error;
use crate::request::field_names::GENERATION_FIELDS;
use crate::request::fields::{EXAMPLE, Fields, object};
use crate::request::json_body::BodySchema;

mod edit;
mod feedback;
mod field_names;
mod fields;
mod image_request;
mod json_body;
mod option_enums;

pub use crate::request::image_request::{Edit, Filled, ImageRequest, Input, Mask, PROMPT_MAX_CHARS};
pub use crate::request::option_enums::{
    Background, Complexity, Fidelity, Moderation, Quality, ResponseFormat, Style, Verdict,
};
pub use edit::{EditDraft, FormField};
pub use feedback::Feedback;
pub use field_names::SENT_FIELDS;

impl ImageRequest {
    /// Reads a JSON body. Errors are 400s that name the field and say what to send.
    pub fn from_json(body: &[u8]) -> Result<ImageRequest, Error> {
        let schema = BodySchema { known: &GENERATION_FIELDS, pictures: None, example: EXAMPLE };
        Fields(object(body, schema)?.fields).read(&GENERATION_FIELDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::image::{Format, Size};

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
        for field in GENERATION_FIELDS.into_iter().filter(|field| *field != "prompt") {
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
