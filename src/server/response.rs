//! The one place that speaks HTTP back: outcomes and errors become status, headers and body.
//!
//! Bodies are lists of parts, so that a large base64 picture is written as it lies in the cache, never copied into a
//! new string, and one that is held in another form is turned into it while it is sent. Nothing here decides anything.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::response::Parts;
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::{ErrorType, OrErr};
use serde_json::{Value, json};

use crate::cache::GeneratedPicture;
use crate::config::plan::QualityCheck;
use crate::error::{Error, ErrorKind};
use crate::gateway::outcome::Outcome;
use crate::image::{BodyChunks, Format};
use crate::request::ResponseFormat;
use crate::server::response_writer::ResponseWriter;
use crate::server::{easel_headers, request_id};

/// Sizes that OpenAI's published `ImagesResponse` schema allows in `size`; any other is told in `x-easel-size` only.
const SCHEMA_SIZES: [&str; 3] = ["1024x1024", "1024x1536", "1536x1024"];

/// What OpenAI's clients go by before they look at the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Headers that most answers have at the most: a picture's has eleven of its own, and two more of each its request's id,
/// what browsers need, and Pingora.
const HEADERS: usize = 17;

/// A whole answer, ready to be written.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers besides `content-length`.
    pub headers: Vec<(HeaderName, String)>,
    /// The body in parts.
    pub body: Vec<BodyChunks>,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Answer {
        Answer {
            status,
            headers: vec![(CONTENT_TYPE, "application/json".to_owned())],
            body: vec![value.to_string().into()],
        }
    }

    /// An error in OpenAI's shape.
    pub fn error(error: &Error) -> Answer {
        let mut answer = Answer::json(error.kind.status(), &json!({"error": error_object(error)}));
        if !error.kind.worth_retrying() {
            // OpenAI's client would otherwise retry every 409 and 429.
            answer.headers.push((SHOULD_RETRY, "false".to_owned()));
        }
        if let Some(after) = error.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            answer.headers.push((RETRY_AFTER, seconds.to_string()));
        }
        if error.kind == ErrorKind::WrongMethod {
            answer.headers.push((ALLOW, error.detail.clone().unwrap_or_default()));
        }
        answer
    }

    /// Bytes in all.
    pub fn length(&self) -> usize {
        self.body.iter().map(BodyChunks::len).sum()
    }

    /// The whole body, of an answer that is short.
    fn whole(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.length());
        for mut part in self.body.iter().cloned() {
            while !part.is_empty() {
                whole.extend_from_slice(&part.next(usize::MAX));
            }
        }
        whole
    }

    /// The head.
    fn head(&self) -> pingora::Result<Parts> {
        let mut head = bare_head(StatusCode::from_u16(self.status).or_err(ErrorType::InvalidHTTPHeader, "a status")?);
        if self.status != 204 {
            head.headers.insert(CONTENT_LENGTH, self.length().into());
        }
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value).or_err(ErrorType::InvalidHTTPHeader, "the value of a header")?;
            head.headers.insert(name, value);
        }
        Ok(head)
    }

    /// Writes the answer. `head_only`: headers as for GET, without the body.
    pub async fn write(self, to: &mut ResponseWriter<'_>, head_only: bool) -> pingora::Result<()> {
        let head = self.head()?;
        let bare = head_only || self.body.iter().all(BodyChunks::is_empty);
        to.head(head, bare).await?;
        if bare { Ok(()) } else { to.body(self.body, true).await }
    }
}

/// A head with this status and no headers yet. Heads are put together by hand because Pingora's own way parses each
/// name and keeps it twice.
pub fn bare_head(status: StatusCode) -> Parts {
    let mut head = http::Response::new(()).into_parts().0;
    head.status = status;
    head.headers = HeaderMap::with_capacity(HEADERS);
    head
}

