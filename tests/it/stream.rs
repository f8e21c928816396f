//! Streamed answers over HTTP: every picture as soon as it is there, comments in between, and what happened at the end.

use std::time::Duration;

use easel::internals::image::Encoded;
use easel::sandbox::{Mode, Name};
use easel::{Picture, Usd};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::world::{GENERATE, World, ask_with, route, route_with};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn streamed(prompt: &str, n: u8) -> Value {
    ask_with(prompt, json!({"stream": true, "n": n}))
}

/// The named events of a stream, with their data.
pub fn events(text: &str) -> Vec<(String, Value)> {
    let blocks = text.split("\n\n").filter_map(|block| block.strip_prefix("event: ")?.split_once("\ndata: "));
    blocks.map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap())).collect()
}

/// What the comments at the end say.
fn told<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(": ")?.strip_prefix(name)?.strip_prefix(": "))
}

fn picture(event: &Value) -> Picture {
    Picture::inspect(Encoded::Base64(event["b64_json"].as_str().unwrap().to_owned().into())).unwrap()
}

fn completed(answer: &Answer) -> usize {
    let events = events(&answer.text());
    assert!(events.iter().all(|(name, _)| name == "image_generation.completed"), "{events:?}");
    let pictures: Vec<Picture> = events.iter().map(|(_, data)| picture(data)).collect();
    pictures.len()
}

#[tokio::test]
async fn who_cannot_stream_is_streamed_all_the_same_and_a_hit_too() {
    let world = World::new(&route(&["stability/core"])).await;
    let drawn = world.draw(streamed("a fox", 1)).await;
    assert_eq!((drawn.status, drawn.header("content-type")), (200, "text/event-stream"), "{}", drawn.text());
    assert_eq!((drawn.header("x-easel-cache"), drawn.header("x-easel-cost-usd")), ("miss", "0.04"));
    assert_eq!(completed(&drawn), 1);
    let data = &events(&drawn.text())[0].1;
    assert_eq!((&data["output_format"], &data["quality"]), (&json!("png"), &json!("auto")));
    assert_eq!(data["size"], json!(picture(data).size.to_string()));
    let hit = world.draw(streamed("a fox", 1)).await;
    assert_eq!((hit.header("x-easel-cache"), hit.header("x-easel-cost-usd")), ("exact", "0"));
    assert_eq!(events(&hit.text())[0].1["b64_json"], data["b64_json"]);
    // How an answer is delivered is no part of its meaning.
    assert_eq!(world.draw(ask_with("a fox", json!({}))).await.header("x-easel-cache"), "exact");
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn each_picture_goes_out_as_soon_as_it_is_there_and_the_end_tells_the_rest() {
    let config = route_with(&["stability/core", "openai/gpt-image-2"], "    deadline: {after: 2s, then: partial}\n")
        .replace("base_url: ${SANDBOX}/stability/", "base_url: ${SANDBOX}/stability/\n    concurrency: {limit: 1}");
    let world = World::new(&format!("server: {{limits: {{heartbeat: 20ms}}}}\n{config}")).await;
    world.set(Name::OpenAi, |vendor| vendor.mode = Mode::Hang);
    let mut client = world.client().await;
    client.send("POST", GENERATE, JSON, streamed("two foxes", 2).to_string().as_bytes()).await;
    let first = client.read_until("event: image_generation.completed").await;
    assert!(first.contains("200 OK"), "{first}");
    client.read_until(": still drawing").await;
    // At half its time the silent one is given up, and the other asked for the second picture too.
    let rest = client.read_until("\r\n0\r\n").await;
    assert_eq!(rest.matches("event: image_generation.completed").count(), 1, "no picture is shown twice");
    assert_eq!(told(&rest, "x-easel-served-by"), Some("stability/core=2"));
    assert_eq!(told(&rest, "x-easel-cost-usd"), Some("0.08"));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_failure_has_its_status_at_once_and_an_event_later() {
    let config = route_with(&["openai/gpt-image-2"], "    deadline: 300ms\n");
    let world = World::new(&format!("server: {{limits: {{heartbeat: 20ms}}}}\n{config}")).await;
    let refused = world.draw(streamed("forbidden", 1)).await;
    assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()));
    let wrong = world.draw(ask_with("x", json!({"stream": true, "response_format": "url"}))).await;
    assert_eq!((wrong.error().0, wrong.error().2.as_str()), (400, "response_format"));
    world.set(Name::OpenAi, |vendor| vendor.mode = Mode::Hang);
    let late = world.draw(streamed("a fox", 1)).await;
    assert_eq!(late.status, 200);
    let events = events(&late.text());
    assert_eq!((events.len(), events[0].0.as_str()), (1, "error"), "{}", late.text());
    assert_eq!(
        (&events[0].1["code"], &events[0].1["error"]["code"]),
        (&json!("deadline_exceeded"), &events[0].1["code"])
    );
    assert!(late.text().starts_with(": still drawing\n\n"), "{}", late.text());
}

