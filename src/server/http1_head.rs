//! Reads the head of a request over HTTP/1.1, in time and to a bound, and checks it before anything else is done.
//!
//! Pingora waits for a head as long as something comes, reads up to a megabyte of it, and answers one that is none with
//! an empty 400. So a head is read here, Pingora's own parser says whether it is one, where that is not plain to see,
//! and only then it is handed on.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use pingora::ErrorType;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, ErrorKind};
use crate::server::connections::CloseReason;

/// The most that is read at once. Most heads fit in it.
const CHUNK: usize = 4096;

/// A head of more fields is not called plain.
const PLAIN_FIELDS: usize = 32;

/// Nor is a length of more digits: fifteen are a petabyte, and fit into any number that counts bytes.
const PLAIN_DIGITS: usize = 15;

/// What the parser calls a head of more fields than it takes.
const TOO_MANY: &str = "too many headers";

/// The time for a head.
pub struct Time {
    /// When its first byte must be there.
    pub begins_by: Instant,
    /// How long it may take from then on; none: it must be whole by the same time.
    pub then: Option<Duration>,
}

/// What came over the connection in place of, or as, a head.
pub enum Head {
    /// A whole head that will be taken, and what came after it.
    Whole(BytesMut),
    /// Nothing in time.
    Nothing,
    /// The client has closed.
    Gone,
    /// Something that is answered with an error, and nothing after it read.
    Refused(CloseReason, Error),
}

/// Reads a head of at most `most` bytes; `begins` is told when it begins.
pub async fn read(stream: &mut Stream, time: Time, most: usize, begins: impl FnOnce()) -> Head {
    let mut head = BytesMut::new();
    let (mut until, mut begins) = (time.begins_by, Some(begins));
    loop {
        let end = match timeout_at(until, more(stream, &mut head, most)).await {
            Err(_) if head.is_empty() => return Head::Nothing,
            Err(_) => return Head::Refused(CloseReason::HeaderTimeout, too_slow()),
            Ok(Ok((0, _)) | Err(_)) => return Head::Gone,
            Ok(Ok((_, end))) => end,
        };
        let first = begins.take().map(|begins| begins());
        if let (Some(()), Some(then)) = (first, time.then) {
            until = Instant::now() + then;
        }
        if end.unwrap_or(head.len() + 1) > most {
            return Head::Refused(CloseReason::HeaderTooLarge, too_large(format!("is longer than {most} bytes")));
        }
        // Of a part of a head only the first is judged, so that what is no HTTP at all is not waited for.
        let judged = match (end, first) {
            (None, None) => continue,
            (end, _) => judge(&head[..end.unwrap_or(head.len())], end.is_some()).await,
        };
        match judged {
            Err((closed, error)) => return Head::Refused(closed, error),
            Ok(()) if end.is_some() => return Head::Whole(head),
            Ok(()) => {}
        }
    }
}

/// Reads on: how much came, and where the head ends, if it does. A connection that waits holds no buffer for that.
async fn more(stream: &mut Stream, head: &mut BytesMut, most: usize) -> io::Result<(usize, Option<usize>)> {
    thread_local! {
        /// Where bytes come in, until it is known how much room they need.
        static CAME: RefCell<[u8; CHUNK]> = const { RefCell::new([0; CHUNK]) };
    }
    poll_fn(|cx| {
        CAME.with_borrow_mut(|came| {
            let mut came = ReadBuf::new(came);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut came))?;
            Poll::Ready(Ok((came.filled().len(), append(head, came.filled(), most))))
        })
    })
    .await
}

/// Adds what came; where the head ends, if it does. A head that came at once has the room it needs. Any other has at
/// once all the room there may be: what is not written to is no memory yet, and no smaller pieces are left behind.
fn append(head: &mut BytesMut, came: &[u8], most: usize) -> Option<usize> {
    let looked_at = head.len();
    let whole = if looked_at == 0 { end(came, 0) } else { None };
    if whole.is_none() {
        head.reserve(most.saturating_sub(looked_at).max(came.len()));
    }
    head.extend_from_slice(came);
    whole.or_else(|| end(head, looked_at.saturating_sub(2)))
}

