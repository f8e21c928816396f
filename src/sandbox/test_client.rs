//! The smallest HTTP client that tests of the sandbox need: one request a connection, written out by hand so that it
//! sends exactly what the test says, right or wrong.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sandbox::{Sandbox, Settings};

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A sandbox on a free port.
pub(super) async fn sandbox(settings: &str) -> Sandbox {
    let settings: Settings = serde_yaml::from_str(settings).unwrap();
    Sandbox::start(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.unwrap()
}

/// Sends a request and leaves the connection open.
pub(super) async fn start(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
    // A server may refuse a large body before it has read all of it.
    drop(stream.write_all(body).await);
    stream
}

/// Sends a request and reads the whole answer.
pub(super) async fn send(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut stream = start(addr, method, path, headers, body).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let reply = Reply { status, head, body: answer[end + 4..].to_vec() };
    assert_eq!(reply.header("transfer-encoding"), None, "this client reads plain bodies only");
    reply
}

/// Posts JSON with a key.
pub(super) async fn post(sandbox: &Sandbox, path: &str, body: Value) -> Reply {
    let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
    send(sandbox.addr(), "POST", path, &headers, body.to_string().as_bytes()).await
}

/// Gets with a key. `url` may be a path or a link that the sandbox gave.
pub(super) async fn get(sandbox: &Sandbox, url: &str) -> Reply {
    let path = url.strip_prefix(sandbox.url().as_str()).unwrap_or(url);
    send(sandbox.addr(), "GET", path, &[("authorization", "Bearer any")], b"").await
}
