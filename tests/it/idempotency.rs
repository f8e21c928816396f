//! Requests with an idempotency key: sent twice and paid for once, whatever happens in between.

use std::process::Stdio;
use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Mode, Name, Sandbox, Settings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::{Answer, Client};
use crate::commands::Served;
use crate::painter::{Act, Painter};
use crate::stream::events;
use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with};

const EDIT: &str = "/v1/images/edits";

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A painter's account `a` behind a route without a cache, and `more` lines before that.
fn config(painter: &Painter, more: &str, route: &str) -> String {
    format!(
        "{more}\nproviders:\n{}routes:\n  - {{name: r, match: {{models: [m]}}, offers: [a/m], cache: false{route}}}\n",
        painter.provider("a", "")
    )
}

/// The sandbox's Stability behind a route without a cache; `server` are further keys of the server.
fn sandboxed(server: &str, route: &str) -> String {
    format!(
        "server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0{server}}}\n{PROVIDERS}routes:\n  - {{name: r, match: \
         {{models: [m]}}, offers: [stability/core], cache: false{route}}}\n"
    )
}

async fn keyed(world: &World, key: &str, body: Value) -> Answer {
    world.draw_with(body, &[("idempotency-key", key)]).await
}

fn word(answer: &Answer) -> &str {
    answer.header("x-easel-idempotency")
}

/// The pictures of an answer, as it gives them.
fn data(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].clone()
}

