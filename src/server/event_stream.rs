//! The answer as a stream of server-sent events, in OpenAI's words (PROVIDERS.md 1.5).
//!
//! Each picture goes out as soon as it is there, whoever drew it and whether or not he can stream; comments fill long
//! silences. Nothing is sent before the first of these, so that a request which fails at once is still answered with
//! its own status, and one that is served at once with all its headers. An answer begun earlier tells the rest in
//! comments at its end. No `usage` is made up for pictures whose tokens nobody told.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cache::GeneratedPicture;
use crate::error::Error;
use crate::gateway::outcome::Outcome;
use crate::gateway::progress::{ProgressEvent, ProgressReceiver};
use crate::image::BodyChunks;
use crate::provider::Partial;
use crate::request::{Background, ImageRequest, Quality};
use crate::server::response;
use crate::server::response::Answer;
use crate::server::response_writer::ResponseWriter;

/// What is between an event and the next.
const END: &[u8] = b"\n\n";

/// A streamed answer.
pub struct Stream {
    /// How events are worded.
    pub events: Events,
    /// The longest silence.
    pub heartbeat: Duration,
}

impl Stream {
    /// Streams what `serving` draws. The answer is given back where nothing was sent before the outcome was there.
    /// An error is the client's, who left or takes nothing.
    pub async fn run(
        &self,
        to: &mut ResponseWriter<'_>,
        serving: impl Future<Output = Outcome>,
        mut progress: ProgressReceiver,
    ) -> (Outcome, pingora::Result<Option<Answer>>) {
        let mut serving = pin!(serving);
        let (mut begun, mut ended) = (false, None);
        loop {
            if let Some(outcome) = ended {
                let answer = match begun {
                    true => self.end(to, &outcome, &progress).await.map(|()| None),
                    false => Ok(Some(self.whole(&outcome))),
                };
                return (outcome, answer);
            }
            let parts = tokio::select! {
                biased;
                outcome = &mut serving => {
                    ended = Some(outcome);
                    continue;
                }
                event = progress.next() => self.events.shown(&event),
                () = sleep(self.heartbeat) => vec![Bytes::from_static(b": still drawing\n\n").into()],
            };
            let sent = self.send(to, parts, begun);
            if let Err(error) = alongside(sent, serving.as_mut(), &mut ended).await {
                // It is drawn to its end all the same, and its outcome is logged and counted.
                let outcome = match ended {
                    Some(outcome) => outcome,
                    None => serving.await,
                };
                return (outcome, Err(error));
            }
            begun = true;
        }
    }

    /// Sends these parts, after the head of the answer where it was not sent yet.
    async fn send(&self, to: &mut ResponseWriter<'_>, parts: Vec<BodyChunks>, begun: bool) -> pingora::Result<()> {
        if !begun {
            self.begin(to).await?;
        }
        to.body(parts, false).await
    }

    /// The answer to what was served at once.
    fn whole(&self, outcome: &Outcome) -> Answer {
        let mut answer = match &outcome.result {
            Ok(pictures) => Answer {
                status: 200,
                headers: vec![(CONTENT_TYPE, "text/event-stream".to_owned()), (CACHE_CONTROL, "no-store".to_owned())],
                body: pictures.iter().flat_map(|kept| self.events.completed(kept)).collect(),
            },
            Err(error) => Answer::error(error),
        };
        response::explain(outcome, &mut answer.headers);
        answer
    }

    async fn begin(&self, to: &mut ResponseWriter<'_>) -> pingora::Result<()> {
        let mut head = response::bare_head(StatusCode::OK);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match to.session().req_header().version {
            Version::HTTP_11 => drop(head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
            // Without chunks only the end of the connection can end the answer.
            Version::HTTP_10 => to.session().set_keepalive(None),
            _ => {}
        }
        to.head(head, false).await
    }

    /// What was not shown yet, and the rest of what there is to say.
    async fn end(
        &self,
        to: &mut ResponseWriter<'_>,
        outcome: &Outcome,
        progress: &ProgressReceiver,
    ) -> pingora::Result<()> {
        let mut parts: Vec<BodyChunks> = match &outcome.result {
            Ok(pictures) => progress.not_shown(pictures).iter().flat_map(|kept| self.events.completed(kept)).collect(),
            Err(error) => vec![failed(error).into()],
        };
        let mut headers = Vec::new();
        response::explain(outcome, &mut headers);
        let lines: String = headers.iter().map(|(name, value)| format!(": {name}: {value}\n")).collect();
        parts.push((lines + "\n").into());
        to.body(parts, true).await
    }
}

/// Waits for `sent` while the drawing goes on: a client that reads slowly must not hold up others who wait for the same
/// pictures.
async fn alongside<T>(
    sent: impl Future<Output = T>,
    mut serving: Pin<&mut impl Future<Output = Outcome>>,
    ended: &mut Option<Outcome>,
) -> T {
    let mut sent = pin!(sent);
    loop {
        tokio::select! {
            biased;
            sent = &mut sent => return sent,
            outcome = &mut serving, if ended.is_none() => *ended = Some(outcome),
        }
    }
}

/// How the events of one request are worded.
pub struct Events {
    operation: &'static str,
    size: String,
    quality: &'static str,
    background: &'static str,
}

impl Events {
    /// Events that echo what `request` asks; what it leaves open is `auto`.
    pub fn new(request: &ImageRequest) -> Events {
        Events {
            operation: if request.edit.is_some() { "image_edit" } else { "image_generation" },
            size: request.size.map_or("auto".to_owned(), |size| size.to_string()),
            quality: request.quality.map_or("auto", Quality::as_str),
            background: request.background.map_or("auto", Background::as_str),
        }
    }

