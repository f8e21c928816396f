//! Writes a response to its client, piece by piece.
//!
//! A picture that has to be encoded is encoded piece by piece, each after the one before has been sent, so that a slow
//! reader costs no copy of the picture.
//!
//! A client that takes some of its answer, however little, gets the rest; Easel gives up one that takes nothing for
//! `limits.send_timeout`. An answer that cannot be sent to its end is never ended as if it were whole: Easel resets a
//! stream of HTTP/2, and closes a connection of HTTP/1.1 short of its length or its last chunk.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use http::response::Parts;
use http::{HeaderName, HeaderValue};
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

use crate::image::BodyChunks;
use crate::server::watched_stream;

/// The most that is sent at once over a connection that others share, or that has a time for each piece: few calls for
/// a picture, and no long wait. A connection of HTTP/1.1 that Easel's own [`watched_stream`] watches over takes what
/// there is at once, which costs a quarter less than pieces do.
const PIECE: usize = 256 * 1024;

/// Writes the answer to one request.
pub struct ResponseWriter<'a> {
    session: &'a mut Session,
    send_timeout: Duration,
    /// The body's way over HTTP/2, once its head is sent. Pingora's own way over it measures the time of a whole piece,
    /// and so the size of it.
    stream: Option<SendStream<Bytes>>,
    piece: usize,
    sent: usize,
    /// Headers that an answer has besides its own.
    more: &'a [(HeaderName, HeaderValue)],
}

impl<'a> ResponseWriter<'a> {
    /// A writer to the client of `session`, which may take nothing for as long as `send_timeout`.
    pub fn new(session: &'a mut Session, send_timeout: Duration) -> ResponseWriter<'a> {
        let watched = watched_stream::meter(session).is_some();
        if !watched {
            // In an embedder's server no `WatchedStream` watches the connection, so each piece has this time.
            session.set_write_timeout(Some(send_timeout));
        }
        let piece = if watched && !session.is_http2() { usize::MAX } else { PIECE };
        ResponseWriter { session, send_timeout, stream: None, piece, sent: 0, more: &[] }
    }

    /// The same with headers that the answer has besides its own.
    pub fn adding(mut self, more: &'a [(HeaderName, HeaderValue)]) -> ResponseWriter<'a> {
        self.more = more;
        self
    }

    /// The request's session.
    pub fn session(&mut self) -> &mut Session {
        self.session
    }

    /// Bytes of the body sent so far.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Sends an answer's head, and where it is `bare` nothing after it.
    pub async fn head(&mut self, mut head: Parts, bare: bool) -> Result<()> {
        for (name, value) in self.more {
            head.headers.insert(name, value.clone());
        }
        self.session.write_response_header(Box::new(head.into()), bare).await?;
        if bare {
            return self.session.write_response_body(None, true).await;
        }
        if let ServerSession::H2(session) = &mut *self.session.downstream_session {
            self.stream = session.take_response_body_writer();
        }
        Ok(())
    }

    /// Sends parts of the body; the last of them ends it where `end` says so.
    pub async fn body(&mut self, parts: Vec<BodyChunks>, end: bool) -> Result<()> {
        let mut parts = parts.into_iter().filter(|part| !part.is_empty()).peekable();
        if end && parts.peek().is_none() {
            return self.write(Bytes::new(), true).await;
        }
        while let Some(mut part) = parts.next() {
            while !part.is_empty() {
                let piece = part.next(self.piece);
                self.piece(piece, end && part.is_empty() && parts.peek().is_none()).await?;
            }
        }
        Ok(())
    }

    /// Sends a piece as the client takes it.
    async fn piece(&mut self, mut piece: Bytes, end: bool) -> Result<()> {
        while !piece.is_empty() {
            let room = self.room(piece.len()).await?;
            let taken = piece.split_to(room);
            self.write(taken, end && piece.is_empty()).await?;
        }
        Ok(())
    }

    /// How much of `wanted` may be sent now, once it is some.
    async fn room(&mut self, wanted: usize) -> Result<usize> {
        match &mut self.stream {
            Some(stream) => Ok(room(stream, wanted, self.send_timeout).await?.min(wanted)),
            None => Ok(wanted),
        }
    }

    async fn write(&mut self, piece: Bytes, end: bool) -> Result<()> {
        self.sent += piece.len();
        let failed = |error| Error::because(ErrorType::H2Error, "sending the body", error);
        match &mut self.stream {
            Some(stream) => stream.send_data(piece, end).map_err(failed),
            None => self.session.write_response_body(Some(piece), end).await,
        }
    }
}

/// Waits until the client takes more; how much, at most about `wanted`.
async fn room(stream: &mut SendStream<Bytes>, wanted: usize, send_timeout: Duration) -> Result<usize> {
    stream.reserve_capacity(wanted);
    let wait = async {
        loop {
            match stream.capacity() {
                0 => {}
                room => return Ok(room),
            }
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Error::e_because(ErrorType::H2Error, "waiting for the client", error),
                None => return Error::e_explain(ErrorType::H2Error, "the client closed the stream"),
            }
        }
    };
    let stalled = |_| Error::explain(ErrorType::WriteTimedout, format!("the client took nothing for {send_timeout:?}"));
    timeout(send_timeout, wait).await.map_err(stalled)?
}