/// Answers on a connection of HTTP/1.1 no request of which was taken, and closes it.
pub async fn refuse(stream: Stream, error: &Error) {
    let answer = Answer::error(error);
    let mut session = ServerSession::new_http1(stream);
    let written = async {
        let mut head = ResponseHeader::from(answer.head()?);
        request_id::tell(&mut head, &request_id::new())?;
        session.write_error_response(head, answer.whole().into()).await
    };
    if let Err(error) = written.await {
        log::debug!("a refusal was not delivered: {error}");
    }
    session.shutdown().await;
}

/// What OpenAI says of an error, all four keys always there.
pub fn error_object(error: &Error) -> Value {
    json!({
        "message": error.message,
        "type": error.kind.openai_type(),
        "param": error.param,
        "code": error.code(),
    })
}

/// The answer to an image request. `link` makes the link of a picture file by its name, for [`ResponseFormat::Url`].
pub fn images(outcome: &Outcome, link: &dyn Fn(&str) -> String) -> Answer {
    let mut answer = match &outcome.result {
        Ok(pictures) => Answer {
            status: 200,
            headers: vec![(CONTENT_TYPE, "application/json".to_owned())],
            body: picture_list(pictures, outcome.format, link),
        },
        Err(error) => Answer::error(error),
    };
    explain(outcome, &mut answer.headers);
    answer
}

/// The headers that say what happened. Which request it was is told by its id in every answer, whatever it is.
pub fn explain(outcome: &Outcome, headers: &mut Vec<(HeaderName, String)>) {
    let Some(route) = &outcome.route else { return };
    headers.push((easel_headers::ROUTE, easel_headers::name(route)));
    headers.push((easel_headers::CACHE, outcome.cache.as_str().to_owned()));
    if !outcome.near.is_empty() {
        let differences = outcome.near.iter().map(|words| easel_headers::name(words));
        headers.push((easel_headers::NEAR, easel_headers::list(differences)));
    }
    if let Some(similarity) = outcome.similarity {
        headers.push((easel_headers::SIMILARITY, similarity.to_string()));
    }
    if let Some(key_use) = outcome.idempotency {
        headers.push((easel_headers::IDEMPOTENCY, key_use.as_str().to_owned()));
    }
    headers.push((easel_headers::COST, outcome.cost.to_string()));
    headers.push((easel_headers::LITELLM_COST, outcome.cost.to_string()));
    headers.push((easel_headers::ATTEMPTS, outcome.attempts.to_string()));
    if let Some((offer, word)) = &outcome.enriched {
        headers.push((easel_headers::ENRICHED, easel_headers::about(offer, word)));
    }
    let skipped =
        easel_headers::list(outcome.skipped.iter().map(|(offer, reason)| easel_headers::about(offer, reason)));
    let failed =
        easel_headers::list(outcome.failed_offers().iter().map(|(offer, how)| easel_headers::about(offer, how)));
    let adjusted = easel_headers::list(outcome.adjusted().into_iter().map(easel_headers::name));
    let lists =
        [(easel_headers::SKIPPED, skipped), (easel_headers::FAILED, failed), (easel_headers::ADJUSTED, adjusted)];
    for (name, value) in lists {
        if !value.is_empty() {
            headers.push((name, value));
        }
    }
    let Ok(pictures) = &outcome.result else { return };
    let served_by =
        outcome.served_by().into_iter().map(|(offer, count)| easel_headers::about(offer, &count.to_string()));
    headers.push((easel_headers::SERVED_BY, easel_headers::list(served_by)));
    headers.push((easel_headers::IMAGE_IDS, easel_headers::list(pictures.iter().map(|kept| kept.id.to_string()))));
    for (name, checks) in [(easel_headers::FLAGGED, outcome.flagged()), (easel_headers::REJECTED, outcome.rejected())] {
        if !checks.is_empty() {
            let words =
                |checks: &[QualityCheck]| checks.iter().map(|check| check.as_str()).collect::<Vec<_>>().join("+");
            let told = checks.into_iter().map(|(nth, checks)| easel_headers::about(&nth.to_string(), &words(checks)));
            headers.push((name, easel_headers::list(told)));
        }
    }
    if let Some(size) = common(pictures.iter().map(|kept| kept.picture.size)) {
        headers.push((easel_headers::SIZE, size.to_string()));
    }
    if pictures.len() < usize::from(outcome.wanted) {
        headers.push((easel_headers::PARTIAL, format!("{}/{}", pictures.len(), outcome.wanted)));
    }
}

