//! Bodies that strangers, slow senders and large requests bring: what is refused before it is read, and what all of
//! them together may take.

use easel::sandbox::Name;
use image::{Rgba, RgbaImage};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, advance};

use crate::client::Client;
use crate::exchange;
use crate::h2::{Connection, WIDE};
use crate::readers::stop_the_clock;
use crate::world::{GENERATE, PROVIDERS, World, ask, route};

const EDIT: &str = "/v1/images/edits";
const JSON: (&str, &str) = ("content-type", "application/json");

fn with_limits(limits: &str) -> String {
    let route = "routes: [{name: r, offers: [stability/core, openai/gpt-image-2], cache: false}]";
    format!("server: {{limits: {{{limits}}}}}\n{PROVIDERS}{route}\n")
}

/// A world in which a key is needed: `good`.
pub async fn locked(limits: &str) -> World {
    let hash: String = Sha256::digest(b"good").iter().map(|byte| format!("{byte:02x}")).collect();
    World::new(&format!(
        "server: {{limits: {{{limits}}}}}\n{PROVIDERS}clients: [{{name: web, key_sha256: {hash}}}]\n\
         routes: [{{name: r, offers: [stability/core]}}]\n"
    ))
    .await
}

/// Sends a head that announces `length` bytes, and `some` of them.
async fn begin(world: &World, path: &str, length: usize, some: &[u8], more: &[(&str, &str)]) -> Client {
    let mut client = world.client().await;
    let length = length.to_string();
    let headers = [&[JSON, ("content-length", length.as_str())], more].concat();
    client.send("POST", path, &headers, some).await;
    client
}

