//! What a client says of a picture it was given: `{"image_id", "verdict", "reason"}`, read and bounded. Whether there
//! is such a picture is not known here.

use crate::error::Error;
use crate::request::fields::{Fields, missing, object};
use crate::request::json_body::BodySchema;
use crate::request::option_enums::Verdict;

/// The longest reason, in characters: a sentence or two for whoever reads the ledger.
pub const REASON_MAX_CHARS: usize = 1_000;

const FIELDS: [&str; 3] = ["image_id", "verdict", "reason"];

/// One verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// Which picture, as `x-easel-image-ids` named it.
    pub image_id: String,
    /// Whether it is good.
    pub verdict: Verdict,
    /// Why, in the client's words.
    pub reason: Option<String>,
}

impl Feedback {
    /// Reads a JSON body. Errors are 400s that name the field and say what to send.
    pub fn from_json(body: &[u8]) -> Result<Feedback, Error> {
        let example = "{\"image_id\": \"...\", \"verdict\": \"rejected\"}";
        let fields = Fields(object(body, BodySchema { known: &FIELDS, pictures: None, example })?.fields);
        let no_image = || missing("image_id", "send an id from the answer's x-easel-image-ids");
        let no_verdict = || missing("verdict", "send 'accepted' or 'rejected'");
        Ok(Feedback {
            image_id: fields.name("image_id")?.ok_or_else(no_image)?,
            verdict: fields.word("verdict", Verdict::ALL, Verdict::as_str)?.ok_or_else(no_verdict)?,
            reason: reason(&fields)?,
        })
    }
}

fn reason(fields: &Fields<'_>) -> Result<Option<String>, Error> {
    let Some(text) = fields.text("reason")? else { return Ok(None) };
    let chars = text.chars().count();
    if chars > REASON_MAX_CHARS {
        let message = format!("'reason' has {chars} characters; at most {REASON_MAX_CHARS} are kept.");
        return Err(Error::invalid("reason", message).with_code("string_above_max_length"));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_with_or_without_its_reason() {
        let read = |body: &str| Feedback::from_json(body.as_bytes()).unwrap();
        let plain = read(r#"{"image_id":"a1","verdict":"accepted","reason":null}"#);
        assert_eq!((plain.image_id.as_str(), plain.verdict, plain.reason), ("a1", Verdict::Accepted, None));
        let told = read(r#"{"image_id":"a1","verdict":"rejected","reason":"six fingers"}"#);
        assert_eq!((told.verdict, told.reason.as_deref()), (Verdict::Rejected, Some("six fingers")));
    }

    #[test]
    fn each_mistake_names_its_field_and_says_what_to_send() {
        let long = format!(r#"{{"image_id":"a","verdict":"rejected","reason":"{}"}}"#, "x".repeat(1001));
        for (body, param, word) in [
            (r#"{"verdict":"rejected"}"#, "image_id", "x-easel-image-ids"),
            (r#"{"image_id":7,"verdict":"rejected"}"#, "image_id", "a string"),
            (r#"{"image_id":"","verdict":"rejected"}"#, "image_id", "x-easel-image-ids"),
            (r#"{"image_id":"a\nb","verdict":"rejected"}"#, "image_id", "at most 256"),
            (r#"{"image_id":"a"}"#, "verdict", "'accepted' or 'rejected'"),
            (r#"{"image_id":"a","verdict":"bad"}"#, "verdict", "one of 'accepted', 'rejected'"),
            (r#"{"image_id":"a","verdict":"rejected","raeson":"x"}"#, "raeson", "Did you mean 'reason'?"),
            (r#"{"id":"a","verdict":"rejected"}"#, "id", "Send 'image_id', 'verdict', 'reason' only."),
            (long.as_str(), "reason", "at most 1000"),
        ] {
            let error = Feedback::from_json(body.as_bytes()).unwrap_err();
            assert_eq!((error.kind.status(), error.param.as_deref()), (400, Some(param)), "{body}");
            assert!(error.message.contains(word), "{body}: {}", error.message);
        }
        let error = Feedback::from_json(b"[]").unwrap_err();
        assert_eq!((error.code(), error.message.contains("image_id")), ("invalid_json", true));
    }
}