fn common<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// OpenAI's `ImagesResponse`, the base64 spliced in between.
fn picture_list(
    pictures: &[Arc<GeneratedPicture>],
    format: ResponseFormat,
    link: &dyn Fn(&str) -> String,
) -> Vec<BodyChunks> {
    let mut parts = Vec::with_capacity(pictures.len() * 2 + 1);
    let mut text = format!("{{\"created\":{},\"data\":[", unix_seconds());
    for (index, kept) in pictures.iter().enumerate() {
        text.push_str(if index == 0 { "{" } else { ",{" });
        match format {
            ResponseFormat::B64Json => {
                text.push_str("\"b64_json\":\"");
                parts.push(std::mem::take(&mut text).into());
                parts.push(kept.picture.as_base64());
                text.push('"');
            }
            ResponseFormat::Url => {
                let link = Value::String(link(&file_name(kept)));
                // Writing to a String cannot fail.
                let _ = write!(text, "\"url\":{link}");
            }
        }
        if let Some(revised) = &kept.picture.revised_prompt {
            let _ = write!(text, ",\"revised_prompt\":{}", Value::String(revised.clone()));
        }
        text.push('}');
    }
    text.push(']');
    if let Some(size) = common(pictures.iter().map(|kept| kept.picture.size.to_string()))
        && SCHEMA_SIZES.contains(&size.as_str())
    {
        let _ = write!(text, ",\"size\":\"{size}\"");
    }
    if let Some(format) = common(pictures.iter().map(|kept| kept.picture.format)) {
        let _ = write!(text, ",\"output_format\":\"{}\"", format.as_str());
    }
    text.push('}');
    parts.push(text.into());
    parts
}

/// The file name behind a picture's link: its id and its real type.
pub fn file_name(kept: &GeneratedPicture) -> String {
    format!("{}.{}", kept.id, kept.picture.format.as_str())
}

/// The answer with a picture's own bytes.
pub fn file(kept: &GeneratedPicture, good_for: Duration) -> Answer {
    Answer {
        status: 200,
        headers: vec![
            (CONTENT_TYPE, kept.picture.format.media_type().to_owned()),
            (CACHE_CONTROL, format!("private, max-age={}, immutable", good_for.as_secs())),
            (ETAG, format!("\"{}\"", kept.id)),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ],
        body: vec![kept.picture.as_file()],
    }
}

/// The list of models, OpenAI's shape.
pub fn models(names: &[&str]) -> Answer {
    let data: Vec<Value> = names.iter().map(|name| model(name)).collect();
    Answer::json(200, &json!({"object": "list", "data": data}))
}

/// One model, OpenAI's shape.
pub fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "easel"})
}

