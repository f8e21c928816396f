//! No byte of one request is taken for another's, whatever a client or a service does to the ends of bodies.

use bytes::Bytes;
use easel::sandbox::Name;
use h2::Reason;
use serde_json::json;

use crate::app::App;
use crate::client::Client;
use crate::h2::{Connection, WIDE, whole};
use crate::world::{GENERATE, World, ask, route};

async fn before(app: &App) -> World {
    World::new(&format!("server: {{passthrough: \"{}\"}}\n{}", app.url, route(&["stability/core"]))).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Another request, in the hope that it is read as one.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/// Everything that is answered to `request`, until the connection is closed.
async fn answered(world: &World, request: &str) -> String {
    let mut client = world.client().await;
    client.raw(request.as_bytes()).await;
    String::from_utf8_lossy(&client.until_closed().await).into_owned()
}

fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

#[tokio::test]
async fn a_body_over_http2_is_passed_on_with_one_end_however_it_ends() {
    let app = App::start().await;
    let world = before(&app).await;
    let mut connection = Connection::open(world.addr, WIDE).await;
    for round in 0..4 {
        for (way, headers) in [("last", &[][..]), ("empty", &[]), ("two", &[]), ("none", &[]), ("trailers", &[])]
            .into_iter()
            .chain([("empty", &[("content-length", "5")][..]), ("none", &[("content-length", "0")])])
        {
            let path = format!("/{way}/{round}/{}", headers.len());
            let (answer, mut sender) = connection.begin("POST", &path, headers, false).await;
            if way != "none" {
                sender.send_data(Bytes::from_static(b"hello"), way == "last").unwrap();
            }
            match way {
                "two" => {
                    sender.send_data(Bytes::new(), false).unwrap();
                    sender.send_data(Bytes::new(), true).unwrap();
                }
                "trailers" => sender.send_trailers(http::HeaderMap::new()).unwrap(),
                "last" => {}
                _ => sender.send_data(Bytes::new(), true).unwrap(),
            }
            let told = format!("POST {path} {}", if way == "none" { "" } else { "hello" });
            assert_eq!(whole(answer).await, (200, told.into_bytes()));
            // Whoever comes next is answered on his own account.
            let (answer, _) = connection.begin("GET", "/other", &[], true).await;
            assert_eq!(whole(answer).await, (200, b"GET /other ".to_vec()));
        }
    }
    drop(connection);
    assert_eq!(app.book().strays, [""; 0]);
    assert!(app.book().requests.iter().all(|seen| seen.whole));
}

#[tokio::test]
async fn a_body_over_http2_that_ends_in_an_empty_frame_is_read_on_our_own_paths() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut connection = Connection::open(world.addr, WIDE).await;
    for number in 0..3 {
        let (answer, mut sender) = connection.begin("POST", GENERATE, &[JSON], false).await;
        sender.send_data(ask(&format!("fox {number}")).to_string().into(), false).unwrap();
        sender.send_data(Bytes::new(), true).unwrap();
        assert_eq!(whole(answer).await.0, 200);
    }
    assert_eq!(world.bill(Name::Stability).pictures, 3);
}

#[tokio::test]
async fn a_request_that_is_reset_in_the_middle_never_looks_whole_to_the_service() {
    let app = App::start().await;
    let world = before(&app).await;
    let mut connection = Connection::open(world.addr, WIDE).await;
    let mut number = 0;
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        for headers in [&[][..], &[("content-length", "10")]] {
            let (answer, mut sender) = connection.begin("POST", "/half", headers, false).await;
            sender.send_data(Bytes::from_static(b"half"), false).unwrap();
            app.until(|book| book.requests.get(number).is_some_and(|seen| seen.body == b"half")).await;
            sender.send_reset(reason);
            assert!(answer.await.is_err());
            let book = app.closed().await;
            assert!(!book.requests[number].whole, "{reason:?} {headers:?}");
            number += 1;
        }
    }
    // A client that is gone altogether.
    let (_answer, mut sender) = connection.begin("POST", "/half", &[], false).await;
    sender.send_data(Bytes::from_static(b"half"), false).unwrap();
    app.until(|book| book.requests.get(number).is_some_and(|seen| seen.body == b"half")).await;
    drop(connection);
    let book = app.closed().await;
    assert!(book.requests.iter().all(|seen| !seen.whole) && book.strays.is_empty(), "{book:?}");
    assert_eq!(world.client().await.lenient().get("/other").await.text(), "GET /other ");
}

