//! Which picture is which: seeds, places, and what is kept of a request that was drawn in part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::painter::{Act, Painter, Told, read, told};
use crate::world::{GENERATE, World};

const SIZES: [&str; 2] = ["64x64", "96x64"];

/// A route `r` over these accounts of the painter.
fn config(painter: &Painter, accounts: &[&str], more: &str) -> String {
    let providers: String = accounts.iter().map(|account| painter.provider(account, "")).collect();
    let offers: Vec<String> = accounts.iter().map(|account| format!("{account}/m")).collect();
    format!("providers:\n{providers}routes:\n  - {{name: r, offers: {}{more}}}\n", json!(offers))
}

fn wish(seed: u32, n: u8) -> Value {
    json!({"prompt": "a fox", "size": "64x64", "seed": seed, "n": n})
}

/// The seeds that drew the pictures of an answer, in its order.
fn seeds(answer: &Answer) -> Vec<u32> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    told(answer).iter().map(|told| told.seed.unwrap()).collect()
}

#[tokio::test]
async fn a_smaller_request_gets_the_pictures_of_its_own_seeds_and_a_larger_one_buys_the_rest() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, &["a"], "")).await;
    assert_eq!(seeds(&world.draw(wish(7, 3)).await), [7, 8, 9]);
    for (n, cache, drawn) in [(1, "exact", vec![7]), (2, "exact", vec![7, 8]), (4, "pool", vec![7, 8, 9, 10])] {
        let answer = world.draw(wish(7, n)).await;
        assert_eq!((seeds(&answer), answer.header("x-easel-cache")), (drawn, cache));
    }
    assert_eq!(painter.seeds(), [7, 8, 9, 10]);
    assert!(painter.asked().iter().all(|asked| asked.body["n"].as_u64().unwrap_or(1) == 1), "{:?}", painter.asked());
}

#[tokio::test]
async fn of_a_request_that_failed_in_part_only_the_rest_is_bought_again() {
    let painter = Painter::open(&[Act::Draws, Act::Scribbles]).await;
    // One call at a time, so that it is known whose call each act is.
    let one = config(&painter, &["a"], ", attempts: {max: 1}").replace("breaker:", "concurrency: {limit: 1}, breaker:");
    let world = World::new(&one).await;
    let partial = world.draw(wish(7, 3)).await;
    assert_eq!((seeds(&partial), partial.header("x-easel-partial")), (vec![7], "1/3"), "{:?}", painter.asked());
    assert_eq!(seeds(&world.draw(wish(7, 3)).await), [7, 8, 9]);
    assert_eq!(painter.seeds(), [7, 8, 8, 9]);
}

#[tokio::test]
async fn two_places_that_are_apart_are_drawn_by_their_own_seeds() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, &["a"], "")).await;
    let first = world.draw(wish(20, 3)).await;
    assert_eq!(seeds(&first), [20, 21, 22]);
    let ids: Vec<&str> = first.header("x-easel-image-ids").split(',').map(str::trim).collect();
    for rejected in [ids[0], ids[2]] {
        let verdict = json!({"image_id": rejected, "verdict": "rejected"});
        assert_eq!(world.client().await.post("/v1/images/feedback", &verdict).await.status, 200);
    }
    let again = world.draw(wish(20, 3)).await;
    assert_eq!((seeds(&again), again.header("x-easel-cache")), (vec![20, 21, 22], "pool"));
    assert_eq!(painter.seeds(), [20, 20, 21, 22, 22]);
}

#[tokio::test]
async fn fresh_pictures_take_the_places_of_the_old_ones_and_no_others() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, &["a"], "")).await;
    let old = told(&world.draw(wish(7, 3)).await);
    let fresh = told(&world.draw_with(wish(7, 2), &[("cache-control", "no-cache")]).await);
    assert!(fresh.iter().all(|fresh| !old.contains(fresh)), "{fresh:?}");
    assert_eq!(told(&world.draw(wish(7, 3)).await), [fresh[0], fresh[1], old[2]]);
    let unkept = told(&world.draw_with(wish(7, 1), &[("cache-control", "no-store")]).await);
    assert_eq!(told(&world.draw(wish(7, 1)).await), [fresh[0]], "{unkept:?}");
}

