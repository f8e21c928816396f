//! What a connection may take of whom nobody knows: time, size, and number. Where a test waits, the clock stands still but
//! for where it is moved.

use std::time::Duration;

use easel::sandbox::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use crate::app::App;
use crate::bodies::locked;
use crate::client::Client;
use crate::commands::{self, Served};
use crate::h2::{Connection, WIDE};
use crate::readers::stop_the_clock;
use crate::tls;
use crate::world::{GENERATE, World, ask, route};

const JSON: (&str, &str) = ("content-type", "application/json");
const GOOD: (&str, &str) = ("authorization", "Bearer good");
const GET: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The frame HEADERS of stream 1, with `:method: POST` and no end of the block.
const HALF_A_HEAD: &[u8] = b"\0\0\x01\x01\x01\0\0\0\x01\x83";
/// `GET /v1/models` on stream 1.
const GET_STREAM: &[u8] = b"\0\0\x19\x01\x05\0\0\0\x01\x82\x86\x04\x0a/v1/models\x01\x09localhost";
/// The types of frames that are looked for.
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;

/// The defaults, of which the same is said in `conf/easel.yaml`.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

async fn plain() -> World {
    World::new(&route(&["stability/core"])).await
}

async fn connected(addr: std::net::SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(first).await.unwrap();
    stream
}

/// Lets a second pass, and all that is to be done in it.
async fn second() {
    for _ in 0..200 {
        yield_now().await;
    }
    advance(Duration::from_secs(1)).await;
}

/// What comes until the other side closes, and how long that took. `drip` is sent every second.
async fn until_closed(stream: &mut TcpStream, drip: &[u8]) -> (Vec<u8>, Duration) {
    let (began, mut got, mut piece) = (Instant::now(), Vec::new(), [0; 4096]);
    while began.elapsed() < Duration::from_secs(300) {
        tokio::select! {
            biased;
            read = stream.read(&mut piece) => match read {
                Ok(0) | Err(_) => return (got, began.elapsed()),
                Ok(read) => got.extend_from_slice(&piece[..read]),
            },
            () = second() => {
                let _ = stream.write_all(drip).await;
            }
        }
    }
    panic!("still open after five minutes: {}", String::from_utf8_lossy(&got));
}

/// The types of the frames that came.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, rest @ ..] = bytes {
        types.push(*kind);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        bytes = rest.get(5 + length..).unwrap_or_default();
    }
    types
}

/// Waits until it is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("it is never so: {what}"));
}

fn closed(world: &World, listener: &str, reason: &str) -> u64 {
    world.gateway.shared.metrics.connections_closed.with_label_values(&[listener, reason]).get()
}

#[tokio::test]
async fn a_head_that_drips_in_is_given_up() {
    let world = plain().await;
    stop_the_clock();
    for (listener, addr) in [("clients", world.addr), ("admin", world.admin)] {
        let mut stream = connected(addr, b"GET /healthz HTTP/1.1\r\nx: ").await;
        let (got, took) = until_closed(&mut stream, b"a").await;
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(got.starts_with("HTTP/1.1 400") && got.contains("\"code\":\"header_timeout\""), "{got}");
        assert!(took >= HEADER_TIMEOUT && took < HEADER_TIMEOUT * 3, "{took:?}");
        assert_eq!(closed(&world, listener, "header_timeout"), 1);
    }
}

