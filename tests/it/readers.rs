//! Clients that read slowly, and clients that do not read. Time stands still here but for where a test moves it.

use std::time::Duration;

use easel::sandbox::Name;
use h2::RecvStream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use crate::h2::Connection;
use crate::world::{GENERATE, World, ask, ask_with, route};

/// Less than the default of `limits.send_timeout`, of which this is said in `conf/easel.yaml`.
const NEARLY: Duration = Duration::from_secs(25);
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// More than a socket's buffers on both sides hold. (A picture of the sandbox is never that large, but large enough.)
const LARGE: usize = 12 << 20;

/// Stops the clock, which would go on by itself only while nothing is to be done: there always is from now on.
pub fn stop_the_clock() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            yield_now().await;
        }
    });
}

/// A world with one picture of `bytes` in its cache, and an app that answers as many.
async fn world(bytes: usize) -> World {
    let app = service(bytes).await;
    let config = format!("server: {{passthrough: \"{app}\"}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.min_bytes = bytes);
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    world
}

/// A service that answers whatever it is asked with so many bytes.
async fn service(bytes: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ =
                    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes()).await;
                let _ = stream.write_all(&vec![b'x'; bytes]).await;
            });
        }
    });
    url
}

/// How each kind of answer is asked for: method, path, body.
async fn kinds(world: &World) -> Vec<(&'static str, &'static str, String, Option<Value>)> {
    let link = world.draw(ask_with("a fox", json!({"response_format": "url"}))).await;
    let link = link.json()["data"][0]["url"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(&format!("http://{}", world.addr)).unwrap().to_owned();
    vec![
        ("json", "POST", GENERATE.to_owned(), Some(ask("a fox"))),
        ("stream", "POST", GENERATE.to_owned(), Some(ask_with("a fox", json!({"stream": true})))),
        ("file", "GET", path, None),
        ("passthrough", "GET", "/app".to_owned(), None),
    ]
}

async fn asked(connection: &mut Connection, method: &str, path: &str, body: Option<&Value>) -> RecvStream {
    let json = ("content-type", "application/json");
    let (answer, mut sender) = connection.begin(method, path, &[json], body.is_none()).await;
    if let Some(body) = body {
        sender.send_data(body.to_string().into(), true).unwrap();
    }
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body()
}

#[tokio::test]
async fn who_takes_some_of_an_answer_now_and_then_gets_all_of_it_however_long_that_takes() {
    let world = world(1 << 20).await;
    let kinds = kinds(&world).await;
    stop_the_clock();
    for (kind, method, path, body) in kinds {
        let window = 20_000;
        let mut connection = Connection::open(world.addr, window).await;
        let mut stream = asked(&mut connection, method, &path, body.as_ref()).await;
        let (mut taken, mut held, began) = (0, 0, Instant::now());
        while let Some(piece) = stream.data().await {
            let piece = piece.unwrap_or_else(|error| panic!("{kind}: {error} after {taken} bytes"));
            (taken, held) = (taken + piece.len(), held + piece.len());
            // Everything the window allows is here, so the other side waits.
            if held == window as usize {
                advance(NEARLY).await;
                stream.flow_control().release_capacity(held).unwrap();
                held = 0;
            }
        }
        assert!(taken >= 1 << 20, "{kind}: {taken}");
        assert!(began.elapsed() > SEND_TIMEOUT * 10, "{kind}");
    }
}

#[tokio::test]
async fn who_takes_nothing_is_given_up_and_can_tell_that_it_is_not_all() {
    let world = world(1 << 20).await;
    let mut kinds = kinds(&world).await;
    // Pingora's own clock cannot be stopped.
    kinds.retain(|(kind, ..)| *kind != "passthrough");
    stop_the_clock();
    for window in [0, 20_000] {
        // Others on the same connection are served all the while.
        for (kind, method, path, body) in &kinds {
            let mut connection = Connection::open(world.addr, window).await;
            let mut stream = asked(&mut connection, method, path, body.as_ref()).await;
            let (mut taken, began) = (0, Instant::now());
            let end = loop {
                tokio::select! {
                    biased;
                    piece = stream.data() => match piece {
                        Some(Ok(piece)) => taken += piece.len(),
                        end => break end,
                    },
                    () = yield_now() => advance(Duration::from_secs(1)).await,
                }
            };
            assert!(end.is_some_and(|end| end.is_err_and(|error| error.is_reset())), "{kind}: ended as if whole");
            assert!(taken <= window as usize && began.elapsed() >= SEND_TIMEOUT, "{kind}");
            let (answer, _) = connection.begin("GET", "/v1/models", &[], true).await;
            assert_eq!(answer.await.unwrap().status(), 200, "{kind}");
        }
    }
    assert_eq!(world.gateway.shared.metrics.requests_in_flight.get(), 0);
}

#[tokio::test]
async fn who_takes_nothing_of_what_is_passed_through_is_given_up_too() {
    let app = service(1 << 20).await;
    let server = format!("server: {{passthrough: \"{app}\", limits: {{send_timeout: 200ms}}}}");
    let world = World::new(&format!("{server}\n{}", route(&["stability/core"]))).await;
    for window in [0, 20_000] {
        let mut connection = Connection::open(world.addr, window).await;
        let mut stream = asked(&mut connection, "GET", "/app", None).await;
        let mut taken = 0;
        let end = loop {
            match stream.data().await {
                Some(Ok(piece)) => taken += piece.len(),
                end => break end,
            }
        };
        assert!(end.is_some_and(|end| end.is_err_and(|error| error.is_reset())), "ended as if whole");
        assert_eq!(taken, window as usize);
    }
}

/// A connection whose system takes little before its owner reads.
async fn narrow(world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 << 10).unwrap();
    socket.connect(world.addr).await.unwrap()
}

