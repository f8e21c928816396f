//! Reads a client's request body, bounded in bytes, alone and with all others, and in time.
//!
//! After a body that is too large, too slow, or has no end that is certain, nobody knows where the next request on its
//! connection begins: the connection is closed.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use pingora::ErrorType;
use pingora::proxy::Session;
use tokio::time::{Instant, timeout_at};

use crate::config::plan::Limits;
use crate::error::{Error, ErrorKind};
use crate::server::connections::CloseReason;
use crate::server::request_memory::{BodyReservation, RequestBody, RequestMemory};
use crate::server::watched_stream::{self, ByteMeter};

/// What may come with a chunked body besides its bytes: extensions of chunks and trailers, which nobody reads. As much
/// as Pingora takes of trailers.
const BESIDES: u64 = 64 * 1024;

/// The line before a chunk and its end, written out of all proportion: `0000000000000000` and twice CR LF.
const CHUNK: u64 = 20;

/// Pingora's buffer: what was read from the connection but is not looked at yet.
const AHEAD: u64 = 64 * 1024;

/// Sooner read than a connection is made anew.
const SMALL: usize = 64 * 1024;

/// As many bytes are progress: a client that sends fewer within `limits.body_timeout` is given up. With the default of
/// 30 s that is 546 bytes a second, and the bound that servers have for this (Apache's `MinRate`) is 500.
const PROGRESS: usize = 16 * 1024;

/// What Pingora calls a chunk that is none, and an end that is none.
const BROKEN: [&str; 2] = ["InvalidChunk", "InvalidTrailerEnd"];

/// What a passed-through body is refused with that brings too much besides its bytes.
const TOO_MUCH: ErrorType = ErrorType::new("TooMuchBesidesTheBody");

/// The whole body of at most `most` bytes, or the 4xx that says why not.
pub async fn read(
    session: &mut Session,
    most: usize,
    limits: &Limits,
    bodies: &Arc<RequestMemory>,
) -> Result<RequestBody, Error> {
    let presence = watched_stream::presence(session);
    let reading = presence.as_ref().map(|presence| presence.reads());
    let read = read_open(session, most, limits, bodies.room()).await;
    drop(reading);
    // Nobody is there for the answer any more, and nothing is to be paid for it.
    let read = if presence.is_some_and(|presence| presence.must_close()) { Err(made_room()) } else { read };
    if read.is_err() {
        session.set_keepalive(None);
    }
    read
}

/// Gets a session ready for an answer to an unknown client, nothing of whose body is read: its connection is closed.
pub fn leave(session: &mut Session) {
    session.set_keepalive(None);
}

/// Gets a session ready for an answer to a mistake in the head: a small body is read to nowhere, so that the connection
/// stays usable. It is closed before a larger one.
pub async fn skip(session: &mut Session, limits: &Limits, bodies: &Arc<RequestMemory>) {
    match declared_length(session) {
        Some(length) if length <= SMALL => drop(read(session, SMALL, limits, bodies).await),
        _ => leave(session),
    }
}

async fn read_open(
    session: &mut Session,
    most: usize,
    limits: &Limits,
    mut room: BodyReservation,
) -> Result<RequestBody, Error> {
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    invite(session).await;
    let mut whole = BodyProgress::Nothing;
    let (mut upload, body_timeout) = (ReceivedBody::begins(session), limits.body_timeout);
    let (mut progress, mut until) = (0, Instant::now() + body_timeout);
    loop {
        let piece = timeout_at(until, session.downstream_session.read_request_body()).await;
        let piece = piece.map_err(|_| too_slow(body_timeout))?.map_err(|error| unfinished(&error))?;
        let Some(piece) = piece else { break };
        upload.brings(piece.len())?;
        if whole.len() + piece.len() > most {
            return Err(too_large(most));
        }
        room.grow(piece.len(), limits.request_bodies)?;
        progress += piece.len();
        if progress >= PROGRESS {
            (progress, until) = (0, Instant::now() + body_timeout);
        }
        whole.add(piece, declared.unwrap_or_default());
    }
    if !upload.ended_plainly() {
        session.set_keepalive(None);
    }
    Ok(RequestBody::new(whole.done(), room))
}

/// A body that is being read.
enum BodyProgress {
    Nothing,
    /// Most bodies are one piece, which is not copied.
    Piece(Bytes),
    Pieces(BytesMut),
}

impl BodyProgress {
    fn len(&self) -> usize {
        match self {
            BodyProgress::Nothing => 0,
            BodyProgress::Piece(piece) => piece.len(),
            BodyProgress::Pieces(pieces) => pieces.len(),
        }
    }

