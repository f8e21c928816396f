//! Pictures that are found by embeddings: calibrated with the sandbox's vendor of words, certified, and then served.

use std::process::Stdio;

use easel::Usd;
use easel::sandbox::{Mode, Name, Settings, TokenPrice};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::commands::easel;
use crate::world::{PROVIDERS, World, ask, ask_with, plan};

const WORDS: &str = "  words:
    kind: openai_text
    base_url: ${SANDBOX}/text/v1/
    api_key: sk-test
    breaker: {failures: 1000, pause: 1ms}
    models:
      text-embedding-3-small: {price: {tokens_per_million: {text_in: 0.02}}}
";

/// A scene, in words that the sandbox's vectors find alike and no guard tells apart.
fn scene(animal: &str) -> String {
    format!("a photo of a {animal} beside a lake with reeds and boats and mountains behind it in the morning fog")
}

fn config(near: &str) -> String {
    format!(
        "{PROVIDERS}{WORDS}\nroutes:\n  - name: r\n    match: {{models: [m]}}\n    offers: [stability/core]\n    cache: {{near: {near}}}\n"
    )
}

const CERTIFIED: &str = "{embedding: words/text-embedding-3-small, timeout: 20s, certified: {threshold: 0.7, negatives: 300, \
                         false_hits: 0, dimensions: 256}}";

const SHADOW: &str = "{embedding: words/text-embedding-3-small, timeout: 20s, shadow: true, threshold: 0.7}";

fn settings() -> Settings {
    let mut settings = Settings { seed: 5, ..Settings::default() };
    let price = TokenPrice { text_in: "0.02".parse().unwrap(), text_cached_in: None, text_out: Usd::ZERO };
    settings.vendors.text.token_price.insert("text-embedding-3-small".to_owned(), price);
    settings
}

async fn world(near: &str) -> World {
    World::with(&config(near), settings()).await
}

/// How the cache took part, and what it cost.
fn told(answer: &Answer) -> (&str, Usd) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.header("x-easel-cache"), answer.header("x-easel-cost-usd").parse().unwrap())
}

async fn cache(world: &World, prompt: &str) -> String {
    told(&world.draw(ask(prompt)).await).0.to_owned()
}

/// What `easel calibrate` says of these pairs by the world's embedder.
async fn calibrate(world: &World, pairs: String) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("easel.yaml"), folder.path().join("pairs.jsonl"));
    std::fs::write(&path, config("verified")).unwrap();
    std::fs::write(&file, pairs).unwrap();
    let mut command = easel();
    command.args([
        "calibrate",
        "--max-false-hit",
        "1%",
        "--embedder",
        "words/text-embedding-3-small",
        "--format",
        "json",
    ]);
    command.arg("--config").arg(&path).arg("--pairs").arg(&file).env("SANDBOX", world.sandbox.url());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), serde_json::from_str::<Value>(last).unwrap()["summary"].take())
}

fn pairs(pair: impl Fn(usize) -> (String, String, bool), many: usize) -> String {
    let line = |(a, b, same): (String, String, bool)| format!("{}\n", json!({"a": a, "b": b, "same": same}));
    (0..many).map(|number| line(pair(number))).collect()
}