#[tokio::test]
async fn a_call_that_was_given_up_fills_its_own_place_when_it_comes_after_all() {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, &["a", "b"], ", deadline: 8s, attempts: {max: 5}")).await;
    painter.hold(&["a", "b"]);
    let mut client = world.client().await;
    let body = wish(7, 2).to_string();
    client.send("POST", GENERATE, &[("content-type", "application/json")], body.as_bytes()).await;
    // After half of the time the next offer draws too: both places, or the first alone where the second call began so much
    // later that the next offer was busy by then. What comes first counts, each in its place.
    painter.until(3).await;
    painter.hold(&["b"]);
    let answer = client.receive().await.unwrap();
    assert_eq!((seeds(&answer), answer.header("x-easel-served-by")), (vec![7, 8], "a/m=2"));
    painter.hold(&[]);
    world.settled().await;
    assert_eq!(told(&world.draw(wish(7, 2)).await), told(&answer), "what was delivered is what is kept");
}

#[tokio::test]
async fn a_picture_too_many_is_nobodys() {
    let painter = Painter::open(&[Act::Overdoes]).await;
    let world = World::new(&config(&painter, &["a"], "")).await;
    assert_eq!(seeds(&world.draw(wish(7, 1)).await), [7]);
    assert_eq!(seeds(&world.draw(wish(7, 2)).await), [7, 8]);
}

#[tokio::test]
async fn a_picture_too_many_stands_in_for_no_broken_one_nor_is_the_same_bought_without_end() {
    let painter = Painter::open(&[Act::Smudges; 9]).await;
    let world = World::new(&config(&painter, &["a"], ", attempts: {max: 2, per_offer: 2}")).await;
    assert_eq!(world.draw(wish(7, 1)).await.status, 502);
    assert_eq!(painter.seeds(), [7, 7]);
    painter.act(&[Act::Smudges]);
    assert_eq!(seeds(&world.draw(wish(7, 1)).await), [7]);
    assert_eq!(painter.seeds(), [7, 7, 7, 7]);
}

#[tokio::test]
async fn a_stream_of_seeded_pictures_comes_in_the_order_of_their_seeds() {
    let painter = Painter::open(&[Act::Fails]).await;
    let lane = config(&painter, &["a", "b"], "").replace("breaker:", "concurrency: {limit: 1}, breaker:");
    let world = World::new(&lane).await;
    let mut body = wish(7, 3);
    body["stream"] = json!(true);
    let answer = world.draw(body).await;
    let events = answer.text();
    let data = events.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| data.contains("b64_json"));
    let pictures =
        data.map(|data| serde_json::from_str::<Value>(data).unwrap()["b64_json"].as_str().map(read).unwrap());
    assert_eq!(pictures.map(|told| told.seed.unwrap()).collect::<Vec<_>>(), [7, 8, 9], "{events:.200}");
}

/// One request of a case.
#[derive(Clone, Debug)]
struct Step {
    seed: Option<u32>,
    n: u8,
    size: usize,
    wish: Wish,
    acts: Vec<Act>,
    /// One of the pictures is rejected afterwards.
    reject: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Use,
    Fresh,
    Skip,
}

/// What must be kept, by seed, size and place.
type Kept = BTreeMap<(u32, usize, u32), Told>;