#[tokio::test]
async fn a_client_that_leaves_its_stream_loses_nothing() {
    let world = World::new(&format!("server: {{limits: {{heartbeat: 5ms}}}}\n{}", route(&["stability/core"]))).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(200));
    let mut client = world.client().await;
    client.send("POST", GENERATE, JSON, streamed("a fox", 2).to_string().as_bytes()).await;
    client.read_until("still drawing").await;
    drop(client);
    world.sandbox.until(Name::Stability, |bill| bill.pictures == 2 && bill.in_flight == 0).await;
    world.idle().await;
    let again = world.draw(streamed("a fox", 2)).await;
    assert_eq!((completed(&again), again.header("x-easel-cache")), (2, "exact"));
    assert_eq!((world.spent(), world.bill(Name::Stability).pictures), (world.invoiced(), 2));
}

#[tokio::test]
async fn the_same_stream_twice_at_once_is_drawn_once() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(100));
    let (one, two) = tokio::join!(world.draw(streamed("a fox", 2)), world.draw(streamed("a fox", 2)));
    assert_eq!((completed(&one), completed(&two)), (2, 2));
    assert_eq!(world.bill(Name::Stability).pictures, 2);
    assert_eq!(world.spent(), Usd::from_nanos(80_000_000));
}

#[tokio::test]
async fn unfinished_pictures_are_shown_while_the_vendor_draws() {
    let world = World::new(&route(&["openai/gpt-image-2"])).await;
    world.set(Name::OpenAi, |vendor| vendor.latency = Duration::from_secs(3600));
    let mut client = world.client().await;
    let body = ask_with("a fox", json!({"stream": true, "partial_images": 2, "size": "1024x1024"}));
    client.send("POST", GENERATE, JSON, body.to_string().as_bytes()).await;
    client.read_until("\"partial_image_index\":0").await;
    client.read_until("\"partial_image_index\":1").await;
    assert_eq!(world.bill(Name::OpenAi).pictures, 0, "it is still being drawn");
}

