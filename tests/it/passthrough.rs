//! What is not Easel's passes through untouched, both ways, upgrades included.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Client;
use crate::world::{World, ask, route};

/// A service that answers each connection by hand; gives its address.
async fn service<F, Fut>(serve: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    format!("http://{addr}")
}

async fn head(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut byte = [0u8; 1];
    while !seen.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

async fn behind(url: &str) -> World {
    World::new(&format!("server: {{passthrough: \"{url}\"}}\n{}", route(&["stability/core"]))).await
}

#[tokio::test]
async fn other_paths_reach_the_service_as_they_were_and_its_answer_comes_back_as_it_is() {
    let url = service(|mut stream| async move {
        let head = head(&mut stream).await;
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|l| l.parse().ok()));
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.unwrap();
        let first = head.lines().next().unwrap();
        let host = head.lines().find(|line| line.to_ascii_lowercase().starts_with("host:")).unwrap();
        let reply = format!("{first}|{host}|{}", String::from_utf8_lossy(&body));
        let answer = format!("HTTP/1.1 201 Created\r\nx-own: kept\r\ncontent-length: {}\r\n\r\n{reply}", reply.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let world = behind(&url).await;
    let mut client = world.client().await.lenient();
    client.send("POST", "/v1/chat/completions?x=1", &[("content-type", "application/json")], b"{\"hello\":1}").await;
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("x-own")), (201, "kept"));
    assert_eq!(answer.header("x-request-id"), answer.header("x-easel-request-id"));
    assert_eq!(answer.header("x-request-id").len(), 16);
    assert_eq!(
        answer.text().to_ascii_lowercase(),
        "post /v1/chat/completions?x=1 http/1.1|host: localhost|{\"hello\":1}"
    );
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-route"), "r");
}

#[tokio::test]
async fn an_answer_streams_through_before_it_is_finished() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let url = service(move |mut stream| {
        let mut wait = wait.clone();
        async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await.unwrap();
            wait.wait_for(|go| *go).await.unwrap();
            stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let world = behind(&url).await;
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    let mut chunk = [0u8; 1024];
    while !seen.contains("first") {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "closed early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    assert!(!seen.contains("second"));
    go.send_replace(true);
    while !seen.contains("second") {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "closed early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
}

#[tokio::test]
async fn a_websocket_upgrade_passes_through_both_ways() {
    let url = service(|mut stream| async move {
        let head = head(&mut stream).await;
        assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let mut word = [0u8; 4];
        stream.read_exact(&mut word).await.unwrap();
        word.reverse();
        stream.write_all(&word).await.unwrap();
    })
    .await;
    let world = behind(&url).await;
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    let ask = b"GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 101"));
    stream.write_all(b"ping").await.unwrap();
    let mut word = [0u8; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"gnip");
}

#[tokio::test]
async fn a_dead_service_is_a_502_in_openais_shape_and_images_go_on() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let world = behind(&format!("http://{}", socket.local_addr().unwrap())).await;
    let mut client: Client = world.client().await;
    assert_eq!(client.get("/v1/chat/completions").await.error(), (502, "upstream_failed".into(), String::new()));
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
}

#[tokio::test]
async fn passed_through_requests_take_no_place_of_an_image_request() {
    let url = service(|mut stream| async move {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let limits =
        format!("server: {{passthrough: \"{url}\", limits: {{in_flight: 1}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&limits).await;
    let mut held = world.client().await;
    held.send("GET", "/events", &[], b"").await;
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
}

#[tokio::test]
async fn an_id_of_the_services_own_is_left_and_easels_stands_beside_it() {
    let url = service(|mut stream| async move {
        head(&mut stream).await;
        let answer =
            "HTTP/1.1 200 OK\r\nx-request-id: req_theirs\r\nx-easel-request-id: forged\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let world = behind(&url).await;
    let mut client = world.client().await.lenient();
    // One step off a path of Easel's is the service's all the same.
    let answer = client.get("/images/generations").await;
    assert_eq!((answer.status, answer.header("x-request-id")), (200, "req_theirs"));
    assert_eq!(answer.header("x-easel-request-id").len(), 16);
}