/// The same scene at another place, with one word for the same animal.
fn same(many: usize) -> String {
    let scene = |animal: &str, number: usize| format!("{} near place{number}x", scene(animal));
    pairs(|number| (scene("rabbit", number), scene("bunny", number), true), many)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_that_overlaps_is_refused_and_a_clean_one_is_certified_and_then_served_from() {
    let world = world("verified").await;
    // Different animals in the same scene are as alike to these vectors as two words for one animal.
    let scene_of = |animal: &str, number: usize| format!("{} near place{number}x", scene(animal));
    let overlapping = pairs(|number| (scene_of("rabbit", number), scene_of("badger", number), false), 300);
    let (code, summary) = calibrate(&world, overlapping + &same(20)).await;
    assert_eq!((code, summary["certified"].is_null()), (Some(1), true), "{summary}");
    let clean = pairs(|number| (format!("a fox by tower{number}x"), format!("a kettle by tower{number}x"), false), 300);
    let (code, summary) = calibrate(&world, clean + &same(20)).await;
    assert_eq!(code, Some(0), "{summary}");
    assert_eq!((&summary["certified"]["hits"], &summary["dimensions"]), (&json!(20), &json!(256)));

    // What it says is pasted into the config as it stands.
    let yaml = summary["yaml"].as_str().unwrap();
    let certified = config("verified")
        .replace("near: verified", &yaml.replace("max_false_hit: 1%", "max_false_hit: 1%, timeout: 20s"));
    world.gateway.replace(plan(&certified, &world.sandbox.url())).unwrap();
    let before = world.bill(Name::Text);
    let (first, drawn) = (world.draw(ask(&scene_of("rabbit", 99))).await, "0.04".parse::<Usd>().unwrap());
    assert!(told(&first).0 == "miss" && told(&first).1 > drawn, "the embedding is on the request's bill");
    let second = world.draw(ask(&scene_of("bunny", 99))).await;
    let (word, cost) = told(&second);
    assert!(word == "embedding" && cost > Usd::ZERO && cost < drawn, "{word} {cost}");
    assert_eq!(second.header("x-easel-near"), "bunny=rabbit");
    let likeness: f64 = second.header("x-easel-similarity").parse().unwrap();
    assert!(likeness >= summary["certified"]["threshold"].as_f64().unwrap() && likeness < 1.0, "{likeness}");
    assert_eq!(second.json()["data"][0]["b64_json"], first.json()["data"][0]["b64_json"]);
    // The same again, and the same canonical form, cost nothing.
    let again = world.draw(ask(&format!("Please draw {}!", scene_of("bunny", 99)))).await;
    assert_eq!(told(&again), ("embedding", Usd::ZERO));
    assert_eq!(world.bill(Name::Text).calls - before.calls, 2);
    // No likeness outweighs a color or a number.
    assert_eq!(cache(&world, &scene_of("brown bunny", 99)).await, "miss");
    assert_eq!(cache(&world, &scene_of("bunny", 99).replace("a bunny", "two bunnies")).await, "miss");
    let metrics = world.metrics().await;
    for line in [
        "easel_cache_requests_total{result=\"embedding\",route=\"r\"} 2",
        "easel_cache_embeddings_total{outcome=\"remembered\",route=\"r\"} 1",
        "easel_cache_embeddings_total{outcome=\"embedded\",route=\"r\"} 4",
        "easel_saved_usd_total{tier=\"embedding\"} 0.08",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let held = Client::connect(world.admin).await.get("/admin/cache").await.json();
    assert_eq!(held["embeddings"]["requests"], json!(3));
    assert_eq!(world.bill(Name::Text).violations, Vec::<String>::new());
    // A stricter threshold holds at once.
    let strict = certified.replace(&format!("threshold: {}", summary["certified"]["threshold"]), "threshold: 0.999");
    world.gateway.replace(plan(&strict, &world.sandbox.url())).unwrap();
    assert_eq!(cache(&world, &scene_of("bunny", 99)).await, "miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_requests_at_once_embed_once_and_draw_once_and_the_ledger_is_the_invoice() {
    let folder = tempfile::tempdir().unwrap();
    let server = format!("server: {{state_dir: '{}'}}\n", folder.path().display());
    let world = World::with(&format!("{server}{}", config(CERTIFIED)), settings()).await;
    let scene = scene("rabbit");
    let answers = futures_util::future::join_all((0..8).map(|_| world.draw(ask(&scene)))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!((world.bill(Name::Text).calls, world.bill(Name::Stability).calls), (1, 1));
    world.settled().await;
    assert_eq!(world.spent(), world.invoiced());
    world.gateway.shared.durable_ledger.close().await;
    let ledger = rusqlite::Connection::open(folder.path().join("ledger.sqlite3")).unwrap();
    let row = ledger.query_row(
        "SELECT provider, model, route, outcome, usd FROM attempts WHERE purpose = 'embed'",
        [],
        |row| {
            let text = |at| row.get::<_, String>(at);
            Ok(([text(0)?, text(1)?, text(2)?, text(3)?], row.get::<_, i64>(4)?))
        },
    );
    let (names, nanos) = row.unwrap();
    assert_eq!(names, ["words", "text-embedding-3-small", "r", "ok"]);
    assert_eq!(Usd::from_nanos(nanos), world.bill(Name::Text).usd);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_embedding_the_picture_is_drawn_and_the_metric_says_why() {
    let slow = CERTIFIED.replace("timeout: 20s", "timeout: 50ms");
    for (near, mode, outcome) in [
        (CERTIFIED, Mode::Down500, "server_error"),
        (CERTIFIED, Mode::Garbage, "malformed"),
        (slow.as_str(), Mode::Hang, "timeout"),
        (&CERTIFIED.replace("dimensions: 256", "dimensions: 128"), Mode::Normal, "other_dimensions"),
    ] {
        let world = world(near).await;
        assert_eq!(cache(&world, &scene("rabbit")).await, "miss");
        world.set(Name::Text, |vendor| vendor.mode = mode);
        assert_eq!(cache(&world, &scene("bunny")).await, "miss", "{mode:?}");
        let line = format!("easel_cache_embeddings_total{{outcome=\"{outcome}\",route=\"r\"}}");
        assert!(world.metrics().await.contains(&line), "{mode:?}: {}", world.metrics().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_embedded_for_who_wants_no_reuse_has_a_seed_cannot_afford_it_or_only_asks_what_would_be() {
    let world = world(CERTIFIED).await;
    let calls = || world.bill(Name::Text).calls;
    for (animal, header) in [
        ("rabbit", ("cache-control", "no-cache")),
        ("otter", ("cache-control", "no-store")),
        ("badger", ("x-easel-max-usd", "0.04")),
    ] {
        assert_eq!(world.draw_with(ask(&scene(animal)), &[header]).await.status, 200);
        assert_eq!(calls(), 0, "{header:?}");
    }
    assert!(world.metrics().await.contains("easel_cache_embeddings_total{outcome=\"over_price\",route=\"r\"} 1"));
    told(&world.draw(ask_with(&scene("hare"), json!({"seed": 7}))).await);
    told(&world.draw(ask("ein Hase an einem See mit Schilf und Booten im Nebel")).await);
    // The same characters and the same canonical form are found without.
    assert_eq!(cache(&world, &scene("rabbit")).await, "exact");
    assert_eq!(cache(&world, &format!("Draw {}", scene("rabbit"))).await, "canonical");
    let explained = Client::connect(world.admin).await.post("/admin/explain", &ask(&scene("bunny"))).await.json();
    assert_eq!((&explained["cache"], calls()), (&json!("miss"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_serves_nothing_counts_what_it_would_have_and_its_lines_can_be_labelled() {
    let world = world(SHADOW).await;
    for animal in ["rabbit", "bunny"] {
        assert_eq!(cache(&world, &scene(animal)).await, "miss");
    }
    assert_eq!((world.bill(Name::Stability).calls, world.bill(Name::Text).calls), (2, 2));
    assert!(world.metrics().await.contains("easel_cache_shadow_hits_total{route=\"r\"} 1"));
    let lines = Client::connect(world.admin).await.get("/admin/cache/shadow").await;
    assert_eq!((lines.status, lines.header("content-type")), (200, "application/jsonl"));
    let text = lines.text();
    let hits: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((hits.len(), &hits[0]["route"], &hits[0]["same"]), (1, &json!("r"), &json!(null)));
    assert_eq!((hits[0]["a"].as_str().unwrap(), hits[0]["b"].as_str().unwrap()), (&*scene("bunny"), &*scene("rabbit")));
    assert!(hits[0]["similarity"].as_f64().unwrap() >= 0.7 && hits[0]["at"].is_string());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shadow.jsonl");
    std::fs::write(&file, text.replace("\"same\":null", "\"same\":true")).unwrap();
    let mut command = easel();
    command.args(["calibrate", "--max-false-hit", "1%", "--pairs"]).arg(&file);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("299 at the least"), "{said}");
}