#[tokio::test]
async fn unfinished_pictures_come_before_theirs_and_are_never_kept() {
    let world = World::new(&route(&["openai/gpt-image-2"])).await;
    let ask = |n| ask_with("a fox", json!({"stream": true, "partial_images": 2, "n": n, "size": "1024x1024"}));
    // Longer than the first events take, so that the answer begins with them.
    world.set(Name::OpenAi, |vendor| vendor.latency = Duration::from_millis(200));
    let drawn = world.draw(ask(2)).await;
    let shown = events(&drawn.text());
    let names: Vec<&str> = shown.iter().filter_map(|(name, _)| name.strip_prefix("image_generation.")).collect();
    assert_eq!(names.iter().filter(|name| **name == "completed").count(), 2, "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "partial_image").count(), 4, "{names:?}");
    assert_eq!(names[0], "partial_image");
    let pictures: Vec<&Value> = shown.iter().map(|(_, data)| &data["b64_json"]).collect();
    for (at, (_, data)) in shown.iter().enumerate() {
        assert_eq!(picture(data).size.to_string(), "1024x1024");
        assert!(!pictures[..at].contains(&pictures[at]), "every event shows another picture");
    }
    // One call a picture, because no event says which of several it belongs to.
    assert_eq!(world.bill(Name::OpenAi).calls, 2);
    let hit = world.draw(ask(2)).await;
    assert_eq!((completed(&hit), hit.header("x-easel-cache")), (2, "exact"));
    assert_eq!(world.bill(Name::OpenAi).violations, [""; 0]);
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_model_without_unfinished_pictures_is_asked_in_one_piece() {
    let world = World::new(&route(&["openai/dall-e-3"])).await;
    let drawn = world.draw(ask_with("a fox", json!({"stream": true, "partial_images": 3}))).await;
    assert_eq!(completed(&drawn), 1);
    assert_eq!(events(&drawn.text())[0].1["revised_prompt"], "A detailed picture: a fox");
    assert_eq!(world.bill(Name::OpenAi).violations, [""; 0]);
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_stream_that_fails_after_it_began_goes_on_with_the_next_offer() {
    let world = World::new(&route(&["openai/gpt-image-2", "stability/core"])).await;
    world.set(Name::OpenAi, |vendor| {
        vendor.mode = Mode::NoPictures;
        vendor.latency = Duration::from_millis(100);
    });
    let drawn = world.draw(ask_with("a fox", json!({"stream": true, "partial_images": 1}))).await;
    let shown = events(&drawn.text());
    let names: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["image_generation.partial_image", "image_generation.completed"]);
    assert_eq!(told(&drawn.text(), "x-easel-served-by"), Some("stability/core=1"));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_stream_keeps_nobody_waiting() {
    let world = World::new(&route(&["stability/core"])).await;
    // More than any socket buffers.
    world.set(Name::Stability, |vendor| vendor.min_bytes = 12 << 20);
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(50));
    let mut idle = world.client().await;
    idle.send("POST", GENERATE, JSON, streamed("a fox", 4).to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.calls > 0).await;
    let other = world.draw(ask_with("a fox", json!({"n": 4}))).await;
    assert_eq!((other.status, other.header("x-easel-cache")), (200, "joined"), "{:.300}", other.text());
    assert_eq!(world.bill(Name::Stability).pictures, 4);
}

#[tokio::test]
async fn an_edit_streams_events_of_its_own() {
    let world = World::new(&route(&["openai/gpt-image-2"])).await;
    let picture = crate::exchange::input(512, 512);
    let url = format!("data:image/png;base64,{}", base64_simd::STANDARD.encode_to_string(&picture.bytes));
    let body = json!({"model": "m", "prompt": "a hat", "stream": true, "partial_images": 1,
        "images": [{"image_url": url}]});
    let answer = world.client().await.post("/v1/images/edits", &body).await;
    let shown = events(&answer.text());
    let names: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.last(), Some(&"image_edit.completed"), "{:.300}", answer.text());
    assert!(names.iter().all(|name| name.starts_with("image_edit.")), "{names:?}");
    assert_eq!(world.bill(Name::OpenAi).violations, [""; 0]);
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_stream_over_http2_is_the_same_without_chunks() {
    let world = World::new(&format!("server: {{limits: {{heartbeat: 10ms}}}}\n{}", route(&["stability/core"]))).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(100));
    let (status, body) = crate::h2::post(world.addr, GENERATE, &streamed("a fox", 2)).await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!((status, events(&text).len()), (200, 2), "{text:.300}");
    assert!(text.starts_with(": still drawing\n\n") && told(&text, "x-easel-cost-usd") == Some("0.08"), "{text:.300}");
}