#[tokio::test]
async fn a_half_sent_request_of_http1_never_looks_whole_to_the_service() {
    let app = App::start().await;
    let world = before(&app).await;
    for (number, framing) in
        ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"].into_iter().enumerate()
    {
        let mut client = world.client().await;
        client.raw(format!("POST /half HTTP/1.1\r\nhost: x\r\n{framing}").as_bytes()).await;
        app.until(|book| book.requests.get(number).is_some_and(|seen| seen.body == b"half")).await;
        drop(client);
        assert!(!app.closed().await.requests[number].whole, "{framing}");
    }
    assert_eq!(app.book().strays, [""; 0]);
}

#[tokio::test]
async fn a_request_that_is_reset_in_the_middle_costs_nothing_and_hurts_nobody_beside_it() {
    let world = World::new(&route(&["stability/core"])).await;
    let mut connection = Connection::open(world.addr, WIDE).await;
    let body = ask("a fox").to_string();
    let length = (body.len() + 10).to_string();
    for headers in [&[JSON][..], &[JSON, ("content-length", length.as_str())]] {
        let (answer, mut sender) = connection.begin("POST", GENERATE, headers, false).await;
        sender.send_data(body.clone().into(), false).unwrap();
        sender.send_reset(Reason::CANCEL);
        assert!(answer.await.is_err());
    }
    // A length that its data does not keep is a reset too, from the other side.
    for length in [body.len() - 1, body.len() + 1] {
        let length = length.to_string();
        let (answer, mut sender) =
            connection.begin("POST", GENERATE, &[JSON, ("content-length", &length)], false).await;
        let _ = sender.send_data(body.clone().into(), true);
        match answer.await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 400),
            Err(error) => assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR)),
        }
    }
    let answer = connection.post(GENERATE, &ask("another fox")).await;
    assert_eq!((whole(answer).await.0, world.bill(Name::Stability).calls), (200, 1));
}

/// Chunked bodies whose end nobody can find.
const BROKEN: [&str; 7] = [
    "0xf\r\n{\"prompt\":\"t1\"}\r\n",
    "f\r\n{\"prompt\":\"t1\"}XX",
    "-1\r\n",
    "1000000000000000f\r\n",
    "f\n{\"prompt\":\"t1\"}\r\n",
    "zz\r\n",
    "f\r\n{\"prompt\":\"t1\"}\r\n0\r\nx: y\nz\r\n\r\n",
];

#[tokio::test]
async fn after_a_chunk_that_is_none_the_client_is_told_and_the_connection_is_closed() {
    let app = App::start().await;
    let world = before(&app).await;
    for path in [GENERATE, "/v1/images/edits", "/v1/images/feedback", "/app"] {
        for broken in BROKEN {
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
            let got = answered(&world, &format!("{head}transfer-encoding: chunked\r\n\r\n{broken}{NEXT}")).await;
            assert!(got.starts_with("HTTP/1.1 400") && answers(&got) == 1, "{path} {broken:?}: {got}");
            let told = got.to_ascii_lowercase();
            assert!(told.contains("connection: close") && told.contains("body_incomplete"), "{path} {broken:?}: {got}");
        }
    }
    let book = app.closed().await;
    assert!(book.requests.iter().all(|seen| !seen.whole && seen.line() == "POST /app"), "{book:?}");
    assert_eq!((book.strays, world.bill(Name::Stability).calls), (vec![], 0));
}

