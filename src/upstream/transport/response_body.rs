//! Reading a reply's body: whole, or event by event.
//!
//! What is paid for is not thrown away for how it ends: a body that was cut off, or never ends, counts if nothing is
//! missing of what it holds, and of a stream that breaks off the events before that.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, header};
use pingora::protocols::http::v1::client::HttpSession;
use serde::de::IgnoredAny;
use sse_stream::{Sse, SseByteStream};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::image::{Encoded, Picture};
use crate::provider::is_event_stream;
use crate::upstream::offload::offload;
use crate::upstream::transport::body_buffer::BufferedBody;
use crate::upstream::transport::bounds::{Bounds, EventRole, Watcher};
use crate::upstream::transport::content_encoding::{BodyDecoder, Coding};
use crate::upstream::transport::error::TransportError;
use crate::upstream::transport::reply_memory::ReplyReservation;

/// How long the end of a stream is waited for behind its last event; the connection is of use again only then.
const AFTER_THE_LAST: Duration = Duration::from_secs(1);

/// Bytes of a packed body that are unpacked before others have their turn. They come to a megabyte at the most.
const STEP: usize = 1024;

/// How often an event is in memory while it is put together.
const COPIES_OF_AN_EVENT: usize = 2;

/// A reply's body, unpacked.
pub struct ResponseBody {
    pub bytes: Bytes,
    /// Whether its framing came to an end too; else the connection is of no more use.
    pub ended: bool,
}

/// A body that is being read.
struct BodyReader<'a> {
    session: &'a mut HttpSession,
    unpacking: BodyDecoder,
    is_packed: bool,
    /// Its length as the header says.
    declared: Option<usize>,
    /// Bytes that came over the wire.
    came: usize,
    held: &'a mut ReplyReservation,
    /// How often what was read is in memory.
    copies: usize,
    /// When to make do with what there is.
    until: Instant,
}

/// What a read came to.
enum ReadProgress {
    Some,
    /// Nothing more will.
    End,
}

/// The body of the answer, counted by `held`.
pub async fn reply(
    session: &mut HttpSession,
    headers: &HeaderMap,
    bounds: Bounds,
    held: &mut ReplyReservation,
    watcher: Option<&Watcher>,
) -> Result<ResponseBody, TransportError> {
    let coding = Coding::of(headers)?;
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bounds.body) {
        return Err(TransportError::TooLarge);
    }
    let unpacking = BodyDecoder::new(coding, bounds.body, declared);
    let (is_packed, until) = (coding != Coding::Identity, bounds.give_up());
    let reading = BodyReader { session, unpacking, is_packed, declared, came: 0, held, copies: 1, until };
    match watcher.filter(|_| is_event_stream(headers)) {
        Some(watcher) => read_stream(reading, watcher).await,
        None => read_body(reading).await,
    }
}

impl BodyReader<'_> {
    /// Reads on, and waits until there is room for what came.
    async fn more(&mut self) -> Result<ReadProgress, TransportError> {
        let read = timeout_at(self.until, self.session.read_body_ref()).await;
        let Some(piece) = read.map_err(|_| TransportError::TimedOut { sent: true })?.map_err(broken)? else {
            return Ok(ReadProgress::End);
        };
        self.came += piece.len();
        for part in piece.chunks(if self.is_packed { STEP } else { usize::MAX }) {
            self.unpacking.push(part)?;
            let more = (self.unpacking.unpacked() * self.copies).saturating_sub(self.held.bytes());
            let room = timeout_at(self.until, self.held.grow(more)).await;
            room.map_err(|_| TransportError::TimedOut { sent: true })?;
            if self.is_packed {
                yield_now().await;
            }
        }
        Ok(ReadProgress::Some)
    }
}

/// How a connection ended before the reply was whole.
pub fn broken(error: Box<pingora::Error>) -> TransportError {
    match error.etype() {
        pingora::ErrorType::ReadTimedout => TransportError::TimedOut { sent: true },
        _ => TransportError::Lost(error.to_string()),
    }
}

/// The whole body in one buffer. One that was cut off, or never ended, counts if nothing is missing of what it holds:
/// it may be paid for.
async fn read_body(mut reading: BodyReader<'_>) -> Result<ResponseBody, TransportError> {
    let trouble = loop {
        match reading.more().await {
            Ok(ReadProgress::Some) => {}
            Ok(ReadProgress::End) if reading.declared.is_some_and(|declared| declared != reading.came) => {
                break TransportError::Lost("the reply ended before its length".to_owned());
            }
            Ok(ReadProgress::End) => {
                return Ok(ResponseBody { bytes: whole(reading.unpacking.finish()?).await, ended: true });
            }
            Err(trouble @ (TransportError::TooLarge | TransportError::Unreadable(_))) => return Err(trouble),
            Err(trouble) => break trouble,
        }
    };
    let bytes = whole(reading.unpacking.take()?).await;
    let looked_at = bytes.clone();
    if !offload(bytes.len(), move || is_whole(&looked_at)).await {
        return Err(trouble);
    }
    log::warn!("a reply was cut off behind its last byte: {trouble:?}");
    Ok(ResponseBody { bytes, ended: false })
}