async fn count(world: &World, result: &str) -> u64 {
    let line = format!("easel_idempotency_requests_total{{result=\"{result}\"}} ");
    let page = world.metrics().await;
    page.lines().find_map(|shown| shown.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

/// Waits until so many requests were answered, or begun, with this result.
async fn until(world: &World, result: &str, many: u64) {
    let reached = async {
        while count(world, result).await < many {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("it never came to it");
}

async fn post(addr: std::net::SocketAddr, key: &str, body: &Value) -> Answer {
    Client::connect(addr).await.post_with(GENERATE, body, &[("idempotency-key", key)]).await
}

#[tokio::test]
async fn the_same_key_and_request_get_the_same_pictures_and_are_paid_for_once() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    let first = keyed(&world, "order-1", ask_with("a fox", json!({"n": 2}))).await;
    assert_eq!((word(&first), first.header("x-easel-cost-usd")), ("first", "0.02"));
    for control in ["no-cache", "no-store", "max-age=100"] {
        let headers = [("idempotency-key", "order-1"), ("cache-control", control), ("x-easel-max-usd", "0")];
        let again = world.draw_with(ask_with("a fox", json!({"n": 2})), &headers).await;
        assert_eq!(data(&again), data(&first));
        assert_eq!((word(&again), again.header("x-easel-cache")), ("replayed", "replayed"));
        assert_eq!((again.header("x-easel-cost-usd"), again.header("x-easel-attempts")), ("0", "0"));
        for same in ["x-easel-route", "x-easel-served-by", "x-easel-image-ids", "x-easel-size"] {
            assert_eq!(again.header(same), first.header(same), "{same}");
        }
    }
    assert_eq!(world.spent(), usd("0.02"));
    assert_eq!(word(&keyed(&world, "order-2", ask_with("a fox", json!({"n": 2}))).await), "first");
    assert_eq!(world.spent(), usd("0.04"), "another key is another request");
    let without = world.draw(ask("a fox")).await;
    assert_eq!((without.status, word(&without)), (200, ""));
    assert_eq!((count(&world, "first").await, count(&world, "replayed").await), (2, 3));
}

#[tokio::test]
async fn another_request_with_the_same_key_is_told_so_and_nothing_is_paid() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    assert_eq!(word(&keyed(&world, "k", ask("a fox")).await), "first");
    for other in [
        ask("a hen"),
        ask_with("a fox", json!({"n": 2})),
        ask_with("a fox", json!({"seed": 1})),
        ask_with("a fox", json!({"stream": true})),
        ask_with("a fox", json!({"response_format": "url"})),
    ] {
        let refused = keyed(&world, "k", other).await;
        assert_eq!(refused.error(), (409, "idempotency_key_reused".into(), "idempotency-key".into()));
        assert_eq!((refused.header("x-should-retry"), word(&refused)), ("false", ""));
    }
    assert_eq!((painter.asked().len(), count(&world, "reused").await), (1, 5));
    for (bad, why) in [("", "empty"), (&*"x".repeat(256), "longer"), ("caf\u{e9}", "ASCII")] {
        let refused = keyed(&world, bad, ask("a fox")).await;
        assert_eq!(refused.error(), (400, "invalid_value".into(), "idempotency-key".into()), "{bad}");
        assert!(refused.text().contains(why), "{}", refused.text());
    }
    let two = world.draw_with(ask("a fox"), &[("idempotency-key", "k"), ("idempotency-key", "k")]).await;
    assert!(two.status == 400 && two.text().contains("more than once"), "{}", two.text());
}

#[tokio::test]
async fn two_tenants_with_one_key_do_not_meet() {
    let painter = Painter::open(&[]).await;
    let hash = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let clients =
        format!("clients: [{{name: a, key_sha256: '{}'}}, {{name: b, key_sha256: '{}'}}]", hash("ka"), hash("kb"));
    let world = World::new(&config(&painter, &clients, "")).await;
    let ask_as = async |client: &str, prompt: &str| {
        let bearer = format!("Bearer {client}");
        world.draw_with(ask(prompt), &[("authorization", &bearer), ("idempotency-key", "k")]).await
    };
    let (a, b) = (ask_as("ka", "a fox").await, ask_as("kb", "a hen").await);
    assert_eq!((word(&a), word(&b)), ("first", "first"), "{} {}", a.text(), b.text());
    assert_ne!(data(&a), data(&b));
    assert_eq!(data(&ask_as("ka", "a fox").await), data(&a));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_at_once_with_one_key_one_is_drawn_and_all_get_it() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    painter.hold(&["a"]);
    let crowd = futures_util::future::join_all((0..20).map(|number| {
        let control = if number % 2 == 0 { "no-store" } else { "max-age=1" };
        let world = &world;
        async move { world.draw_with(ask("a fox"), &[("idempotency-key", "k"), ("cache-control", control)]).await }
    }));
    let release = async {
        until(&world, "joined", 19).await;
        painter.hold(&[]);
    };
    let (answers, ()) = tokio::join!(crowd, release);
    assert!(answers.iter().all(|answer| data(answer) == data(&answers[0])));
    assert_eq!(answers.iter().filter(|answer| word(answer) == "first").count(), 1);
    let joined: Vec<&Answer> = answers.iter().filter(|answer| word(answer) == "joined").collect();
    assert!(joined.len() == 19 && joined.iter().all(|answer| answer.header("x-easel-cost-usd") == "0"));
    assert_eq!((painter.asked().len(), world.spent()), (1, usd("0.01")));
}

#[tokio::test]
async fn a_client_that_gave_up_joins_its_own_request_and_later_gets_the_pictures() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    painter.hold(&["a"]);
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let mut client = world.client().await;
    client.send("POST", GENERATE, &headers, ask("a fox").to_string().as_bytes()).await;
    until(&world, "first", 1).await;
    drop(client);
    let again = keyed(&world, "k", ask("a fox"));
    let release = async {
        until(&world, "joined", 1).await;
        painter.hold(&[]);
    };
    let (joined, ()) = tokio::join!(again, release);
    let later = keyed(&world, "k", ask("a fox")).await;
    assert_eq!((word(&joined), word(&later)), ("joined", "replayed"));
    assert_eq!(data(&joined), data(&later));
    assert_eq!((painter.asked().len(), world.spent()), (1, usd("0.01")));
}

#[tokio::test]
async fn pictures_that_come_after_the_deadline_are_the_answer_to_the_next_request() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", ", deadline: 200ms")).await;
    painter.hold(&["a"]);
    let late = keyed(&world, "k", ask("a fox")).await;
    assert_eq!((late.error().1.as_str(), word(&late)), ("deadline_exceeded", "first"));
    let joined = keyed(&world, "k", ask("a fox")).await;
    assert_eq!((joined.error().1.as_str(), word(&joined)), ("deadline_exceeded", "joined"), "it is under way");
    painter.hold(&[]);
    world.idle().await;
    let answer = keyed(&world, "k", ask("a fox")).await;
    assert_eq!((data(&answer).as_array().unwrap().len(), word(&answer)), (1, "replayed"));
    assert_eq!((painter.asked().len(), world.spent()), (1, usd("0.01")));
}