#[tokio::test]
async fn a_chunked_body_that_does_not_end_plainly_is_the_last_on_its_connection() {
    let app = App::start().await;
    let world = before(&app).await;
    let body = ask("a fox").to_string();
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    for path in [GENERATE, "/app"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        for end in
            ["\r\n\r\n", ";x\r\n\r\n", "00\r\n\r\n", "0\r\nx: y\r\n\r\n", "\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n"]
        {
            let got = answered(&world, &format!("{head}{chunk}{end}")).await;
            assert!(
                answers(&got) == 1 && got.to_ascii_lowercase().contains("connection: close"),
                "{end:?}: {got:.300}"
            );
        }
        let mut client = world.client().await.lenient();
        for _ in 0..2 {
            client.raw(format!("{head}{chunk}0\r\n\r\n").as_bytes()).await;
            assert_eq!(client.receive().await.unwrap().status, 200, "a plain end leaves the connection open");
        }
    }
}

#[tokio::test]
async fn extensions_of_chunks_and_trailers_have_a_bound_and_small_ones_are_no_harm() {
    let app = App::start().await;
    let world = before(&app).await;
    let body = ask("a fox").to_string();
    let whole_chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let long = "e".repeat(4000);
    let chunks = |extension: &str, count: usize| format!("1;{extension}\r\n \r\n").repeat(count);
    let heavy = [
        format!("{}{whole_chunk}0\r\n\r\n", chunks(&long, 100)),
        format!("{}{whole_chunk}0\r\n\r\n", chunks(&long[..100], 4000)),
        format!("{whole_chunk}0\r\n{}\r\n", format!("x: {long}\r\n").repeat(100)),
        format!("{whole_chunk}0\r\nx: {}\r\n\r\n", long.repeat(100)),
        format!("{whole_chunk}0;{}\r\n\r\n", long.repeat(100)),
    ];
    let light = [
        format!("{}{whole_chunk}0\r\n\r\n", chunks(&long, 4)),
        format!("{whole_chunk}0\r\nx: {long}\r\n\r\n"),
        // A byte a chunk is no crime.
        format!("{}{whole_chunk}0\r\n\r\n", "1\r\n \r\n".repeat(30_000)),
    ];
    for path in [GENERATE, "/app"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        for heavy in &heavy {
            let got = answered(&world, &format!("{head}{heavy}{NEXT}")).await;
            assert!(got.starts_with("HTTP/1.1 400") && answers(&got) == 1, "{path} {heavy:.40}: {got}");
        }
        for light in &light {
            let got = answered(&world, &format!("{head}{light}")).await;
            assert!(got.starts_with("HTTP/1.1 200"), "{path} {light:.40}: {got:.300}");
        }
    }
    let book = app.closed().await;
    assert_eq!((book.strays.len(), book.requests.iter().filter(|seen| seen.whole).count()), (0, light.len()));
}

