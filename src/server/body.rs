//! Reads a client's request body, bounded in bytes and in time.
//!
//! A body that is too large or too slow is refused; what of it was not read closes the connection, because HTTP/1.1
//! leaves no other way to find the next request.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora::proxy::Session;
use tokio::time::timeout;

use crate::error::{Error, Kind};

/// The whole body, or the 4xx that says why not.
pub async fn read(session: &mut Session, limit: usize, patience: Duration) -> Result<Bytes, Error> {
    if declared_length(session).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    invite(session).await;
    match timeout(patience, collect(session, limit)).await {
        Ok(read) => read,
        Err(_) => {
            let message = format!("The body did not arrive within {} s.", patience.as_secs());
            Err(Error::new(Kind::InvalidRequest, message).with_code("body_timeout"))
        }
    }
}

fn declared_length(session: &Session) -> Option<usize> {
    session.get_header(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Answers `Expect: 100-continue`, which Pingora leaves to whoever reads the body.
async fn invite(session: &mut Session) {
    let expects = session.get_header_bytes(http::header::EXPECT).eq_ignore_ascii_case(b"100-continue");
    if !expects {
        return;
    }
    // Pingora counts the 1xx as an early response to an unfinished body and would end keep-alive for it.
    session.downstream_session.set_close_on_response_before_downstream_finish(false);
    if let Err(error) = session.downstream_session.write_continue_response().await {
        log::debug!("100-continue was not delivered: {error}");
    }
    session.downstream_session.set_close_on_response_before_downstream_finish(true);
}

async fn collect(session: &mut Session, limit: usize) -> Result<Bytes, Error> {
    let mut whole = BytesMut::new();
    let mut only: Option<Bytes> = None;
    loop {
        let piece = session.downstream_session.read_request_body().await.map_err(|error| {
            Error::new(Kind::InvalidRequest, "The body ended before its announced length.")
                .with_code("body_incomplete")
                .with_detail(error.to_string())
        })?;
        let Some(piece) = piece else { break };
        if whole.len() + only.as_ref().map_or(0, Bytes::len) + piece.len() > limit {
            return Err(too_large(limit));
        }
        match only.take() {
            None if whole.is_empty() => only = Some(piece),
            first => {
                whole.extend_from_slice(&first.unwrap_or_default());
                whole.extend_from_slice(&piece);
            }
        }
    }
    Ok(only.unwrap_or_else(|| whole.freeze()))
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::TooLarge, format!("The body is larger than the {limit} bytes this server reads."))
}