    fn shown(&self, event: &ProgressEvent) -> Vec<BodyChunks> {
        match event {
            ProgressEvent::Picture(kept) => self.completed(kept),
            ProgressEvent::Partial(partial) => self.partial(partial),
        }
    }

    /// A finished picture, the base64 spliced in as it lies in the cache.
    fn completed(&self, kept: &Arc<GeneratedPicture>) -> Vec<BodyChunks> {
        let picture = &kept.picture;
        let mut rest = self.told(&picture.size.to_string(), Some(picture.format.as_str()));
        if let Some(revised) = &picture.revised_prompt {
            rest["revised_prompt"] = Value::from(revised.as_str());
        }
        self.event("completed", picture.as_base64(), &rest)
    }

    fn partial(&self, partial: &Partial) -> Vec<BodyChunks> {
        let mut rest = self.told(&self.size, partial.format);
        rest["partial_image_index"] = Value::from(partial.index);
        self.event("partial_image", partial.base64.clone().into(), &rest)
    }

    fn told(&self, size: &str, format: Option<&str>) -> Value {
        json!({
            "created_at": response::unix_seconds(),
            "size": size,
            "quality": self.quality,
            "background": self.background,
            "output_format": format.unwrap_or("png"),
        })
    }

    /// `rest` is an object with something in it.
    fn event(&self, what: &str, base64: BodyChunks, rest: &Value) -> Vec<BodyChunks> {
        let name = format!("{}.{what}", self.operation);
        let head = format!("event: {name}\ndata: {{\"type\":\"{name}\",\"b64_json\":\"");
        let rest = rest.to_string();
        let tail = format!("\",{}", rest.trim_start_matches('{'));
        vec![head.into(), base64, tail.into(), Bytes::from_static(END).into()]
    }
}

/// An error in a stream: OpenAI's event has its four keys; OpenAI's own client looks for them below `error`.
fn failed(error: &Error) -> Bytes {
    let object = response::error_object(error);
    let mut data = object.clone();
    data["error"] = object;
    Bytes::from(format!("event: error\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;

    fn events(body: &str) -> Events {
        Events::new(&ImageRequest::from_json(body.as_bytes()).unwrap())
    }

    /// The event's name and its data.
    fn read(parts: Vec<BodyChunks>) -> (String, Value) {
        let bytes: Vec<u8> = parts.into_iter().flat_map(|mut part| part.next(usize::MAX)).collect();
        let text = String::from_utf8(bytes).unwrap();
        let (name, data) = text.strip_suffix("\n\n").unwrap().split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    }

    #[test]
    fn a_finished_picture_is_told_as_openai_tells_it() {
        let picture = Picture {
            encoded: Encoded::Base64(Bytes::from_static(b"QUJD")),
            format: Format::Webp,
            size: Size::new(640, 384),
            revised_prompt: Some("a \"fox\"\n".to_owned()),
        };
        let kept = Arc::new(GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 1));
        let parts = events(r#"{"prompt":"x","size":"1024x1024","quality":"low"}"#).completed(&kept);
        let held = kept.picture.base64().as_ptr();
        let is_shared = |part: &BodyChunks| matches!(part, BodyChunks::Held(bytes) if bytes.as_ptr() == held);
        assert!(parts.iter().any(is_shared), "the base64 must be the cached bytes themselves");
        let (name, mut data) = read(parts);
        assert!(data["created_at"].take().is_u64());
        let told = json!({"type": "image_generation.completed", "b64_json": "QUJD", "created_at": null,
            "size": "640x384", "quality": "low", "background": "auto", "output_format": "webp",
            "revised_prompt": "a \"fox\"\n"});
        assert_eq!((name.as_str(), data), ("image_generation.completed", told));
    }

    #[test]
    fn an_unfinished_picture_has_its_index() {
        let partial = Partial { base64: Bytes::from_static(b"QUJD"), index: 2, format: Some("jpeg") };
        let (name, data) = read(events(r#"{"prompt":"x","background":"opaque"}"#).partial(&partial));
        assert_eq!(name, "image_generation.partial_image");
        assert_eq!((&data["partial_image_index"], &data["background"]), (&json!(2), &json!("opaque")));
        assert_eq!((&data["size"], &data["output_format"]), (&json!("auto"), &json!("jpeg")));
    }

    #[test]
    fn an_error_has_its_keys_where_the_document_and_where_the_client_look_for_them() {
        let (name, data) = read(vec![failed(&Error::new(ErrorKind::DeadlineExceeded, "late")).into()]);
        assert_eq!((name.as_str(), &data["message"]), ("error", &json!("late")));
        assert_eq!(data["error"]["code"], data["code"]);
    }
}
