//! One request over HTTP/2 without TLS, by the same h2 library the whole field uses.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;

/// Sends one POST with prior knowledge and reads status and body.
pub async fn post(addr: SocketAddr, path: &str, body: &Value) -> (u16, Vec<u8>) {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::post(format!("http://{addr}{path}"))
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (response, mut sender) = client.send_request(request, false).unwrap();
    sender.send_data(body.to_string().into(), true).unwrap();
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let mut stream = response.into_body();
    let mut whole = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.unwrap();
        stream.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    connection.abort();
    (status, whole)
}