#[tokio::test]
async fn what_failed_for_nothing_may_be_tried_again_and_what_was_charged_may_not() {
    let painter = Painter::open(&[Act::Fails]).await;
    let world = World::new(&config(&painter, "", ", attempts: {max: 1}")).await;
    let failed = keyed(&world, "k", ask("a fox")).await;
    assert_eq!((failed.status, word(&failed)), (502, "first"), "{}", failed.text());
    let drawn = keyed(&world, "k", ask("a fox")).await;
    assert_eq!((drawn.status, word(&drawn)), (200, "first"));
    painter.act(&[Act::Scribbles]);
    let broken = keyed(&world, "broken", ask("a hen")).await;
    assert_ne!(broken.status, 200);
    let spent = world.spent();
    let refused = keyed(&world, "broken", ask("a hen")).await;
    assert_eq!(refused.error(), (409, "idempotency_paid_failure".into(), "idempotency-key".into()));
    assert_eq!((world.spent(), count(&world, "failed").await), (spent, 1));
}

#[tokio::test]
async fn a_partial_answer_stays_the_answer() {
    let painter = Painter::open(&[Act::Smudges]).await;
    let world = World::new(&config(&painter, "", ", attempts: {max: 1}")).await;
    let first = keyed(&world, "k", ask_with("foxes", json!({"n": 3, "seed": 5}))).await;
    let again = keyed(&world, "k", ask_with("foxes", json!({"n": 3, "seed": 5}))).await;
    assert_eq!((word(&first), word(&again)), ("first", "replayed"));
    assert_eq!(first.header("x-easel-partial"), "2/3");
    assert_eq!((data(&first), first.header("x-easel-partial")), (data(&again), again.header("x-easel-partial")));
}

#[tokio::test]
async fn a_stream_is_answered_again_as_a_stream_and_joined_as_one() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "", "")).await;
    let body = ask_with("foxes", json!({"n": 2, "stream": true}));
    painter.hold(&["a"]);
    let release = async {
        until(&world, "joined", 1).await;
        painter.hold(&[]);
    };
    let (first, joined, ()) = tokio::join!(keyed(&world, "k", body.clone()), keyed(&world, "k", body.clone()), release);
    let replayed = keyed(&world, "k", body).await;
    let pictures = |answer: &Answer| -> Vec<String> {
        let events = events(&answer.text());
        assert!(events.iter().all(|(name, _)| name == "image_generation.completed"), "{events:?}");
        let mut each: Vec<String> = events.iter().map(|(_, data)| data["b64_json"].to_string()).collect();
        each.sort();
        each
    };
    assert_eq!((pictures(&first).len(), word(&replayed)), (2, "replayed"));
    assert_eq!((pictures(&first), pictures(&first)), (pictures(&joined), pictures(&replayed)));
    assert_eq!((replayed.header("content-type"), world.spent()), ("text/event-stream", usd("0.02")));
}

/// A form with a picture, cut at `boundary`.
fn form(boundary: &str, side: u32, prompt: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in [("model", "m"), ("prompt", prompt)] {
        body.extend(
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes(),
        );
    }
    let head = "content-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\ncontent-type: image/png";
    body.extend(format!("--{boundary}\r\n{head}\r\n\r\n").into_bytes());
    body.extend(&*crate::exchange::png(image::RgbaImage::from_pixel(side, side, image::Rgba([9, 9, 9, 255]))));
    body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    body
}

