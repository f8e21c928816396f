//! The quality gate over HTTP: what is rejected is paid for, told, kept from cache and client, and drawn again.

use std::collections::BTreeSet;

use easel::sandbox::{Mode, Name};
use image::{DynamicImage, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::exchange::png;
use crate::scripted::{Scripted, Then, json_answer};
use crate::world::{World, ask, ask_with, pictures};

/// SDXL at 0.009, and a premium offer for what it cannot do; `more` are lines of the route.
fn config(more: &str) -> String {
    format!(
        "
providers:
  stability:
    kind: stability
    base_url: ${{SANDBOX}}/stability/
    api_key: k
    models: {{core: {{price: 0.04}}}}
  openai: {{kind: openai, base_url: '${{SANDBOX}}/openai/v1/', api_key: k, models: {{gpt-image-2: {{price: 0.04}}}}}}
routes:
  - name: r
    offers: [stability/core, {{offer: openai/gpt-image-2, when: [rejected]}}]
{more}"
    )
}

/// What the metrics page says behind this name and these labels.
async fn counted(world: &World, line: &str) -> Option<String> {
    let page = world.metrics().await;
    page.lines().find_map(|shown| shown.strip_prefix(line)?.strip_prefix(' ').map(str::to_owned))
}

#[tokio::test]
async fn a_blank_picture_is_paid_for_and_neither_delivered_nor_cached_and_the_offer_for_rejections_draws_it() {
    let world = World::new(&config("    quality: true\n")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Blank);
    let first = world.draw(ask("a fox")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!((first.header("x-easel-served-by"), first.header("x-easel-attempts")), ("openai/gpt-image-2=1", "2"));
    assert_eq!((first.header("x-easel-cost-usd"), first.header("x-easel-rejected")), ("0.08", ""));
    let again = world.draw(ask("a fox")).await;
    assert_eq!((again.header("x-easel-cache"), again.header("x-easel-served-by")), ("exact", "openai/gpt-image-2=1"));
    assert_eq!(again.json()["data"], first.json()["data"]);
    let of = "{model=\"core\",provider=\"stability\"";
    assert_eq!(counted(&world, &format!("easel_rejected_total{of},reason=\"blank\"}}")).await.as_deref(), Some("1"));
    assert_eq!(counted(&world, &format!("easel_images_total{of},verdict=\"rejected\"}}")).await.as_deref(), Some("1"));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn where_every_attempt_is_rejected_the_client_is_told_and_nothing_is_cached() {
    let world = World::new(&config("    quality: true\n")).await;
    for name in [Name::Stability, Name::OpenAi] {
        world.set(name, |vendor| vendor.mode = Mode::Blurred);
    }
    let answer = world.draw(ask("a fox")).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (502, &json!("quality_rejected")));
    // Two of each by the route's `attempts`.
    assert_eq!((answer.header("x-easel-attempts"), world.invoiced()), ("4", "0.16".parse().unwrap()));
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-cache"), "miss");
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn the_least_bad_one_is_delivered_where_the_route_says_so_told_and_not_cached() {
    let config = config("    quality: {deliver_best: true}\n    attempts: {per_offer: 1}\n");
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Blank);
    world.set(Name::OpenAi, |vendor| vendor.mode = Mode::Blurred);
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("x-easel-served-by"),
        "openai/gpt-image-2=1",
        "a blurred one is less bad than a blank one"
    );
    assert_eq!((answer.header("x-easel-rejected"), answer.header("x-easel-partial")), ("0=blurred", ""));
    assert_eq!(pictures(&answer), [(1024, 1024)]);
    let ids = answer.header("x-easel-image-ids").to_owned();
    assert!(!ids.is_empty());
    let again = world.draw(ask("a fox")).await;
    assert_eq!(again.header("x-easel-cache"), "miss", "what was rejected is never cached");
    // It was paid for and never accepted.
    let line = "easel_window_images{by=\"route\",name=\"r\",verdict=\"rejected\",window=\"1h\"}";
    assert_eq!(counted(&world, line).await.as_deref(), Some("4"));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn of_several_pictures_only_what_is_rejected_is_bought_again() {
    // Of the first call for four, the second and the fourth are black.
    let vendor = painter(|call, nth| if call == 0 && nth % 2 == 1 { black() } else { scene(call * 10 + nth) }).await;
    let world = World::new(&one_offer(&vendor, "quality: true")).await;
    let answer = world.draw(small("a fox", 4)).await;
    assert_eq!((answer.status, pictures(&answer).len()), (200, 4), "{}", answer.text());
    let asked: Vec<Value> = vendor.asked().iter().map(|asked| asked.json()["n"].clone()).collect();
    assert_eq!(asked, [json!(4), json!(2)]);
    assert_eq!((answer.header("x-easel-cost-usd"), answer.header("x-easel-attempts")), ("0.06", "2"));
}

#[tokio::test]
async fn a_picture_that_looks_like_another_of_its_request_is_bought_again_one_from_the_cache_counts_too() {
    let vendor = painter(|call, nth| scene(if call == 1 && nth == 0 { 0 } else { call * 10 + nth })).await;
    let world = World::new(&one_offer(&vendor, "quality: {flag: []}")).await;
    assert_eq!(world.draw(small("a fox", 1)).await.status, 200);
    // One is there already, and the first of the two that are bought is that one again.
    let answer = world.draw(small("a fox", 3)).await;
    assert_eq!((answer.status, answer.header("x-easel-cache")), (200, "pool"), "{}", answer.text());
    let ids: BTreeSet<&str> = answer.header("x-easel-image-ids").split(',').collect();
    assert_eq!((ids.len(), answer.header("x-easel-attempts")), (3, "2"));
    let line = "easel_rejected_total{model=\"m\",provider=\"p\",reason=\"duplicate\"}";
    assert_eq!(counted(&world, line).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn what_only_flags_is_delivered_counted_and_told_from_the_cache_as_well() {
    let vendor = painter(|_, nth| if nth == 1 { night() } else { scene(nth) }).await;
    let world = World::new(&one_offer(&vendor, "quality: true")).await;
    for cache in ["miss", "exact"] {
        let answer = world.draw(small("a fox", 2)).await;
        assert_eq!((answer.status, answer.header("x-easel-cache")), (200, cache), "{}", answer.text());
        assert_eq!(answer.header("x-easel-flagged"), "1=dark", "{cache}");
    }
    let line = "easel_flagged_total{model=\"m\",provider=\"p\",reason=\"dark\"}";
    assert_eq!(counted(&world, line).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn without_a_word_in_the_config_a_file_that_does_not_decode_is_rejected_and_false_takes_it() {
    // The pixels of a whole file are garbled; its chunks and its end are as they should be.
    let garbled = |call: u32| {
        let mut file = scene(1);
        if call == 0 {
            let middle = file.len() / 2;
            file[middle..middle + 40].fill(0x55);
        }
        file
    };
    for (quality, attempts) in [("", "2"), ("quality: false", "1")] {
        let vendor = painter(move |call, _| garbled(call)).await;
        let world = World::new(&one_offer(&vendor, quality)).await;
        let answer = world.draw(small("a fox", 1)).await;
        assert_eq!((answer.status, answer.header("x-easel-attempts")), (200, attempts), "{quality}: {}", answer.text());
        // Such a file is as good as none: the offer fails, where a bad picture would speak for nothing.
        let page = world.metrics().await;
        let outcomes = page.lines().filter(|line| line.starts_with("easel_attempts_total{"));
        let told: Vec<bool> = outcomes.map(|line| line.contains("outcome=\"malformed\"")).collect();
        assert_eq!(told.contains(&true), quality.is_empty(), "{quality}: {page}");
    }
}

#[tokio::test]
async fn a_rejection_says_nothing_against_the_offer_so_nobody_waits_before_it_is_asked_again() {
    // No backoff is over within this test, no retry budget is left, and one failure would pause the offer.
    let vendor = painter(|call, nth| if call < 4 { black() } else { scene(nth) }).await;
    let route = "quality: true, attempts: {max: 6, per_offer: 6, backoff: 1h}";
    let provider = "retry_budget: {ratio: 0%, min_per_second: 0}, breaker: {failures: 1, pause: 1h}";
    let world = World::new(&one_offer_of(&vendor, provider, route)).await;
    let answer = world.draw(small("a fox", 1)).await;
    assert_eq!((answer.status, answer.header("x-easel-attempts")), (200, "5"), "{}", answer.text());
    assert_eq!(answer.header("x-easel-cost-usd"), "0.05");
}

#[tokio::test]
async fn rejected_pictures_are_kept_for_a_look_with_why_and_without_the_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("rejected");
    let vendor = painter(|call, nth| if call == 0 { black() } else { scene(nth) }).await;
    let config = format!(
        "quality: {{keep_rejected: {{dir: '{}', at_most: 1MiB}}}}\n{}",
        kept.display(),
        one_offer(&vendor, "quality: true")
    );
    let world = World::new(&config).await;
    assert_eq!(world.draw(small("a secret fox", 1)).await.status, 200);
    let files = || {
        let entries = std::fs::read_dir(&kept).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let line = "easel_rejected_files_total{outcome=\"kept\"}";
    while counted(&world, line).await.is_none() {
        tokio::task::yield_now().await;
    }
    let files = files();
    assert_eq!(files.len(), 2, "{files:?}");
    let record: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!((&record["reason"], &record["offer"]), (&json!("blank"), &json!("p/m")), "{record}");
    assert_eq!(record["findings"][0]["check"], "blank");
    assert_eq!(std::fs::read(&files[1]).unwrap(), black());
    assert!(!record.to_string().contains("secret"), "{record}");
}

#[tokio::test]
async fn a_stream_sends_no_picture_before_it_is_accepted() {
    let world = World::new(&config("    quality: true\n")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Blank);
    let answer = world.draw(ask_with("a fox", json!({"stream": true}))).await;
    let text = answer.text();
    assert_eq!(text.matches("event: image_generation.completed").count(), 1, "{text}");
    let completed = text.lines().filter_map(|line| line.strip_prefix("data: {")).find(|line| line.contains("b64_json"));
    let event: Value = serde_json::from_str(&format!("{{{}", completed.unwrap())).unwrap();
    let file = base64_simd::STANDARD.decode_to_vec(event["b64_json"].as_str().unwrap()).unwrap();
    let drawn = image::load_from_memory(&file).unwrap().to_rgb8();
    assert!(drawn.pixels().any(|pixel| pixel.0 != [0; 3]));
}

/// `n` of the pictures that [`painter`] draws.
fn small(prompt: &str, n: u32) -> Value {
    ask_with(prompt, json!({"n": n, "size": "256x256"}))
}

/// A vendor like OpenAI's that draws what `file` says of its `call`th call's `nth` picture.
async fn painter(file: impl Fn(u32, u32) -> Vec<u8> + Send + Sync + 'static) -> Scripted {
    let calls = std::sync::atomic::AtomicU32::new(0);
    Scripted::start(move |asked| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let n = asked.json()["n"].as_u64().unwrap_or(1) as u32;
        let encode = |nth| json!({"b64_json": base64_simd::STANDARD.encode_to_string(file(call, nth))});
        Then::Answer(json_answer(200, &json!({"created": 1, "data": (0..n).map(encode).collect::<Vec<_>>()})))
    })
    .await
}

fn one_offer(vendor: &Scripted, route: &str) -> String {
    one_offer_of(vendor, "", route)
}

fn one_offer_of(vendor: &Scripted, provider: &str, route: &str) -> String {
    format!(
        "providers:\n  p: {{kind: openai_compatible, base_url: 'http://{}/', api_key: k, {provider}}}\n\
         routes:\n  - {{name: r, offers: [p/m], {route}}}\n",
        vendor.addr
    )
    .replace("api_key: k, ", "api_key: k, models: {m: {price: 0.01, max_n: 10, sizes: any}}, ")
}

const SIDE: u32 = 256;

fn black() -> Vec<u8> {
    png(RgbImage::new(SIDE, SIDE)).to_vec()
}

/// Discs and bars, others for each number.
fn scene(number: u32) -> Vec<u8> {
    drawn(number, 1)
}

/// The same, an eighth as bright.
fn night() -> Vec<u8> {
    drawn(77, 8)
}

fn drawn(number: u32, darker: u8) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(u64::from(number));
    let discs: Vec<_> = (0..12)
        .map(|_| (rng.u32(0..SIDE), rng.u32(0..SIDE), rng.u32(10..50), [rng.u8(..), rng.u8(..), rng.u8(..)]))
        .collect();
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let inside =
            discs.iter().find(|(cx, cy, radius, _)| x.abs_diff(*cx).pow(2) + y.abs_diff(*cy).pow(2) < radius.pow(2));
        let colour = inside.map_or([(x / 2) as u8, (y / 2) as u8, 128], |(.., colour)| *colour);
        Rgb(colour.map(|part| part / darker))
    });
    png(DynamicImage::from(picture).into_rgb8()).to_vec()
}
