//! A plain HTTP/1.1 client over a real socket, blunt enough to misbehave on purpose.
//!
//! It checks on every answer what each test would forget: that Easel sends no header it did not mean to send.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Headers an answer may have; a provider's own would be a leak.
const ALLOWED: &[&str] = &[
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "etag",
    "keep-alive",
    "retry-after",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    "x-litellm-response-cost",
    "x-request-id",
    "x-should-retry",
];

/// What answers to operators have besides.
const OPERATORS: &[&str] = &[
    "content-security-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "referrer-policy",
    "x-frame-options",
];

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Keys and tokens of the tests' configs, by how they begin. They are in no answer, no metric and no log of any test.
const PLANTED: [&str; 13] = [
    "sk-test",
    "sk-web",
    "sk-ant-test",
    "sk-or-test",
    "sk-live",
    "sk-dear",
    "sk-cheap",
    "r8-test",
    "fal-test",
    "bfl-test",
    "az-test",
    "AIza-test",
    "tok-planted",
];

/// Panics where a planted secret is in `bytes`.
pub fn tells_no_secret(bytes: &[u8], what: &str) {
    let told = PLANTED.iter().find(|secret| memchr::memmem::find(bytes, secret.as_bytes()).is_some());
    assert_eq!(told, None, "{what} tells a secret: {}", String::from_utf8_lossy(bytes));
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status, `error.code` and `error.param` of an error answer, whose shape must be OpenAI's.
    pub fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let error = body["error"].as_object().unwrap_or_else(|| panic!("no error object: {}", self.text()));
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "message", "param", "type"], "{}", self.text());
        let word = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (self.status, word("code"), word("param"))
    }
}

/// Whatever bytes go over.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One connection, kept open.
pub struct Client {
    stream: Box<dyn Io>,
    buffer: Vec<u8>,
    strict: bool,
}

impl Client {
    pub async fn connect(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client::over(stream)
    }

    /// Speaks over a connection that is there already.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
        Client { stream: Box::new(stream), buffer: Vec::new(), strict: true }
    }

    /// Answers of something that is not Easel may have any header.
    pub fn lenient(mut self) -> Client {
        self.strict = false;
        self
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub async fn post_with(&mut self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let body = body.to_string();
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, body.as_bytes()).await;
        self.receive().await.unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await;
        self.receive().await.unwrap()
    }

    /// Writes a request without reading its answer.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-length") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes).await;
    }

    /// Writes bytes as they are. The peer may have closed already; the answer tells.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads one answer; `None` when the connection ends before one.
    pub async fn receive(&mut self) -> Option<Answer> {
        loop {
            let answer = self.receive_any().await?;
            if answer.status >= 200 {
                return Some(answer);
            }
        }
    }

    /// Reads one answer, an informational one included.
    pub async fn receive_any(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body = if status < 200 || status == 204 { Vec::new() } else { self.body(&headers).await? };
        if self.strict {
            let to_operators = OPERATORS.iter().all(|name| headers.contains_key(*name));
            // A browser that has no token yet is asked for it.
            let for_a_browser = ["www-authenticate", "content-encoding", "vary"];
            let of_operators = |name: &str| OPERATORS.contains(&name) || for_a_browser.contains(&name);
            let known = |name: &str| ALLOWED.contains(&name) || (to_operators && of_operators(name));
            let stray = headers.keys().find(|name| !known(name) && !name.starts_with("x-easel-"));
            assert_eq!(stray, None, "an answer has a header it should not have");
            tells_no_secret(head.as_bytes(), "the head of an answer");
            tells_no_secret(&body, "the body of an answer");
        }
        Some(Answer { status, headers, body })
    }

    async fn body(&mut self, headers: &BTreeMap<String, String>) -> Option<Vec<u8>> {
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return self.chunks().await;
        }
        let length: usize = match headers.get("content-length") {
            Some(length) => length.parse().unwrap(),
            None => return Some(self.until_closed().await),
        };
        while self.buffer.len() < length {
            self.fill().await?;
        }
        let rest = self.buffer.split_off(length);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                    break self.buffer.drain(..at + 2).collect::<Vec<u8>>();
                }
                self.fill().await?;
            };
            let length = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
            while self.buffer.len() < length + 2 {
                self.fill().await?;
            }
            body.extend_from_slice(&self.buffer[..length]);
            self.buffer.drain(..length + 2);
            if length == 0 {
                return Some(body);
            }
        }
    }

    /// What comes in until `mark` is among it, as it comes over the wire. Panics when the peer closes before.
    pub async fn read_until(&mut self, mark: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            if text.contains(mark) {
                self.buffer.clear();
                return text;
            }
            assert!(self.fill().await.is_some(), "closed before {mark:?}: {text}");
        }
    }

    /// Everything until the peer closes.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        while self.fill().await.is_some() {}
        std::mem::take(&mut self.buffer)
    }

    async fn fill(&mut self) -> Option<()> {
        // On the heap: an array would be part of every future around this one, and a long test outgrows its stack.
        let mut chunk = vec![0u8; 65536];
        let read = self.stream.read(&mut chunk).await.ok()?;
        if read == 0 {
            return None;
        }
        self.buffer.extend_from_slice(&chunk[..read]);
        Some(())
    }
}