#[tokio::test]
async fn an_edit_sent_again_with_another_boundary_is_the_same_and_with_another_file_is_not() {
    let text = sandboxed("", "").replace("stability/core", "openai/gpt-image-2");
    let world = World::new(&text).await;
    let edit = async |boundary: &str, side: u32| {
        let mut client = world.client().await;
        let media = format!("multipart/form-data; boundary={boundary}");
        let headers = [("content-type", media.as_str()), ("idempotency-key", "k")];
        client.send("POST", EDIT, &headers, &form(boundary, side, "make it night")).await;
        client.receive().await.unwrap()
    };
    let (first, again, other) = (edit("one", 64).await, edit("two", 64).await, edit("one", 65).await);
    assert_eq!((word(&first), word(&again)), ("first", "replayed"), "{}", first.text());
    assert_eq!(data(&first), data(&again));
    assert_eq!(other.error().1, "idempotency_key_reused");
    let generation = keyed(&world, "k", json!({"model": "m", "prompt": "make it night"})).await;
    assert_eq!(generation.error().1, "idempotency_key_reused", "an edit is no generation");
    assert_eq!(world.bill(Name::OpenAi).pictures, 1);
}

#[tokio::test]
async fn pictures_that_had_no_room_are_told_to_be_gone_and_are_not_bought_again() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, "server: {idempotency: {pictures: 10B}}", "")).await;
    assert_eq!(word(&keyed(&world, "k", ask("a fox")).await), "first");
    let gone = keyed(&world, "k", ask("a fox")).await;
    assert_eq!(gone.error(), (410, "idempotency_pictures_gone".into(), "idempotency-key".into()));
    assert_eq!((painter.asked().len(), count(&world, "gone").await), (1, 1));
    let page = world.metrics().await;
    for line in [
        "easel_idempotency_keys 1",
        "easel_idempotency_bytes 0",
        "easel_idempotency_dropped_total{what=\"pictures\"} 1",
        "easel_idempotency_dropped_total{what=\"key\"} 0",
    ] {
        assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
    }
}

fn serve(folder: &std::path::Path, sandbox: &Sandbox, more: &str) -> Served {
    let path = folder.join("easel.yaml");
    let state = format!(", state_dir: '{}'{more}", folder.join("state").display());
    std::fs::write(&path, sandboxed(&state, "")).unwrap();
    Served::start(&path, &sandbox.url(), &[], Stdio::null())
}

async fn sandbox() -> Sandbox {
    Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap()
}

fn drawn_by(sandbox: &Sandbox) -> u64 {
    sandbox.invoice().vendor(Name::Stability).pictures
}

#[tokio::test]
async fn after_kill_9_the_same_key_gets_the_same_pictures_and_links_to_them() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let served = serve(folder.path(), &sandbox, "");
    let (file, link) = (ask_with("a fox", json!({"n": 2})), ask_with("a fox", json!({"response_format": "url"})));
    let first = post(served.addr, "file", &file).await;
    let linked = post(served.addr, "link", &link).await;
    assert_eq!((word(&first), word(&linked)), ("first", "first"), "{}", first.text());
    served.signal("KILL");
    drop(served);

    let again = serve(folder.path(), &sandbox, "");
    let answer = post(again.addr, "file", &file).await;
    assert_eq!((data(&answer), word(&answer)), (data(&first), "replayed"));
    assert_eq!(answer.header("x-easel-image-ids"), first.header("x-easel-image-ids"));
    let other = post(again.addr, "file", &ask("a hen")).await;
    assert_eq!(other.error().1, "idempotency_key_reused");
    let answer = post(again.addr, "link", &link).await;
    let url = data(&answer)[0]["url"].as_str().unwrap().to_owned();
    let path = url.split_once("/v1/").map(|(_, rest)| format!("/v1/{rest}")).unwrap();
    let picture = Client::connect(again.addr).await.get(&path).await;
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"), "{url}");
    assert_eq!(drawn_by(&sandbox), 3);
    drop(again);

    // A file that somebody changed or took away is no answer.
    for entry in std::fs::read_dir(folder.path().join("state/answers")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let third = serve(folder.path(), &sandbox, "");
    for _ in 0..2 {
        assert_eq!(post(third.addr, "file", &file).await.error().1, "idempotency_pictures_gone");
    }
    std::fs::remove_dir_all(folder.path().join("state/answers")).unwrap();
    drop(third);
    let fourth = serve(folder.path(), &sandbox, "");
    assert_eq!(post(fourth.addr, "link", &link).await.error().1, "idempotency_pictures_gone");
    assert_eq!(drawn_by(&sandbox), 3);
}