/// Plays the steps one after the other, and holds every picture against the request that it was delivered for.
async fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let painter = Painter::open(&[]).await;
    let world = World::new(&config(&painter, &["a", "b"], ", attempts: {max: 3, per_offer: 2}")).await;
    let mut kept = Kept::new();
    for step in steps {
        painter.act(&step.acts);
        let before = painter.asked().len();
        let mut body = json!({"prompt": "a fox", "size": SIZES[step.size], "n": step.n});
        body["seed"] = json!(step.seed);
        let headers: &[(&str, &str)] = match step.wish {
            Wish::Use => &[],
            Wish::Fresh => &[("cache-control", "no-cache")],
            Wish::Skip => &[("cache-control", "no-store")],
        };
        let answer = world.draw_with(body, headers).await;
        world.idle().await;
        let asked = &painter.asked()[before..];
        let drawn: Vec<Told> = asked.iter().flat_map(|asked| asked.drew.clone()).collect();
        let got = told(&answer);
        let size = if step.size == 0 { (64, 64) } else { (96, 64) };
        prop_assert!(got.iter().all(|told| told.size == size), "{:?} {:?}", step, got);
        prop_assert!(answer.status != 200 || !got.is_empty() && got.len() <= usize::from(step.n));
        prop_assert_eq!(got.iter().collect::<BTreeSet<_>>().len(), got.len(), "none twice");
        let Some(seed) = step.seed else { continue };
        // Each is of a place of its own, in their order.
        let places: Vec<u32> = got.iter().map(|told| told.seed.unwrap().wrapping_sub(seed)).collect();
        prop_assert!(places.iter().all(|place| *place < u32::from(step.n)), "{:?} {:?}", step, got);
        prop_assert!(places.is_sorted_by(|a, b| a < b), "{:?} {:?}", step, got);
        // A place that is kept is not bought, and none is bought twice.
        let key = |place: u32| (seed, step.size, place);
        let mut bought = BTreeSet::new();
        for call in asked {
            let place = (call.body["seed"].as_u64().unwrap() as u32).wrapping_sub(seed);
            prop_assert!(place < u32::from(step.n), "{:?} {:?}", step, call);
            prop_assert!(step.wish != Wish::Use || !kept.contains_key(&key(place)), "{:?} kept {:?}", step, call);
            prop_assert!(call.drew.is_empty() || bought.insert(place), "{:?} twice {:?}", step, call);
            // A refusal goes back at once; what comes after it is kept.
            let late = step.acts.contains(&Act::Refuses);
            prop_assert!(late || call.drew.is_empty() || got.contains(&call.drew[0]), "{:?} lost {:?}", step, call);
            if let (Some(told), true) = (call.drew.first(), step.wish != Wish::Skip) {
                kept.insert(key(place), *told);
            }
        }
        // What is delivered is what was bought for it, or what was kept before.
        for (place, told) in places.iter().zip(&got) {
            let kept = kept.get(&key(*place)) == Some(told);
            prop_assert!(kept || step.wish == Wish::Skip && drawn.contains(told), "{:?} {:?}", step, told);
        }
        if step.reject && !got.is_empty() {
            let id = answer.header("x-easel-image-ids").split(',').next().unwrap().trim().to_owned();
            let verdict = json!({"image_id": id, "verdict": "rejected"});
            let heard = world.client().await.post("/v1/images/feedback", &verdict).await;
            prop_assert!(heard.status < 300, "{}", heard.text());
            kept.retain(|_, told| *told != got[0]);
        }
    }
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        4 => Just(Act::Draws),
        2 => Just(Act::Scribbles),
        2 => Just(Act::Fails),
        1 => Just(Act::Refuses),
        1 => Just(Act::Overdoes),
    ];
    let wish = prop_oneof![4 => Just(Wish::Use), 1 => Just(Wish::Fresh), 1 => Just(Wish::Skip)];
    let seed = option::weighted(0.9, prop_oneof![3 => Just(7u32), 2 => Just(8), 1 => Just(u32::MAX - 1)]);
    (seed, 1u8..=5, 0..SIZES.len(), wish, vec(act, 0..4), prop::bool::weighted(0.2))
        .prop_map(|(seed, n, size, wish, acts, reject)| Step { seed, n, size, wish, acts, reject })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_picture_is_the_one_that_seed_place_and_size_name_and_no_place_is_bought_twice(
        steps in vec(step(), 2..10),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let played = async { tokio::time::timeout(Duration::from_secs(60), play(&steps)).await };
        runtime.block_on(played).expect("a case is never done")?;
    }
}