/// Where a head ends: after its first empty line, those at its beginning left out. Nothing ends it before `from`.
fn end(head: &[u8], from: usize) -> Option<usize> {
    let begin = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let mut at = begin.max(from);
    while let Some(line) = memchr::memchr(b'\n', &head[at..]) {
        at += line + 1;
        match &head[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Whether Pingora takes a whole head in any case. Most heads are as plain as this, and Pingora's parser, which will
/// parse them again when it serves them, needs ten times as long to say so.
fn plain(head: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; PLAIN_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let whole = matches!(request.parse(head), Ok(httparse::Status::Complete(length)) if length == head.len());
    let (Some(method), Some(path), Some(1)) = (request.method, request.path, request.version) else { return false };
    let plain_path = |path: &str| path.starts_with('/') && !path.starts_with("//") && path.bytes().all(plain_in_path);
    whole && matches!(method, "GET" | "HEAD" | "POST") && plain_path(path) && plain_fields(request.headers)
}

fn plain_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%?=&".contains(&byte)
}

/// Whether fields say once, and with no room for doubt, whose the request is and where it ends.
fn plain_fields(fields: &[httparse::Header<'_>]) -> bool {
    let (mut hosts, mut lengths) = (0, 0);
    fields.iter().all(|field| match field.name.len() {
        4 if field.name.eq_ignore_ascii_case("host") => {
            hosts += 1;
            hosts == 1 && !field.value.contains(&b'@')
        }
        14 if field.name.eq_ignore_ascii_case("content-length") => {
            lengths += 1;
            let digits = 1..=PLAIN_DIGITS;
            lengths == 1 && digits.contains(&field.value.len()) && field.value.iter().all(u8::is_ascii_digit)
        }
        17 => !field.name.eq_ignore_ascii_case("transfer-encoding"),
        _ => true,
    })
}

/// What Pingora's parser makes of a head, or of the beginning of one.
async fn judge(head: &[u8], whole: bool) -> Result<(), (CloseReason, Error)> {
    if whole && plain(head) {
        return Ok(());
    }
    let mut session = ServerSession::new_http1(Box::new(Cursor::new(Vec::new())));
    session.set_pipelined_prefix(BytesMut::from(head));
    match session.read_request().await {
        Ok(true) if session.req_header().method == Method::CONNECT => {
            let error = Error::new(ErrorKind::WrongMethod, "This server opens no tunnels.").with_detail("GET, POST");
            Err((CloseReason::Malformed, error))
        }
        Ok(_) => Ok(()),
        Err(error) if !whole && *error.etype() == ErrorType::ConnectionClosed => Ok(()),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &pingora::Error) -> (CloseReason, Error) {
    let cause = error.cause.as_ref().map(|_| error.root_cause().to_string());
    // Where there is a cause, the context repeats the head.
    let why = match (cause, &error.context) {
        (Some(cause), _) if cause == TOO_MANY => {
            return (CloseReason::HeaderTooLarge, too_large("has more than 256 fields".to_owned()));
        }
        (Some(cause), _) => cause,
        (None, Some(context)) => context.to_string(),
        (None, None) => "it has no end".to_owned(),
    };
    let message = format!("The head of this request cannot be read: {why}. Send one as RFC 9112 says.");
    (CloseReason::Malformed, Error::new(ErrorKind::InvalidRequest, message).with_code(CloseReason::Malformed.as_str()))
}

fn too_large(how: String) -> Error {
    Error::new(
        ErrorKind::HeaderTooLarge,
        format!("The head of this request {how}. Send fewer or shorter header fields."),
    )
}

fn too_slow() -> Error {
    let message = "The head of this request was not there in time. Send it at once, its empty line included.";
    Error::new(ErrorKind::InvalidRequest, message).with_code(CloseReason::HeaderTimeout.as_str())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const GET: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";

    /// What comes of bytes that come in such pieces, the last of them followed by nothing.
    async fn came(pieces: &[&[u8]], most: usize) -> Head {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let writer = tokio::spawn(async move {
            for piece in pieces {
                tokio::io::AsyncWriteExt::write_all(&mut theirs, &piece).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            theirs
        });
        let time = Time { begins_by: Instant::now() + Duration::from_secs(60), then: Some(Duration::from_secs(10)) };
        let mut stream: Stream = Box::new(ours);
        let head = read(&mut stream, time, most, || {}).await;
        drop(writer);
        head
    }

    fn refused(head: Head) -> (u16, &'static str, String) {
        match head {
            Head::Refused(_, error) => (error.kind.status(), error.code(), error.message),
            Head::Whole(_) => panic!("taken"),
            Head::Nothing => panic!("nothing"),
            Head::Gone => panic!("gone"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_taken_in_any_pieces_with_what_follows_it() {
        let with_body = [GET, b"\r\nbody\n\n"].concat();
        let bare = b"\r\n\nGET / HTTP/1.0\nx: y\n\n";
        let piece_by_piece: Vec<&[u8]> = with_body.chunks(9).collect();
        for (pieces, whole) in
            [(vec![&with_body[..]], &with_body[..]), (piece_by_piece, &with_body[..36]), (vec![bare], bare)]
        {
            match came(&pieces, 100).await {
                Head::Whole(head) => assert_eq!(&head[..], whole),
                other => panic!("{:?}", refused(other)),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte_and_its_bytes() {
        let drip: Vec<&[u8]> = GET.chunks(1).collect();
        assert_eq!(refused(came(&drip, 100).await).1, "header_timeout");
        assert!(matches!(came(&[b""], 100).await, Head::Nothing));
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100));
        assert_eq!(refused(came(&[long.as_bytes()], 100).await).0, 431);
        assert_eq!(refused(came(&[&long.as_bytes()[..110]], 100).await).1, "header_too_large", "not waited for");
        let whole = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(5000));
        let pieces: Vec<&[u8]> = whole.as_bytes().chunks(1000).collect();
        assert!(matches!(came(&pieces, whole.len()).await, Head::Whole(head) if &head[..] == whole.as_bytes()));
        assert_eq!(refused(came(&pieces, whole.len() - 1).await).0, 431, "one byte too many");
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(300));
        assert_eq!(refused(came(&[many.as_bytes()], 10_000).await).0, 431);
    }

    /// Heads put together of pieces that are plain, odd or wrong.
    fn heads() -> impl Strategy<Value = String> {
        let method = select(vec!["GET", "POST", "HEAD", "PUT", "CONNECT", "get", "P\u{1}"]);
        let path =
            select(vec!["/", "/v1/models?a=b", "//x/y", "/a\\b", "*", "http://x/", "http://u@x/", "/\u{e9}", "/a b"]);
        let version = select(vec!["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 "]);
        let field = select(vec![
            "host: x",
            "Host: y:80",
            "HOST: u@x",
            "host : x",
            "content-length: 5",
            "Content-Length: 6",
            "content-length: -1",
            "content-length: 5, 5",
            "content-length: 99999999999999999999",
            "content-length:",
            "transfer-encoding: chunked",
            "Transfer-Encoding: gzip",
            "connection: close",
            "x: \u{e9}",
            "x: \u{0}",
            "x\u{e9}: y",
            ": z",
            " folded",
            "expect: 100-continue",
            "accept: */*",
        ]);
        let end = select(vec!["\r\n", "\n"]);
        (method, path, version, vec(field, 0..4), end).prop_map(|(method, path, version, fields, end)| {
            let fields: String = fields.iter().map(|field| format!("{field}{end}")).collect();
            format!("{method} {path} {version}{end}{fields}{end}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn what_is_called_plain_is_taken_by_pingora(head in heads()) {
            if plain(head.as_bytes()) {
                let mut session = ServerSession::new_http1(Box::new(Cursor::new(head.clone().into_bytes())));
                let taken = session.read_request().now_or_never();
                prop_assert!(matches!(taken, Some(Ok(true))), "{:?}: {:?}", head, taken);
            }
        }
    }

    #[test]
    fn what_clients_send_is_called_plain() {
        for head in [
            GET.to_vec(),
            b"POST /v1/images/generations HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: application/json\r\n\
              Authorization: Bearer sk-x\r\nContent-Length: 120\r\n\r\n"
                .to_vec(),
            b"\r\nGET /v1/images/files/0f.png?expires=1&signature=a_b-c HTTP/1.1\r\n\r\n".to_vec(),
        ] {
            assert!(plain(&head), "{}", String::from_utf8_lossy(&head));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_head_is_told_why_without_being_repeated() {
        for bad in [
            "GET / HTTP/4.2\r\n\r\n",
            "GET / HTTP/1.1\r\nse cret: x\r\n\r\n",
            "GET / HTTP/1.1\r\nsecret\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
            "\u{16}\u{3}\u{1} a secret that never ends",
        ] {
            let (status, code, message) = refused(came(&[bad.as_bytes()], 4096).await);
            assert_eq!((status, code), (400, "malformed_request"), "{bad}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
        let tunnel = refused(came(&[b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n"], 4096).await);
        assert_eq!((tunnel.0, tunnel.1), (405, "method_not_allowed"));
    }
}