#[tokio::test]
async fn what_was_under_way_at_kill_9_and_may_have_been_charged_is_not_bought_again_in_silence() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let served = serve(folder.path(), &sandbox, "");
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let mut client = Client::connect(served.addr).await;
    client.send("POST", GENERATE, &headers, ask("a fox").to_string().as_bytes()).await;
    sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    served.signal("KILL");
    drop(served);
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    let calls = sandbox.invoice().vendor(Name::Stability).calls;
    for _ in 0..2 {
        let again = serve(folder.path(), &sandbox, "");
        let told = post(again.addr, "k", &ask("a fox")).await;
        assert_eq!(told.error(), (409, "idempotency_interrupted".into(), "idempotency-key".into()));
        assert_eq!(told.header("x-should-retry"), "false");
        served_well(&again, "fresh key", &sandbox).await;
    }
    assert_eq!(sandbox.invoice().vendor(Name::Stability).calls, calls + 1, "the fresh key is answered again");
}

/// A key that is known to nobody, or was used for the same before, gets a picture.
async fn served_well(served: &Served, key: &str, sandbox: &Sandbox) {
    let answer = post(served.addr, key, &ask("a hen")).await;
    assert_eq!((answer.status, drawn_by(sandbox)), (200, 1), "{}", answer.text());
}

#[tokio::test]
async fn a_request_that_had_paid_nothing_when_its_process_ended_is_drawn_by_the_next() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let served = serve(folder.path(), &sandbox, "");
    // A provider of one slot, which somebody without a key holds.
    let path = folder.path().join("easel.yaml");
    drop(served);
    let text = std::fs::read_to_string(&path).unwrap().replace(
        "base_url: ${SANDBOX}/stability/",
        "base_url: ${SANDBOX}/stability/\n    concurrency: {limit: 1, max_wait: 20s}",
    );
    std::fs::write(&path, &text).unwrap();
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::null());
    let mut holder = Client::connect(served.addr).await;
    let json = [("content-type", "application/json")];
    holder.send("POST", GENERATE, &json, ask("a hen").to_string().as_bytes()).await;
    sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    let mut waits = Client::connect(served.addr).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    waits.send("POST", GENERATE, &headers, ask("a fox").to_string().as_bytes()).await;
    let ledger = folder.path().join("state/ledger.sqlite3");
    let noted = async {
        while rows(&ledger) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noted).await.expect("the key is never written down");
    served.signal("KILL");
    drop(served);
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    let again = Served::start(&path, &sandbox.url(), &[], Stdio::null());
    let drawn = post(again.addr, "k", &ask("a fox")).await;
    assert_eq!((drawn.status, word(&drawn)), (200, "first"), "{}", drawn.text());
}

/// Idempotency keys in a ledger.
fn rows(ledger: &std::path::Path) -> i64 {
    let ledger = rusqlite::Connection::open(ledger).unwrap();
    ledger.query_row("SELECT count(*) FROM idempotency_keys", [], |row| row.get(0)).unwrap()
}