/// Waits until so many bytes of bodies are held.
async fn until_held(world: &World, bytes: i64) {
    let gauge = &world.gateway.shared.metrics.request_body_bytes;
    tokio::time::timeout(Duration::from_secs(30), async {
        while gauge.get() != bytes {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} bytes are held, not {bytes}", gauge.get()));
}

#[tokio::test]
async fn who_has_no_key_is_told_before_the_body_is_sent_and_nothing_of_it_is_kept() {
    let world = locked("").await;
    for path in [GENERATE, EDIT, "/v1/images/variations", "/v1/images/feedback"] {
        for key in ["", "Bearer wrong"] {
            let mut client = begin(&world, path, 40 << 20, b"{", &[("authorization", key)]).await;
            let answer = client.receive().await.unwrap();
            assert_eq!((answer.error().0, answer.header("connection")), (401, "close"), "{path}");
        }
    }
    let mut connection = Connection::open(world.addr, WIDE).await;
    for path in [GENERATE, EDIT] {
        let (answer, mut sender) = connection.begin("POST", path, &[JSON], false).await;
        sender.send_data("{".into(), false).unwrap();
        assert_eq!(answer.await.unwrap().status(), 401, "{path}");
    }
    let good = [JSON, ("authorization", "Bearer good")];
    let (answer, mut sender) = connection.begin("POST", GENERATE, &good, false).await;
    sender.send_data(ask("a fox").to_string().into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200, "on the same connection");
    until_held(&world, 0).await;
}

#[tokio::test]
async fn a_mistake_in_the_head_is_told_before_a_large_body_and_after_a_small_one() {
    let world = World::new(&with_limits("")).await;
    let mut large = begin(&world, GENERATE, 900 << 10, b"{", &[("x-easel-max-usd", "much")]).await;
    let answer = large.receive().await.unwrap();
    assert_eq!((answer.error().2.as_str(), answer.header("connection")), ("x-easel-max-usd", "close"));
    let mut client = world.client().await;
    let small = client.post_with(GENERATE, &ask("a fox"), &[("x-easel-max-usd", "much")]).await;
    assert_eq!(small.error().2, "x-easel-max-usd");
    assert_eq!(client.post(GENERATE, &ask("a fox")).await.status, 200);
}

#[tokio::test]
async fn strangers_take_no_place_from_who_has_a_key() {
    let world = locked("in_flight: 1").await;
    let mut strangers = Vec::new();
    for _ in 0..8 {
        strangers.push(begin(&world, GENERATE, 100, b"{", &[("authorization", "Bearer wrong")]).await);
    }
    let mut connection = Connection::open(world.addr, WIDE).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (answer, mut sender) = connection.begin("POST", GENERATE, &[JSON], false).await;
        sender.send_data("{".into(), false).unwrap();
        streams.push((answer, sender));
    }
    for prompt in ["a fox", "a cat"] {
        let answer = world.draw_with(ask(prompt), &[("authorization", "Bearer good")]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_body_on_its_way_takes_no_place() {
    let world = World::new(&with_limits("in_flight: 1")).await;
    let body = ask("a slow fox").to_string();
    let mut slow = begin(&world, GENERATE, body.len(), &body.as_bytes()[..5], &[]).await;
    until_held(&world, 5).await;
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    slow.raw(&body.as_bytes()[5..]).await;
    assert_eq!(slow.receive().await.unwrap().status, 200);
}

#[tokio::test]
async fn all_bodies_together_are_bounded_and_what_is_over_is_told_to_come_again() {
    let world = World::new(&with_limits("request_body: 60KiB, request_bodies: 100KiB")).await;
    let part = vec![b' '; 55 * 1024];
    let first = begin(&world, GENERATE, 60 * 1024, &part, &[]).await;
    until_held(&world, 55 * 1024).await;
    let mut second = begin(&world, GENERATE, 60 * 1024, &part, &[]).await;
    let refused = second.receive().await.unwrap();
    assert_eq!(refused.error(), (429, "bodies_full".into(), String::new()));
    assert_eq!((refused.header("retry-after"), refused.header("connection")), ("1", "close"));
    until_held(&world, 55 * 1024).await;
    assert_eq!(world.draw(ask("a fox")).await.status, 200, "there is room for less");
    drop(first);
    until_held(&world, 0).await;
}

#[tokio::test]
async fn a_generation_has_a_bound_of_its_own() {
    let world = World::new(&with_limits("generation_body: 2KiB")).await;
    let long = ask(&"a".repeat(3000));
    let refused = world.draw(long.clone()).await;
    assert_eq!(refused.error().0, 413);
    assert!(refused.text().contains("2048 bytes"), "{}", refused.text());
    let edit = world.client().await.post(EDIT, &long).await;
    assert_eq!(edit.error(), (400, "missing_required_parameter".into(), "images".into()), "an edit may be larger");
}

#[tokio::test]
async fn a_large_body_of_words_is_read_as_a_small_one() {
    let world = World::new(&with_limits("")).await;
    let padded = format!("\u{feff}{{\"prompt\": \"a fox\", {}\"n\": 1}}", " ".repeat(200 << 10));
    let mut client = begin(&world, GENERATE, padded.len(), padded.as_bytes(), &[]).await;
    assert_eq!(client.receive().await.unwrap().status, 200);
    let list = format!("{{\"prompt\": \"a fox\", \"n\": [{}1]}}", "1,".repeat(100 << 10));
    let mut client = begin(&world, GENERATE, list.len(), list.as_bytes(), &[]).await;
    assert_eq!(client.receive().await.unwrap().error(), (400, "invalid_type".into(), "n".into()));
    until_held(&world, 0).await;
}

#[tokio::test]
async fn a_mask_of_more_pixels_than_are_read_is_refused_before_anybody_is_paid() {
    let world = World::new(&with_limits("mask_pixels: 100")).await;
    let picture = |side, alpha| {
        let file = exchange::png(RgbaImage::from_pixel(side, side, Rgba([200, 30, 30, alpha])));
        json!({"image_url": format!("data:image/png;base64,{}", base64_simd::STANDARD.encode_to_string(file))})
    };
    for (side, status) in [(11, 400), (10, 200)] {
        let body = json!({"prompt": "a hat", "images": [picture(side, 255)], "mask": picture(side, 0),
            "model": "openai/gpt-image-2"});
        let answer = world.client().await.post(EDIT, &body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert_eq!(world.bill(Name::OpenAi).calls, 1);
    until_held(&world, 0).await;
}

#[tokio::test]
async fn pictures_count_until_nobody_has_them() {
    let world = World::new(&with_limits("")).await;
    world.set(Name::OpenAi, |vendor| vendor.latency = Duration::from_secs(2));
    let file = exchange::png(RgbaImage::from_pixel(9, 9, Rgba([200, 30, 30, 255])));
    let url = format!("data:image/png;base64,{}", base64_simd::STANDARD.encode_to_string(file));
    let body = json!({"prompt": "a hat", "images": [{"image_url": url}], "model": "openai/gpt-image-2"}).to_string();
    let held = i64::try_from(body.len()).unwrap();
    let client = begin(&world, EDIT, body.len(), body.as_bytes(), &[]).await;
    until_held(&world, held).await;
    drop(client);
    while world.gateway.shared.metrics.requests_in_flight.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.gateway.shared.metrics.request_body_bytes.get(), held, "the vendor draws on");
    world.idle().await;
    until_held(&world, 0).await;
}

/// Sends a head over a bare connection whose body has `length` bytes.
async fn slow(world: &World, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    let head = format!(
        "POST {GENERATE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn who_sends_on_is_waited_for_and_who_drips_is_not() {
    let world = World::new(&route(&["stability/core"])).await;
    // Nobody draws while the clock stands still.
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    let body = format!("{}{}", " ".repeat(96 << 10), ask("a fox"));
    let (mut steady, mut dripping) = (slow(&world, body.len()).await, slow(&world, body.len()).await);
    until_held(&world, 0).await;
    stop_the_clock();
    let mut sent = 0;
    while sent < body.len() {
        let next = body.len().min(sent + (16 << 10));
        steady.write_all(&body.as_bytes()[sent..next]).await.unwrap();
        // It is given up in the middle of this.
        let _ = dripping.write_all(b" ").await;
        sent = next;
        until_held_at_least(&world, sent).await;
        advance(Duration::from_secs(25)).await;
    }
    let mut answers = [String::new(), String::new()];
    steady.read_to_string(&mut answers[0]).await.unwrap();
    let _ = dripping.read_to_string(&mut answers[1]).await;
    assert!(answers[0].starts_with("HTTP/1.1 200"), "{}", answers[0]);
    assert!(answers[1].contains("body_timeout"), "{}", answers[1]);
}

/// Waits until all that was sent has arrived, or more.
async fn until_held_at_least(world: &World, bytes: usize) {
    let gauge = &world.gateway.shared.metrics.request_body_bytes;
    while usize::try_from(gauge.get()).unwrap() < bytes && bytes < 96 << 10 {
        tokio::task::yield_now().await;
    }
}