#[tokio::test]
async fn equal_lengths_are_passed_on_as_one_and_end_the_connection() {
    let app = App::start().await;
    let world = before(&app).await;
    for lengths in ["content-length: 5, 5", "content-length: 5\r\ncontent-length: 5", "content-length: 5 ,5"] {
        let got = answered(&world, &format!("POST /app HTTP/1.1\r\nhost: x\r\n{lengths}\r\n\r\nhello{NEXT}")).await;
        assert!(got.ends_with("POST /app hello") && answers(&got) == 1, "{lengths}: {got}");
        let body = ask("a fox").to_string();
        let lengths = lengths.replace('5', &body.len().to_string());
        let head = format!("POST {GENERATE} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
        let got = answered(&world, &format!("{head}{lengths}\r\n\r\n{body}{NEXT}")).await;
        assert!(got.starts_with("HTTP/1.1 200") && answers(&got) == 1, "{lengths}: {got:.300}");
    }
    let twin = "host: x\r\ncontent-length: 5\r\ncontent_length: 50\r\n\r\nhello";
    let twin = answered(&world, &format!("POST /app HTTP/1.1\r\n{twin}{NEXT}")).await;
    assert!(twin.ends_with("POST /app hello"));
    for seen in app.closed().await.requests {
        assert_eq!((seen.header("content-length"), seen.header("content_length")), (vec!["5"], vec![]), "{seen:?}");
    }
    for lengths in ["5, 6", "+5", "-5", "0x5", "", "5;5", "99999999999999999999999"] {
        let rest = format!("host: x\r\ncontent-length: {lengths}\r\n\r\nhello{NEXT}");
        let got = answered(&world, &format!("POST /app HTTP/1.1\r\n{rest}")).await;
        assert!(got.starts_with("HTTP/1.1 400") && answers(&got) == 1, "{lengths}: {got}");
    }
    assert_eq!(app.book().requests.len(), 4);
}

#[tokio::test]
async fn a_transfer_coding_with_two_readings_is_refused_before_anybody_sees_it() {
    let app = App::start().await;
    let world = before(&app).await;
    for path in [GENERATE, "/app", "/v1/models"] {
        for coding in [
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: chunked, identity",
            "transfer-encoding: identity",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
            "transfer-encoding: xchunked",
            "transfer-encoding:\r\n chunked",
            "transfer-encoding : chunked",
            "transfer-encoding: \x0bchunked",
            "transfer-encoding: \"chunked\"",
            "transfer-encoding:",
            " transfer-encoding: chunked",
        ] {
            let rest = format!("host: x\r\ncontent-type: application/json\r\n{coding}\r\n\r\n0\r\n\r\n{NEXT}");
            let got = answered(&world, &format!("POST {path} HTTP/1.1\r\n{rest}")).await;
            assert!(got.starts_with("HTTP/1.1 400") && answers(&got) == 1, "{path} {coding:?}: {got}");
        }
        let old = format!("POST {path} HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}");
        let got = answered(&world, &old).await;
        assert!(got.starts_with("HTTP/1.1 400") && answers(&got) == 1, "{got}");
    }
    assert_eq!(app.book().requests.len(), 0);
    // Chunks besides a length: the chunks count, nothing of the rest does.
    for path in [GENERATE, "/app"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
        let both = "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        let got = answered(&world, &format!("{head}{both}{NEXT}")).await;
        assert_eq!(answers(&got), 1, "{path}");
    }
    let seen = &app.closed().await.requests;
    assert_eq!((seen.len(), seen[0].header("content-length").len()), (1, 0), "{seen:?}");
}

#[tokio::test]
async fn a_body_that_a_service_does_not_read_is_nobodys_next_request() {
    let early = |_: &crate::app::EventRole| Some("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly".to_owned());
    let app = App::answering(early).await;
    let world = before(&app).await;
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        let mut client = world.client().await.lenient();
        client.send(method, "/attack", &[], NEXT.as_bytes()).await;
        assert_eq!(client.receive().await.unwrap().text(), "early", "{method}");
        assert_eq!(world.client().await.lenient().get("/victim").await.text(), "early");
    }
    let book = app.book();
    let of = |line: &str| -> Vec<usize> {
        book.requests.iter().filter(|seen| seen.line() == line).map(|seen| seen.connection).collect()
    };
    let victims = of("GET /victim");
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        let attack = of(&format!("{method} /attack"));
        assert!(attack.len() == 1 && !victims.contains(&attack[0]), "{method}: {book:?}");
    }
    // What can leave nothing behind shares its connection.
    assert_eq!((victims.len(), victims.iter().all(|connection| *connection == victims[0])), (4, true), "{book:?}");
}

#[tokio::test]
async fn an_answer_before_the_whole_body_came_ends_both_connections() {
    let early = |seen: &crate::app::EventRole| {
        let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nearly";
        (seen.line() == "POST /upload").then(|| answer.to_owned())
    };
    let app = App::answering(early).await;
    let world = before(&app).await;
    for framing in ["content-length: 1000", "transfer-encoding: chunked", "content-length: 50\r\nexpect: 100-continue"]
    {
        let mut client = world.client().await.lenient();
        client.raw(format!("POST /upload HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n").as_bytes()).await;
        let answer = client.receive().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (413, "close"), "{framing}");
        assert_eq!(world.client().await.lenient().get("/other").await.text(), "GET /other ");
        drop(client);
    }
    let book = app.until(|book| book.open <= 1).await;
    let uploads: Vec<usize> =
        book.requests.iter().filter(|seen| seen.line() == "POST /upload").map(|seen| seen.connection).collect();
    let others = book.requests.iter().filter(|seen| seen.line() == "GET /other");
    assert!(others.map(|seen| seen.connection).all(|other| !uploads.contains(&other)), "{book:?}");
}