#[tokio::test]
async fn a_connection_on_which_no_request_begins_is_closed() {
    let world = plain().await;
    let folder = tempfile::tempdir().unwrap();
    let (secured, ..) = tls::secured(folder.path(), &tls::certificate()).await;
    stop_the_clock();
    for (what, addr, begins) in [
        ("nothing", world.addr, vec![]),
        ("nothing for the operator", world.admin, vec![]),
        ("a preface that does not go on", world.addr, b"PRI ".to_vec()),
        ("HTTP/2 without a stream", world.addr, PREFACE.to_vec()),
        ("half a head of HTTP/2", world.addr, [PREFACE, HALF_A_HEAD].concat()),
        ("half a TLS handshake", secured.addr, b"\x16\x03\x01".to_vec()),
    ] {
        let mut stream = connected(addr, &begins).await;
        let (_, took) = until_closed(&mut stream, b"").await;
        assert!(took >= HEADER_TIMEOUT && took < HEADER_TIMEOUT * 3, "{what}: {took:?}");
    }
    assert_eq!(closed(&world, "clients", "header_timeout"), 4);
    assert_eq!(closed(&secured, "clients", "header_timeout"), 1);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_any_more_is_closed_in_peace() {
    let world = plain().await;
    stop_the_clock();
    for addr in [world.addr, world.admin] {
        let mut stream = connected(addr, GET).await;
        let (got, took) = until_closed(&mut stream, b"").await;
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(got.contains("connection: keep-alive") || got.contains("Connection: keep-alive"), "{got}");
        assert!(took >= KEEPALIVE_TIMEOUT && took < KEEPALIVE_TIMEOUT * 2, "{took:?}");
    }
    let mut stream = connected(world.addr, &[PREFACE, GET_STREAM].concat()).await;
    // Pings are no request.
    let (got, took) = until_closed(&mut stream, b"\0\0\x08\x06\0\0\0\0\0ping-png").await;
    let frames = frames(&got);
    assert!(frames.contains(&HEADERS) && frames.contains(&GOAWAY), "{frames:?}");
    assert!(took >= KEEPALIVE_TIMEOUT && took < KEEPALIVE_TIMEOUT * 2, "{took:?}");
    assert_eq!((closed(&world, "clients", "idle"), closed(&world, "admin", "idle")), (2, 1));
}

#[tokio::test]
async fn a_connection_is_kept_while_it_is_used_and_the_config_says_how_long() {
    let config = format!("server: {{limits: {{keepalive_timeout: 5s}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    stop_the_clock();
    let (mut client, mut connection) = (world.client().await, Connection::open(world.addr, WIDE).await);
    for _ in 0..4 {
        assert_eq!(client.get("/v1/models").await.status, 200);
        let (answer, _) = connection.begin("GET", "/v1/models", &[], true).await;
        assert_eq!(answer.await.unwrap().status(), 200);
        for _ in 0..4 {
            second().await;
        }
    }
    assert_eq!(closed(&world, "clients", "idle"), 0);
    let mut stream = connected(world.addr, GET).await;
    assert!(until_closed(&mut stream, b"").await.1 < KEEPALIVE_TIMEOUT);
}

#[tokio::test]
async fn who_waits_for_a_picture_is_not_idle() {
    let config = format!("server: {{limits: {{keepalive_timeout: 10ms}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(200));
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    let mut connection = Connection::open(world.addr, WIDE).await;
    let answer = connection.post(GENERATE, &ask("a cat")).await;
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_no_request_is_told_so_in_the_shape_of_every_error() {
    let world = plain().await;
    for (bad, status, code) in [
        ("GET / HTTP/3.0\r\n\r\n", 400, "malformed_request"),
        ("hello\r\n\r\n", 400, "malformed_request"),
        ("\u{16}\u{3}\u{1}\u{2}\0", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nbad name: x\r\n\r\n", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "malformed_request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "malformed_request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400, "malformed_request"),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400, "malformed_request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 400, "malformed_request"),
        ("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 405, "method_not_allowed"),
        (&format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(70_000)), 431, "header_too_large"),
        (&format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(70_000)), 431, "header_too_large"),
    ] {
        for addr in [world.addr, world.admin] {
            let mut client = Client::connect(addr).await;
            client.raw(bad.as_bytes()).await;
            let answer = client.receive().await.unwrap();
            assert_eq!(answer.error(), (status, code.to_owned(), String::new()), "{bad:.60}");
            assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
            assert_eq!((answer.header("connection"), answer.header("x-easel-request-id").len()), ("close", 16));
            assert_eq!(client.until_closed().await, b"");
        }
    }
    let mut connection = Connection::open(world.addr, WIDE).await;
    let long = "y".repeat(70_000);
    let (answer, _) = connection.begin("GET", "/v1/models", &[("x-long", &long)], true).await;
    assert_eq!(answer.await.unwrap().status(), 431);
    let (answer, _) = connection.begin("GET", "/v1/models", &[], true).await;
    assert_eq!(answer.await.unwrap().status(), 200, "others on the same connection are served");
}

#[tokio::test]
async fn how_long_a_head_may_be_is_told_by_the_config() {
    let config = format!("server: {{limits: {{request_header: 200KiB}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let long = "y".repeat(150_000);
    world.client().await.get("/v1/models").await;
    let mut client = world.client().await;
    client.send("GET", "/v1/models", &[("x-long", &long)], b"").await;
    assert_eq!(client.receive().await.unwrap().status, 200);
    let mut connection = Connection::open(world.addr, WIDE).await;
    let (answer, _) = connection.begin("GET", "/v1/models", &[("x-long", &long)], true).await;
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn strangers_who_hold_all_connections_make_room_and_who_was_served_keeps_his() {
    let world = locked("connections: 4").await;
    let mut good = world.client().await;
    assert_eq!(good.post_with(GENERATE, &ask("a fox"), &[GOOD]).await.status, 200);
    let mut strangers = Vec::new();
    for nth in 0..12 {
        let first: &[u8] = if nth % 2 == 0 { b"POST /v1/images/generations HTTP/1.1\r\nx: " } else { b"" };
        strangers.push(connected(world.addr, first).await);
        let gone = (nth + 2_u64).saturating_sub(4);
        until("they make room", || closed(&world, "clients", "made_room") == gone).await;
    }
    let newcomer = world.draw_with(ask("a cat"), &[GOOD]).await;
    assert_eq!(newcomer.status, 200);
    assert_eq!(good.post_with(GENERATE, &ask("a fox"), &[GOOD]).await.status, 200, "it was kept all the while");
    let mut first = [0; 1];
    assert!(matches!(strangers[0].read(&mut first).await, Ok(0) | Err(_)), "who waited the longest has gone");
}

#[tokio::test]
async fn whose_body_is_read_makes_room_and_whose_picture_is_drawn_does_not() {
    let world = World::new(&format!("server: {{limits: {{connections: 3}}}}\n{}", route(&["stability/core"]))).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_secs(2));
    let head = format!("POST {GENERATE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    let mut slow = connected(world.addr, format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await;
    let mut drawing = Vec::new();
    for prompt in ["a fox", "a cat", "a dog"] {
        let mut client = world.client().await;
        let body = ask(prompt).to_string();
        client.send("POST", GENERATE, &[JSON], body.as_bytes()).await;
        drawing.push(client);
    }
    until("three are drawn", || world.gateway.shared.metrics.requests_in_flight.get() == 3).await;
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer).await;
    assert_eq!(answer, b"", "it made room for the third");
    let mut full = world.client().await;
    let refused = full.receive().await.unwrap();
    assert_eq!(refused.error(), (503, "connections_full".into(), String::new()));
    assert_eq!((refused.header("retry-after"), refused.header("connection")), ("1", "close"));
    assert_eq!(Client::connect(world.admin).await.lenient().get("/healthz").await.status, 200);
    for mut client in drawing {
        assert_eq!(client.receive().await.unwrap().status, 200);
    }
    assert_eq!((closed(&world, "clients", "made_room"), closed(&world, "clients", "connections_full")), (1, 1));
    assert!(world.metrics().await.contains("easel_connections{listener=\"clients\"} "));
}

#[tokio::test]
async fn who_was_turned_away_and_stays_makes_room() {
    let world = locked("connections: 4").await;
    stop_the_clock();
    let head = format!("POST {GENERATE} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000\r\n\r\n{{");
    let mut strangers = Vec::new();
    for _ in 0..4 {
        let mut stranger = connected(world.addr, head.as_bytes()).await;
        let mut answer = [0; 12];
        stranger.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
        strangers.push(stranger);
    }
    let mut client = world.client().await;
    client.send("GET", "/v1/models", &[GOOD], b"").await;
    assert_eq!(client.receive().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_that_drips_through_to_another_service_makes_room() {
    let app = App::start().await;
    let server = format!("server: {{passthrough: \"{}\", limits: {{connections: 2}}}}\n", app.url);
    let world = World::new(&format!("{server}{}", route(&["stability/core"]))).await;
    let head = b"POST /app HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000\r\n\r\nx";
    let _dripping = [connected(world.addr, head).await, connected(world.addr, head).await];
    app.until(|book| book.open == 2).await;
    let mut answered = 0;
    for _ in 0..3 {
        let mut client = world.client().await;
        client.send("GET", "/v1/models", &[], b"").await;
        answered += usize::from(client.receive().await.unwrap().status);
    }
    assert_eq!(answered, 600);
    app.until(|book| book.open == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_system_has_few_files_there_are_fewer_connections_and_health_is_told_still() {
    let folder = tempfile::tempdir().unwrap();
    let path = commands::config(folder.path(), &route(&["stability/core"]));
    let served = Served::start_with_files(300, &path, "http://127.0.0.1:1");
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(connected(served.addr, b"GET / HTTP/1.1\r\n").await);
    }
    for _ in 0..3 {
        assert_eq!(Client::connect(served.addr).await.get("/v1/models").await.status, 200);
        assert_eq!(Client::connect(served.admin).await.lenient().get("/healthz").await.status, 200);
    }
    let page = Client::connect(served.admin).await.lenient().get("/metrics").await.text();
    let open = page.lines().find_map(|line| line.strip_prefix("easel_connections{listener=\"clients\"} ")).unwrap();
    assert!(open.parse::<usize>().unwrap() <= 22, "{open}");
}

#[tokio::test]
async fn health_is_told_while_strangers_hold_the_operators_listener() {
    let world = plain().await;
    let mut strangers = Vec::new();
    for _ in 0..150 {
        strangers.push(connected(world.admin, b"GET /healthz HTTP/1.1\r\n").await);
    }
    until("most are taken in", || closed(&world, "admin", "made_room") >= 20).await;
    for _ in 0..3 {
        assert_eq!(Client::connect(world.admin).await.lenient().get("/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn a_good_key_is_served_beside_strangers_in_every_phase_over_both_versions() {
    let world = locked("in_flight: 4").await;
    let mut strangers = Vec::new();
    for nth in 0..60 {
        let key = if nth % 2 == 0 { "authorization: Bearer wrong\r\n" } else { "" };
        let head = format!("POST {GENERATE} HTTP/1.1\r\nhost: localhost\r\n{key}content-type: application/json\r\n");
        let end = if nth % 3 == 0 { "" } else { "content-length: 100\r\n\r\n{" };
        strangers.push(connected(world.addr, format!("{head}{end}").as_bytes()).await);
    }
    let (mut crowds, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        let mut crowd = Connection::open(world.addr, WIDE).await;
        for _ in 0..100 {
            let (answer, mut sender) = crowd.begin("POST", GENERATE, &[JSON], false).await;
            sender.send_data("{".into(), false).unwrap();
            streams.push((answer, sender));
        }
        crowds.push(crowd);
    }
    let mut connection = Connection::open(world.addr, WIDE).await;
    for nth in 0..5 {
        let body = ask(&format!("fox {nth}"));
        assert_eq!(world.draw_with(body.clone(), &[GOOD]).await.status, 200);
        let (answer, mut sender) = connection.begin("POST", GENERATE, &[JSON, GOOD], false).await;
        sender.send_data(body.to_string().into(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    for (answer, _) in streams {
        assert_eq!(answer.await.unwrap().status(), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_http2_that_goes_on_and_on_is_cut_off() {
    let world = plain().await;
    let mut stream = connected(world.addr, &[PREFACE, HALF_A_HEAD].concat()).await;
    // CONTINUATION of stream 1: a hundred fields of nine bytes.
    let more = [b"\0\x03\x84\x09\0\0\0\0\x01".to_vec(), b"\0\x02xy\x04zzzz".repeat(100)].concat();
    let mut sent = 0;
    while stream.write_all(&more).await.is_ok() {
        sent += more.len();
        assert!(sent < 64 << 20, "it is still read");
    }
    assert_eq!(world.client().await.get("/v1/models").await.status, 200);
}

#[tokio::test]
async fn a_client_that_resets_its_streams_has_no_more_of_them_served_than_it_may_have_open() {
    let world = World::new(&route(&["openai/gpt-image-2"])).await;
    world.set(Name::OpenAi, |vendor| vendor.latency = Duration::from_secs(60));
    let in_flight = || world.gateway.shared.metrics.requests_in_flight.get();
    let mut connection = Connection::open(world.addr, WIDE).await;
    let told = loop {
        let body = ask(&format!("fox {}", fastrand::u64(..))).to_string();
        let (answer, mut sender) = match connection.try_begin("POST", GENERATE, &[JSON], false).await {
            Ok(stream) => stream,
            Err(error) => break error,
        };
        let before = in_flight();
        sender.send_data(body.into(), true).unwrap();
        until("it is served", || in_flight() >= (before + 1).min(100)).await;
        // What was not sent yet would never be.
        for _ in 0..200 {
            yield_now().await;
        }
        sender.send_reset(h2::Reason::CANCEL);
        drop(answer);
    };
    assert_eq!(in_flight(), 100);
    assert_eq!(told.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM), "{told}");
}
