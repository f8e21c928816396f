//! HTTP/2 without TLS, by the same h2 library the whole field uses: whole requests, and streams driven by hand.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A window for a client that does not care.
pub const WIDE: u32 = 1 << 30;

/// One connection, ended when dropped.
pub struct Connection {
    addr: SocketAddr,
    requests: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Speaks HTTP/2 with prior knowledge. `window` bytes of an answer may come before some are let go.
    pub async fn open(addr: SocketAddr, window: u32) -> Connection {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(WIDE)
            .handshake(stream)
            .await
            .unwrap();
        Connection { addr, requests, driver: tokio::spawn(connection) }
    }

    /// Sends the head of a request whose body is still to come, or none where it `ends` here.
    pub async fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        self.try_begin(method, path, headers, ends).await.unwrap()
    }

    /// The same where the other side may have closed the connection.
    pub async fn try_begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut request = http::Request::builder().method(method).uri(format!("http://{}{path}", self.addr));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await?;
        requests.send_request(request.body(()).unwrap(), ends)
    }

    /// Sends a JSON request.
    pub async fn post(&mut self, path: &str, body: &Value) -> ResponseFuture {
        let (answer, mut sender) = self.begin("POST", path, &[("content-type", "application/json")], false).await;
        sender.send_data(body.to_string().into(), true).unwrap();
        answer
    }
}

/// The whole body, or why it is not.
pub async fn body(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut whole = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// Status and body of an answer that ends as it should.
pub async fn whole(answer: ResponseFuture) -> (u16, Vec<u8>) {
    let answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    (status, body(&mut answer.into_body()).await.unwrap())
}

/// Sends one POST on a connection of its own and reads status and body.
pub async fn post(addr: SocketAddr, path: &str, body: &Value) -> (u16, Vec<u8>) {
    let mut connection = Connection::open(addr, WIDE).await;
    let answer = connection.post(path, body).await;
    whole(answer).await
}