#[tokio::test]
async fn what_follows_an_upgrade_that_was_refused_is_no_request() {
    let app = App::start().await;
    let world = before(&app).await;
    for upgrade in ["websocket", "foo", "h2c"] {
        let head = format!("GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n\r\n");
        let mut client = world.client().await.lenient();
        client.raw(head.as_bytes()).await;
        let answer = client.receive().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, "close"), "{upgrade}");
        client.raw(NEXT.as_bytes()).await;
        assert!(client.receive().await.is_none(), "{upgrade}");
    }
    assert!(app.book().requests.iter().all(|seen| seen.line() == "GET /socket"));
}

#[tokio::test]
async fn an_old_client_is_answered_without_chunks_and_its_expectation_is_none() {
    let early = |seen: &crate::app::EventRole| {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let unframed = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello";
        match seen.line() {
            "GET /chunked" => Some(chunked.to_owned()),
            // Its end is the connection's, which this service does not bring about; one byte too many does.
            "GET /length" => Some("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
            _ => Some(unframed.to_owned()),
        }
    };
    let app = App::answering(early).await;
    let world = before(&app).await;
    for path in ["/chunked", "/length"] {
        let got = answered(&world, &format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n")).await;
        assert!(got.ends_with("\r\n\r\nhello") && !got.to_ascii_lowercase().contains("transfer-enc"), "{got}");
    }
    let body = ask("a fox").to_string();
    let head = format!("POST {GENERATE} HTTP/1.0\r\nhost: x\r\ncontent-type: application/json\r\n");
    let length = body.len();
    let got = answered(&world, &format!("{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    assert!(got.starts_with("HTTP/1.1 200") && answers(&got) == 1, "{got:.300}");
}

#[tokio::test]
async fn a_service_that_breaks_its_answer_is_seen_to_and_nobody_else_gets_the_pieces() {
    let early = |seen: &crate::app::EventRole| {
        let answer = match seen.line() {
            "GET /broken" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0xf\r\nx\r\n0\r\n\r\n",
            "GET /more" => {
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"
            }
            "GET /nothing" => "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
            "HEAD /head" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            _ => return None,
        };
        Some(answer.to_owned())
    };
    let app = App::answering(early).await;
    let world = before(&app).await;
    let other = async || assert_eq!(world.client().await.lenient().get("/other").await.text(), "GET /other ");
    other().await;
    let broken = answered(&world, "GET /broken HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!broken.ends_with("0\r\n\r\n"), "{broken}");
    other().await;
    let mut connection = Connection::open(world.addr, WIDE).await;
    let (answer, _) = connection.begin("GET", "/broken", &[], true).await;
    let read = async { crate::h2::body(&mut answer.await?.into_body()).await };
    assert!(read.await.is_err_and(|error| error.is_reset()));
    other().await;
    for (method, path, told) in [("GET", "/more", "hello"), ("GET", "/nothing", ""), ("HEAD", "/head", "")] {
        let got = answered(&world, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(got.ends_with(&format!("\r\n\r\n{told}")) && answers(&got) == 1, "{path}: {got}");
        other().await;
    }
}

#[tokio::test]
async fn a_refused_body_is_answered_and_the_answer_can_be_read_while_it_is_still_sent() {
    let config = format!("server: {{limits: {{request_body: 1KiB}}}}\n{}", route(&["stability/core"]));
    let world = World::new(&config).await;
    let mut client: Client = world.client().await;
    let length = (4 << 20).to_string();
    let headers = [JSON, ("content-length", length.as_str())];
    client.send("POST", GENERATE, &headers, &vec![b' '; 4 << 20]).await;
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.error().0, answer.header("connection")), (413, "close"));
    assert_eq!(client.receive().await.map(|answer| answer.status), None);
    let mut chunked = world.client().await;
    chunked.send("POST", GENERATE, &[JSON, ("transfer-encoding", "chunked")], b"").await;
    chunked.raw(format!("800\r\n{}\r\n0\r\n\r\n{NEXT}", json!("a".repeat(0x7fe))).as_bytes()).await;
    let got = String::from_utf8(chunked.until_closed().await).unwrap();
    assert!(got.starts_with("HTTP/1.1 413") && answers(&got) == 1, "{got}");
}
