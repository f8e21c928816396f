//! Many at once: single flight, concurrency caps, the queue.

use std::collections::BTreeMap;

use easel::sandbox::{Mode, Name};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::world::{GENERATE, World, ask, ask_with, pictures, route};

async fn together(world: &World, bodies: impl IntoIterator<Item = serde_json::Value>) -> Vec<Answer> {
    let mut running = JoinSet::new();
    for body in bodies {
        let mut client = world.client().await;
        running.spawn(async move { client.post(GENERATE, &body).await });
    }
    running.join_all().await
}

#[tokio::test]
async fn twenty_identical_requests_at_once_are_drawn_once_and_paid_once() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(200));
    let answers = together(&world, (0..20).map(|_| ask("the same fox"))).await;
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for answer in &answers {
        assert_eq!((answer.status, pictures(answer).len()), (200, 1), "{}", answer.text());
        *uses.entry(answer.header("x-easel-cache").to_owned()).or_default() += 1;
    }
    assert_eq!((world.bill(Name::Stability).calls, uses["miss"]), (1, 1), "{uses:?}");
    let costs: Vec<&str> = answers.iter().map(|answer| answer.header("x-easel-cost-usd")).collect();
    assert_eq!(costs.iter().filter(|cost| **cost == "0.04").count(), 1);
    assert_eq!(costs.iter().filter(|cost| **cost == "0").count(), 19);
}

#[tokio::test]
async fn whoever_wants_fresh_pictures_does_not_share_a_flight() {
    let world = World::new(&route(&["stability/core"])).await;
    world.draw(ask("a fox")).await;
    let fresh = world.draw_with(ask("a fox"), &[("cache-control", "no-cache")]).await;
    assert_eq!(fresh.header("x-easel-cache"), "bypass");
    let none = world.draw_with(ask("a hen"), &[("cache-control", "no-store")]).await;
    assert_eq!(none.header("x-easel-cache"), "bypass");
    assert_eq!(world.draw(ask("a hen")).await.header("x-easel-cache"), "miss");
    assert_eq!(world.bill(Name::Stability).calls, 4);
    // The fresh picture joined the pool: two are there now.
    let two = world.draw(ask_with("a fox", json!({"n": 2}))).await;
    assert_eq!((two.header("x-easel-cache"), two.header("x-easel-cost-usd")), ("exact", "0"));
}

#[tokio::test]
async fn two_hundred_requests_over_a_cap_of_ten_never_put_eleven_in_flight() {
    let config = route(&["stability/core"]).replace(
        "base_url: ${SANDBOX}/stability/",
        "base_url: ${SANDBOX}/stability/\n    concurrency: {limit: 10, queue: 200, max_wait: 60s}",
    );
    let world = World::new(&config).await;
    // Long enough for ten to be there at once on a slow machine too.
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(50));
    let answers = together(&world, (0..200).map(|number| ask(&format!("fox {number}")))).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let bill = world.bill(Name::Stability);
    assert_eq!((served, bill.max_in_flight), (200, 10));
    assert_eq!(bill.violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_full_provider_spills_to_the_next_one() {
    let config = route(&["stability/core", "openai/gpt-image-2"])
        .replace("base_url: ${SANDBOX}/stability/", "base_url: ${SANDBOX}/stability/\n    concurrency: {limit: 1}");
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let mut first = world.client().await;
    first.send("POST", GENERATE, &[("content-type", "application/json")], ask("one").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    let second = world.draw(ask("two")).await;
    assert_eq!(second.header("x-easel-served-by"), "openai/gpt-image-2=1");
    assert_eq!(second.header("x-easel-skipped"), "stability/core=at_capacity");
}

#[tokio::test]
async fn a_full_queue_and_a_wait_in_vain_are_told_to_come_back() {
    let config = route(&["stability/core"]).replace(
        "base_url: ${SANDBOX}/stability/",
        "base_url: ${SANDBOX}/stability/\n    concurrency: {limit: 1, queue: 1, max_wait: 100ms}",
    );
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let mut first = world.client().await;
    first.send("POST", GENERATE, &[("content-type", "application/json")], ask("one").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    for answer in together(&world, [ask("two"), ask("three")]).await {
        assert_eq!(answer.error().0, 429, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(world.bill(Name::Stability).calls, 1);
}