/// Whether nothing is missing of a body by what it holds: JSON to its last bracket, or a picture's whole file.
fn is_whole(body: &Bytes) -> bool {
    match begins_as_json(body) {
        Some(true) => serde_json::from_slice::<IgnoredAny>(body).is_ok(),
        Some(false) => Picture::inspect(Encoded::Raw(body.clone())).is_ok(),
        None => false,
    }
}

/// Whether a body is JSON by its first byte; `None` while there is none but white space.
fn begins_as_json(body: &[u8]) -> Option<bool> {
    body.trim_ascii_start().first().map(|first| matches!(first, b'{' | b'['))
}

/// A body that is called a stream of events. Some servers call their JSON so, since it was a stream that was asked for;
/// no line of events begins like that.
async fn read_stream(mut reading: BodyReader<'_>, watcher: &Watcher) -> Result<ResponseBody, TransportError> {
    let is_json = loop {
        if let Some(is_json) = begins_as_json(reading.unpacking.start()?) {
            break is_json;
        }
        if let ReadProgress::End = reading.more().await? {
            break false;
        }
    };
    if is_json { read_body(reading).await } else { read_events(reading, watcher).await }
}

/// The data of a stream's events, one after the other, without those that were good only for the watcher. Of a stream
/// that breaks off, the events before that count: each was whole, and what it brought may be paid for.
async fn read_events(mut reading: BodyReader<'_>, watcher: &Watcher) -> Result<ResponseBody, TransportError> {
    reading.copies = COPIES_OF_AN_EVENT;
    let mut until = reading.until;
    let mut events = pin!(SseByteStream::new(pieces(reading)));
    let mut kept = Vec::new();
    let trouble = loop {
        match timeout_at(until, events.next()).await {
            Ok(Some(Ok(Sse { data: Some(data), .. }))) => {
                let shown = watcher.clone();
                let (seen, data) = offload(data.len(), move || (shown(&data), data)).await;
                if seen != EventRole::Shown {
                    kept.push(data);
                }
                if seen == EventRole::Last {
                    until = until.min(Instant::now() + AFTER_THE_LAST);
                }
            }
            Ok(Some(Ok(_))) => {}
            Ok(None) => return Ok(ResponseBody { bytes: joined(kept).await, ended: true }),
            Ok(Some(Err(sse_stream::Error::Body(error)))) => break trouble(&*error),
            Ok(Some(Err(error))) => break TransportError::Lost(error.to_string()),
            Err(_) => break TransportError::TimedOut { sent: true },
        }
    };
    if kept.is_empty() || trouble == TransportError::TooLarge {
        return Err(trouble);
    }
    log::warn!("a stream broke off behind whole events: {trouble:?}");
    Ok(ResponseBody { bytes: joined(kept).await, ended: false })
}

/// Events one after the other, each on a line of its own. One alone, which is most of them, is not copied.
async fn joined(mut events: Vec<String>) -> Bytes {
    match events.len() {
        1 => whole(events.swap_remove(0).into()).await,
        _ => {
            let bytes = events.iter().map(String::len).sum();
            offload(bytes, move || events.join("\n").into()).await
        }
    }
}

/// A body in one buffer.
async fn whole(body: BufferedBody) -> Bytes {
    offload(body.len(), move || body.whole()).await
}

/// The body in pieces. Boxed, because the compiler cannot see through it that it may move to another thread.
fn pieces<'a>(reading: BodyReader<'a>) -> BoxStream<'a, std::io::Result<Bytes>> {
    Box::pin(stream::try_unfold(Some(reading), next_piece))
}

/// The next piece of the body, as long as all of them are within the limit; what was read before comes first.
async fn next_piece(reading: Option<BodyReader<'_>>) -> std::io::Result<Option<(Bytes, Option<BodyReader<'_>>)>> {
    let Some(mut reading) = reading else { return Ok(None) };
    let before = reading.unpacking.take().map_err(|error| Broken(error.into()))?;
    if before.len() > 0 {
        return Ok(Some((before.whole(), Some(reading))));
    }
    match reading.more().await.map_err(Broken)? {
        ReadProgress::Some => {
            let piece = reading.unpacking.take().map_err(|error| Broken(error.into()))?;
            Ok(Some((piece.whole(), Some(reading))))
        }
        ReadProgress::End => {
            let rest = reading.unpacking.finish().map_err(|error| Broken(error.into()))?;
            Ok(Some((rest.whole(), None)))
        }
    }
}

/// TransportError on its way through the reader of events.
#[derive(Debug)]
struct Broken(TransportError);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Broken {}

impl From<Broken> for std::io::Error {
    fn from(broken: Broken) -> std::io::Error {
        std::io::Error::other(broken)
    }
}

/// The trouble that came through the reader of events.
fn trouble(error: &(dyn std::error::Error + 'static)) -> TransportError {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match inner.and_then(|inner| inner.downcast_ref::<Broken>()) {
        Some(Broken(trouble)) => trouble.clone(),
        None => TransportError::Lost(error.to_string()),
    }
}