/// Splits a picture file's name into id and format; anything else is no picture.
pub fn parse_file_name(name: &str) -> Option<(&str, Format)> {
    let (id, extension) = name.split_once('.')?;
    let plain = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { extension.parse().ok().map(|format| (id, format)) } else { None }
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::gateway::outcome::CacheUse;
    use crate::image::{Encoded, Picture, Size};
    use crate::money::Usd;

    fn kept(size: Size, revised_prompt: Option<&str>) -> Arc<GeneratedPicture> {
        let picture = Picture {
            encoded: Encoded::Base64(Bytes::from_static(b"QUJD")),
            format: Format::Png,
            size,
            revised_prompt: revised_prompt.map(str::to_owned),
        };
        let adjusted = Arc::new(["size 1x1 -> 2x2".to_owned()]);
        Arc::new(GeneratedPicture { adjusted, ..GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 1) })
    }

    fn outcome(pictures: Vec<Arc<GeneratedPicture>>, wanted: u8) -> Outcome {
        Outcome {
            version: 1,
            route: Some("r".into()),
            cache: CacheUse::Miss,
            near: Vec::new(),
            similarity: None,
            joined: None,
            idempotency: None,
            cost: "0.009".parse().unwrap(),
            attempts: 2,
            calls: Vec::new(),
            under_way: Vec::new(),
            skipped: vec![("q/m".into(), "over_price")],
            not_needed: Vec::new(),
            enriched: Some(("c/h".into(), "timeout")),
            wanted,
            format: ResponseFormat::B64Json,
            steps: Vec::new(),
            result: Ok(pictures),
        }
    }

    fn answer(outcome: &Outcome, format: ResponseFormat) -> (Answer, Value) {
        let link = |name: &str| format!("http://e/{name}");
        let outcome = Outcome { format, ..outcome.clone() };
        let answer = images(&outcome, &link);
        let value = serde_json::from_slice(&answer.whole()).unwrap();
        (answer, value)
    }

    #[test]
    fn base64_is_spliced_and_revised_prompts_are_escaped() {
        let pictures = vec![kept(Size::new(1024, 1024), Some("a \"fox\"\n")), kept(Size::new(1024, 1024), None)];
        let (answer, value) = answer(&outcome(pictures.clone(), 3), ResponseFormat::B64Json);
        assert_eq!(value["data"][0], json!({"b64_json": "QUJD", "revised_prompt": "a \"fox\"\n"}));
        assert_eq!(value["data"][1], json!({"b64_json": "QUJD"}));
        assert_eq!((&value["size"], &value["output_format"]), (&json!("1024x1024"), &json!("png")));
        let is_shared = |part: &BodyChunks| matches!(part, BodyChunks::Held(bytes) if bytes.as_ptr() == pictures[0].picture.base64().as_ptr());
        assert!(answer.body.iter().any(is_shared), "the base64 must be the cached bytes themselves");
        let header = |name| answer.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        assert_eq!(header("x-easel-partial"), Some("2/3"));
        assert_eq!(header("x-easel-served-by"), Some("p/m=2"));
        assert_eq!(header("x-easel-cost-usd"), Some("0.009"));
        assert_eq!(header("x-easel-skipped"), Some("q/m=over_price"));
        assert_eq!(header("x-easel-enriched"), Some("c/h=timeout"));
        assert_eq!(header("x-easel-adjusted"), Some("size 1x1 -> 2x2"));
    }

    #[test]
    fn a_link_names_the_picture_by_id_and_type_and_an_odd_size_stays_out_of_the_body() {
        let picture = kept(Size::new(640, 384), None);
        let (answer, value) = answer(&outcome(vec![picture.clone()], 1), ResponseFormat::Url);
        assert_eq!(value["data"][0], json!({"url": format!("http://e/{}.png", picture.id)}));
        assert_eq!(value.get("size"), None);
        assert!(answer.headers.contains(&(easel_headers::SIZE, "640x384".to_owned())));
    }

    #[test]
    fn every_error_has_openais_four_keys() {
        let error = Error::invalid("size", "no").with_code("invalid_size");
        let answer = Answer::error(&error);
        let value: Value = serde_json::from_slice(&answer.whole()).unwrap();
        let shape = json!({"message": "no", "type": "invalid_request_error", "param": "size", "code": "invalid_size"});
        assert_eq!((answer.status, &value["error"]), (400, &shape));
        assert!(answer.headers.contains(&(SHOULD_RETRY, "false".to_owned())));
        let busy = Error::new(ErrorKind::Busy, "x").with_retry_after(Duration::from_millis(1200));
        assert!(Answer::error(&busy).headers.contains(&(RETRY_AFTER, "2".to_owned())));
    }

    #[test]
    fn only_a_plain_id_with_a_known_type_is_a_file_name() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(parse_file_name(&format!("{id}.png")), Some((id, Format::Png)));
        for name in [id.to_owned(), format!("{id}.exe"), format!("../{id}.png"), format!("{}.png", id.to_uppercase())] {
            assert_eq!(parse_file_name(&name), None, "{name}");
        }
    }
}
