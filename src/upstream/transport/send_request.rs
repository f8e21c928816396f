//! Sends a request, and watches for an answer that comes before the request is whole.
//!
//! A server that does not want a body (a key that is not accepted, too large, too many requests) answers while the body
//! is still being sent, and closes (RFC 9112 9.5). A client that reads only after it has written everything finds a
//! connection that was reset and no answer. So whatever comes meanwhile is read at once, and an answer that is no
//! success ends the sending. What an answer means is decided elsewhere.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// Most bytes kept of what comes before the request is whole: no header is larger, and the rest can wait where it is.
const EARLY: usize = 64 * 1024;
/// One read of it.
const READ: usize = 8 * 1024;
/// How long an answer is looked for once writing has failed. It is there already, or on its way.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// `HTTP/1.1 200`: as much as tells a status.
const STATUS_LINE: usize = 12;

/// A request that left, and the connection to read its answer from.
pub struct SentRequest {
    /// The connection. What was read of it already is read from it once more.
    pub stream: Stream,
    /// Whether all of the request was handed over. If not, there is an answer that did not wait for it.
    pub whole: bool,
    /// Whether anything came before the request was whole; nobody knows how such a connection goes on.
    pub interrupted: bool,
}

/// Sends a request.
///
/// # Errors
/// When the connection ends before the request is whole, and without an answer. Nobody has the request then.
pub async fn send(stream: Stream, head: Bytes, body: Bytes) -> io::Result<SentRequest> {
    let mut upload = RequestUpload { stream, head, body, early: BytesMut::new() };
    let whole = match poll_fn(|context| upload.poll(context)).await {
        Ok(whole) => whole,
        Err(error) => {
            // The last word of a server that closed is what it closed for.
            let heard = timeout(AFTERWARDS, poll_fn(|context| upload.poll_answer(context))).await;
            match (heard, status(&upload.early)) {
                (Ok(Ok(())), _) | (_, Some(_)) => false,
                _ => return Err(error),
            }
        }
    };
    let RequestUpload { stream, early, .. } = upload;
    if early.is_empty() {
        return Ok(SentRequest { stream, whole, interrupted: false });
    }
    Ok(SentRequest { stream: Box::new(PrefixedStream { early: early.freeze(), stream }), whole, interrupted: true })
}

struct RequestUpload {
    stream: Stream,
    head: Bytes,
    body: Bytes,
    /// What came meanwhile.
    early: BytesMut,
}

impl RequestUpload {
    /// Writes, and reads while that has to wait; whether the request is whole.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.poll_write(context) {
            Poll::Ready(written) => Poll::Ready(written.map(|()| true)),
            Poll::Pending => self.poll_answer(context).map_ok(|()| false),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let next = if self.head.is_empty() { &mut self.body } else { &mut self.head };
            if next.is_empty() {
                return Pin::new(&mut self.stream).poll_flush(context);
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, next))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            next.advance(written);
        }
    }

    /// Reads until there is an answer that wants no more of the request; an error at the end of the connection.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = [0; READ];
        while self.early.len() < EARLY {
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.early.extend_from_slice(read.filled());
            if status(&self.early).is_some_and(|status| !(100..300).contains(&status)) {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }
}

/// The status of the answer in these first bytes of one, provisional ones (1xx) left out; `None` while there is too
/// little to tell. What is no HTTP has status 0.
fn status(mut bytes: &[u8]) -> Option<u16> {
    loop {
        let line = bytes.get(..STATUS_LINE)?;
        let digits = line.strip_prefix(b"HTTP/1.").and_then(|rest| std::str::from_utf8(&rest[2..]).ok());
        let status = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        if !(100..200).contains(&status) {
            return Some(status);
        }
        bytes = &bytes[memmem::find(bytes, b"\r\n\r\n")? + 4..];
    }
}

/// A connection of which something was read already.
struct PrefixedStream {
    early: Bytes,
    stream: Stream,
}

impl fmt::Debug for PrefixedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes and {:?}", self.early.len(), self.stream)
    }
}

impl AsyncRead for PrefixedStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let length = self.early.len().min(into.remaining());
        into.put_slice(&self.early.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PrefixedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

// What Pingora wants to know of a connection besides.

#[async_trait]
impl Shutdown for PrefixedStream {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for PrefixedStream {
    fn id(&self) -> i32 {
        self.stream.id()
    }
}

impl Ssl for PrefixedStream {}

impl Peek for PrefixedStream {}

impl GetTimingDigest for PrefixedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for PrefixedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for PrefixedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// A body that no buffer on the way holds.
    const BODY: usize = 1 << 20;

    async fn sent(vendor: impl AsyncFnOnce(DuplexStream)) -> io::Result<(SentRequest, String)> {
        let (near, far) = duplex(4096);
        let (head, body) = (Bytes::from_static(b"POST / HTTP/1.1\r\n\r\n"), Bytes::from(vec![b'x'; BODY]));
        let (sent, ()) = tokio::join!(send(Box::new(near), head, body), vendor(far));
        let mut sent = sent?;
        let mut heard = String::new();
        sent.stream.read_to_string(&mut heard).await?;
        Ok((sent, heard))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_wait_for_the_body_ends_the_sending_and_is_read_whole() {
        let answer = "HTTP/1.1 413 X\r\ncontent-length: 2\r\n\r\nno";
        let (sent, heard) = sent(async |mut vendor| {
            vendor.read_exact(&mut [0; 100]).await.unwrap();
            vendor.write_all(answer.as_bytes()).await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!((sent.whole, sent.interrupted, heard.as_str()), (false, true, answer));
    }

    #[tokio::test(start_paused = true)]
    async fn a_provisional_answer_or_an_early_success_lets_the_request_go_on_to_its_end() {
        for early in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            let (sent, heard) = sent(async |mut vendor| {
                vendor.write_all(early.as_bytes()).await.unwrap();
                vendor.read_exact(&mut vec![0; BODY]).await.unwrap();
                vendor.write_all(b"end").await.unwrap();
                vendor.read_exact(&mut [0; 19]).await.unwrap();
            })
            .await
            .unwrap();
            assert_eq!((sent.whole, sent.interrupted, heard), (true, true, format!("{early}end")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_before_the_request_is_whole_has_nobody_who_has_it() {
        let ended = sent(async |mut vendor| {
            vendor.read_exact(&mut [0; 100]).await.unwrap();
        })
        .await;
        assert!(ended.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nobody_interrupts_is_whole() {
        let (sent, heard) = sent(async |mut vendor| {
            vendor.read_exact(&mut vec![0; BODY + 19]).await.unwrap();
            vendor.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!((sent.whole, heard.as_str()), (true, "HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn a_status_is_told_as_soon_as_its_line_is_there() {
        for (bytes, told) in [
            ("", None),
            ("HTTP/1.1 40", None),
            ("HTTP/1.1 401", Some(401)),
            ("HTTP/1.0 503 Busy\r\n", Some(503)),
            ("HTTP/1.1 100 Continue\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 4", None),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\na: b\r\n\r\nHTTP/1.1 429 X", Some(429)),
            ("<html><body>Bad", Some(0)),
            ("HTTP/2 200 OK", Some(0)),
        ] {
            assert_eq!(status(bytes.as_bytes()), told, "{bytes}");
        }
    }
}