    /// Adds a piece of a body that is said to have `declared` bytes. Room that is not written to is no memory yet.
    fn add(&mut self, piece: Bytes, declared: usize) {
        *self = match std::mem::replace(self, BodyProgress::Nothing) {
            BodyProgress::Nothing => BodyProgress::Piece(piece),
            BodyProgress::Piece(first) => {
                let mut pieces = BytesMut::with_capacity(declared.max(first.len() + piece.len()));
                pieces.extend_from_slice(&first);
                pieces.extend_from_slice(&piece);
                BodyProgress::Pieces(pieces)
            }
            BodyProgress::Pieces(mut pieces) => {
                pieces.extend_from_slice(&piece);
                BodyProgress::Pieces(pieces)
            }
        };
    }

    fn done(self) -> Bytes {
        match self {
            BodyProgress::Nothing => Bytes::new(),
            BodyProgress::Piece(piece) => piece,
            BodyProgress::Pieces(pieces) => pieces.freeze(),
        }
    }
}

fn made_room() -> Error {
    Error::busy("This connection made room for another while its body was read.")
        .with_code(CloseReason::MadeRoom.as_str())
}

fn too_slow(body_timeout: Duration) -> Error {
    let message = format!("Of the body, less than {PROGRESS} bytes came within {body_timeout:?}, and not its end.");
    Error::new(ErrorKind::InvalidRequest, message).with_code("body_timeout")
}

fn declared_length(session: &Session) -> Option<usize> {
    session.get_header(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Answers `Expect: 100-continue`, which Pingora leaves to whoever reads the body. Clients older than HTTP/1.1 would
/// take it for the answer (RFC 9110 section 10.1.1).
async fn invite(session: &mut Session) {
    let expects = session.get_header_bytes(http::header::EXPECT).eq_ignore_ascii_case(b"100-continue");
    if !expects || session.req_header().version != Version::HTTP_11 {
        return;
    }
    // Pingora counts the 1xx as an early response to an unfinished body and would end keep-alive for it.
    session.downstream_session.set_close_on_response_before_downstream_finish(false);
    if let Err(error) = session.downstream_session.write_continue_response().await {
        log::debug!("100-continue was not delivered: {error}");
    }
    session.downstream_session.set_close_on_response_before_downstream_finish(true);
}

/// A body on its way, and what comes with it.
pub struct ReceivedBody {
    meter: Option<Arc<ByteMeter>>,
    before: u64,
    body: u64,
    pieces: u64,
}

impl ReceivedBody {
    /// Counts from here on. Only a chunked body of HTTP/1.1 has anything besides itself.
    pub fn begins(session: &Session) -> ReceivedBody {
        let chunked = session.get_header(http::header::TRANSFER_ENCODING).is_some();
        let meter = if chunked { watched_stream::meter(session) } else { None };
        let before = meter.as_ref().map_or(0, |meter| meter.read());
        ReceivedBody { meter, before, body: 0, pieces: 0 }
    }

    /// Counts a piece of the body, which is of one chunk at most.
    ///
    /// # Errors
    /// When too much came besides the body.
    pub fn brings(&mut self, piece: usize) -> Result<(), Error> {
        self.body += piece as u64;
        self.pieces += 1;
        let read = self.meter.as_ref().map_or(0, |meter| meter.read()) - self.before;
        match read > self.body + self.pieces * CHUNK + BESIDES + AHEAD {
            true => Err(too_much_besides()),
            false => Ok(()),
        }
    }

    /// Whether the end of a chunked body was the last that came, in as many words as it needs. Pingora takes a line
    /// without a number for a zero, too, and what then follows for trailers, which another proxy may see otherwise.
    pub fn ended_plainly(&self) -> bool {
        self.meter.as_ref().is_none_or(|meter| meter.last().ends_with(b"\r\n0\r\n\r\n"))
    }

    /// The same as [`ReceivedBody::brings`] for a body that is passed through.
    ///
    /// # Errors
    /// When too much came besides the body.
    pub fn passes(&mut self, piece: usize) -> pingora::Result<()> {
        self.brings(piece).map_err(|error| pingora::Error::explain(TOO_MUCH, error.to_string()).into_down())
    }
}

/// What a client is told of a failure that is its body's; none where it is gone or has an answer already.
pub fn at_fault(error: &pingora::Error) -> Option<Error> {
    match error.etype() {
        etype if *etype == TOO_MUCH => Some(too_much_besides()),
        etype if BROKEN.contains(&etype.as_str()) => Some(unfinished(error)),
        ErrorType::ReadTimedout => Some(unfinished(error)),
        _ => None,
    }
}

fn unfinished(error: &pingora::Error) -> Error {
    let message = match BROKEN.contains(&error.etype().as_str()) {
        true => "The body is not chunked as RFC 9112 says, so its end cannot be found.",
        false => "The body ended before its announced length.",
    };
    Error::new(ErrorKind::InvalidRequest, message).with_code("body_incomplete").with_detail(error.to_string())
}

fn too_much_besides() -> Error {
    let message = format!("Extensions of chunks and trailers are not read: send less than {BESIDES} bytes of them.");
    Error::new(ErrorKind::InvalidRequest, message).with_code("body_incomplete")
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("The body is larger than the {limit} bytes this server reads."))
}