fn head_of(method: &str, path: &str, body: Option<&Value>) -> String {
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Whether an answer of HTTP/1.1 came to the end that it tells itself.
fn is_whole(answer: &[u8]) -> bool {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length {
        Some(length) => answer.len() - end == length.parse::<usize>().unwrap(),
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    }
}

#[tokio::test]
async fn http1_gives_up_who_takes_nothing_frees_the_place_and_leaves_the_answer_visibly_short() {
    let world = world(LARGE).await;
    let mut kinds = kinds(&world).await;
    // One that begins before the picture is there.
    kinds.push(("begun", "POST", GENERATE.to_owned(), Some(ask_with("a fox", json!({"stream": true, "n": 2})))));
    stop_the_clock();
    for (kind, method, path, body) in kinds {
        let mut stream = narrow(&world).await;
        stream.write_all(head_of(method, &path, body.as_ref()).as_bytes()).await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        // Its end cannot be seen without reading on: what is in between must go first.
        for _ in 0..SEND_TIMEOUT.as_secs() * 4 {
            advance(Duration::from_secs(1)).await;
            for _ in 0..100 {
                yield_now().await;
            }
        }
        assert_eq!(world.gateway.shared.metrics.requests_in_flight.get(), 0, "{kind}");
        let mut answer = first.to_vec();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!is_whole(&answer), "{kind}: {} bytes", answer.len());
        assert!(answer.len() < LARGE, "{kind}");
    }
}

#[tokio::test]
async fn http1_waits_for_who_reads_a_little_now_and_then() {
    let world = world(LARGE).await;
    let kinds = kinds(&world).await;
    stop_the_clock();
    for (kind, method, path, body) in kinds {
        let mut stream = narrow(&world).await;
        stream.write_all(head_of(method, &path, body.as_ref()).as_bytes()).await.unwrap();
        let (mut answer, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        let began = Instant::now();
        loop {
            let read = stream.read(&mut piece).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
            if read == 0 {
                break;
            }
            answer.extend_from_slice(&piece[..read]);
            advance(Duration::from_secs(2)).await;
        }
        assert!(is_whole(&answer), "{kind}: {} bytes", answer.len());
        let (length, took) = (answer.len(), began.elapsed());
        assert!(length > 4 << 20 && took > SEND_TIMEOUT * 5, "{kind}: {length} bytes in {took:?}");
    }
}
