//! As much of a client as the cases need: whole requests on connections of their own, and parts of requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Failed;

/// The key of the one client in a config with keys.
pub const KEY: &str = "good";

/// Its SHA-256, as configs want it.
pub const KEY_SHA256: &str = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c";

/// Where generations go.
pub const GENERATE: &str = "/v1/images/generations";

/// Where edits go.
pub const EDIT: &str = "/v1/images/edits";

/// The longest wait for a part of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The start of an HTTP/2 connection and a frame of empty settings (RFC 9113 sections 3.4 and 6.5).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// HTTP/2: the settings are acknowledged, then `GET /v1/models` on stream 1. The method and the scheme are in HPACK's
/// table, path and authority are spelled out.
pub fn http2_get() -> Vec<u8> {
    let (path, authority) = (b"/v1/models", b"localhost");
    let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
    block.extend_from_slice(path);
    block.extend([0x01, authority.len() as u8]);
    block.extend_from_slice(authority);
    let mut sent = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00".to_vec();
    // HEADERS that end both the block and the stream.
    sent.extend([0, 0, block.len() as u8, 1, 0x5, 0, 0, 0, 1]);
    sent.extend(block);
    sent
}

/// What is sent.
pub struct Request<'a> {
    method: &'a str,
    path: &'a str,
    kind: &'a str,
    body: &'a [u8],
    key: Option<&'a str>,
    kept: bool,
}

impl<'a> Request<'a> {
    /// Without a body.
    pub fn get(path: &'a str) -> Request<'a> {
        Request { method: "GET", path, kind: "", body: b"", key: Some(KEY), kept: false }
    }

    /// With a body of JSON.
    pub fn json(path: &'a str, body: &'a [u8]) -> Request<'a> {
        Request { method: "POST", path, kind: "application/json", body, key: Some(KEY), kept: false }
    }

    /// With a form as [`form`] makes it.
    pub fn form(path: &'a str, body: &'a [u8]) -> Request<'a> {
        Request { method: "POST", path, kind: "multipart/form-data; boundary=edge", body, key: Some(KEY), kept: false }
    }

    /// From nobody who is known.
    pub fn of_a_stranger(self) -> Request<'a> {
        Request { key: None, ..self }
    }

    /// Whose connection is not closed afterwards.
    pub fn on_a_kept_connection(self) -> Request<'a> {
        Request { kept: true, ..self }
    }

    /// What follows the head.
    pub fn body(&self) -> &[u8] {
        self.body
    }

    /// Everything before the body.
    pub fn head(&self) -> String {
        let Request { method, path, kind, body, key, kept } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if !kept {
            head += "connection: close\r\n";
        }
        if let Some(key) = key {
            head += &format!("authorization: Bearer {key}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        }
        head + "\r\n"
    }
}

/// What came.
pub struct Answer {
    /// 0 where the connection ended without one.
    pub status: u16,
    /// Whole.
    pub body: Vec<u8>,
}

/// One request and its whole answer; a server that answers early and closes is heard all the same.
pub fn exchange(addr: SocketAddr, request: &Request<'_>) -> Result<Answer, Failed> {
    let mut stream = connect(addr)?;
    // An early answer ends the sending; it is read below.
    let _ = stream.write_all(request.head().as_bytes()).and_then(|()| stream.write_all(request.body));
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    Ok(parse(&all))
}

/// A connection that gives up after a while.
pub fn connect(addr: SocketAddr) -> Result<TcpStream, Failed> {
    let stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn parse(all: &[u8]) -> Answer {
    let status = all.get(9..12).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0);
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    Answer { status, body: all[end..].to_vec() }
}

/// A form of fields and files.
pub fn form(fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in fields {
        form.extend(format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    for (name, file) in files {
        let named = format!("name=\"{name}\"; filename=\"{name}.png\"\r\ncontent-type: image/png");
        form.extend(format!("--edge\r\ncontent-disposition: form-data; {named}\r\n\r\n").bytes());
        form.extend_from_slice(file);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--edge--\r\n");
    form
}
