//! Reuse of pictures as clients and operators see it: variants, other words, edits, what is purged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use easel::sandbox::{Name, Sandbox, Settings};
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::Served;
use crate::world::{PROVIDERS, World, ask};

const GENERATE: &str = "/v1/images/generations";

/// A world with one route of one offer that reuses pictures like this.
async fn reusing(cache: &str) -> World {
    let offers = "offers: [stability/core]";
    World::new(&format!("{PROVIDERS}\nroutes:\n  - {{name: all, {offers}, cache: {cache}}}\n")).await
}

async fn admin(world: &World, path: &str, body: &Value) -> (u16, Value) {
    let answer = Client::connect(world.admin).await.post(path, body).await;
    (answer.status, answer.json())
}

async fn contents(world: &World) -> Value {
    Client::connect(world.admin).await.get("/admin/cache").await.json()
}

#[tokio::test]
async fn parallel_requests_for_one_get_different_pictures_and_then_they_take_turns() {
    let world = reusing("{variants: 3}").await;
    let drawn = futures_util::future::join_all((0..3).map(|_| world.draw(ask("a fox")))).await;
    let ids: BTreeSet<String> = drawn.iter().map(|answer| answer.header("x-easel-image-ids").to_owned()).collect();
    assert_eq!((ids.len(), world.bill(Name::Stability).pictures), (3, 3));
    let mut before = String::new();
    for _ in 0..6 {
        let again = world.draw(ask("a fox")).await;
        let id = again.header("x-easel-image-ids").to_owned();
        assert!(again.header("x-easel-cache") == "exact" && id != before && ids.contains(&id));
        before = id;
    }
    assert_eq!(world.bill(Name::Stability).pictures, 3);
}

#[tokio::test]
async fn other_words_bring_the_picture_and_the_header_says_which_words_differed() {
    let world = reusing("{near: verified}").await;
    let first = world.draw(ask("A small red sofa beside a wooden table, morning light")).await;
    let canonical = world.draw(ask("a small red sofa beside a wooden table; morning light")).await;
    assert_eq!((canonical.header("x-easel-cache"), canonical.header("x-easel-near")), ("canonical", ""));
    let near = world.draw(ask("A small red sofa beside a wooden table, mornign light")).await;
    assert_eq!((near.header("x-easel-cache"), near.header("x-easel-near")), ("near", "mornign=morning"));
    assert_eq!(near.header("x-easel-cost-usd"), "0");
    assert_eq!(near.header("x-easel-image-ids"), first.header("x-easel-image-ids"));
    let other = world.draw(ask("A small blue sofa beside a wooden table, morning light")).await;
    assert_eq!((other.header("x-easel-cache"), world.bill(Name::Stability).pictures), ("miss", 2));
    let page = Client::connect(world.admin).await.get("/metrics").await.text();
    for line in [
        "easel_cache_requests_total{result=\"canonical\",route=\"all\"} 1",
        "easel_cache_requests_total{result=\"near\",route=\"all\"} 1",
        "easel_saved_usd_total{tier=\"near\"} 0.04",
    ] {
        assert!(page.contains(line), "{line}");
    }
}

#[tokio::test]
async fn what_is_purged_is_drawn_anew_and_the_rest_is_not() {
    let world = reusing("{}").await;
    let fox = world.draw(ask("a fox")).await.header("x-easel-image-ids").to_owned();
    world.draw(ask("a hen")).await;
    let told = contents(&world).await;
    assert_eq!((&told["requests"], &told["pictures"]), (&json!(2), &json!(2)));
    assert_eq!(told["bytes_by_tenant"]["default"], told["memory"]["bytes"]);
    let explained = Client::connect(world.admin).await.post("/admin/explain", &ask("a hen")).await.json();
    for (body, pictures) in [
        (json!({"image": fox}), 1),
        (json!({"image": fox}), 0),
        (json!({"provider": "openai"}), 0),
        (json!({"older_than": "1h"}), 0),
        (json!({"key": explained["cache_key"]}), 1),
    ] {
        let (status, purged) = admin(&world, "/admin/cache/purge", &body).await;
        assert_eq!((status, &purged["pictures"]), (200, &json!(pictures)), "{body}");
    }
    assert_eq!(contents(&world).await["pictures"], 0);
    for prompt in ["a fox", "a hen"] {
        assert_eq!(world.draw(ask(prompt)).await.header("x-easel-cache"), "miss", "{prompt}");
    }
    assert_eq!(admin(&world, "/admin/cache/purge", &json!({"all": true})).await.1["pictures"], 2);
}

#[tokio::test]
async fn a_purge_that_selects_nothing_or_is_no_post_changes_nothing() {
    let world = reusing("{}").await;
    world.draw(ask("a fox")).await;
    for body in [json!({}), json!({"tennant": "web"}), json!({"older_than": "soon"}), json!([])] {
        let (status, told) = admin(&world, "/admin/cache/purge", &body).await;
        assert_eq!((status, told["error"]["type"].as_str()), (400, Some("invalid_request_error")), "{body}");
    }
    assert_eq!(Client::connect(world.admin).await.get("/admin/cache/purge").await.status, 405);
    assert_eq!(Client::connect(world.admin).await.post("/admin/cache", &json!({})).await.status, 405);
    assert_eq!(contents(&world).await["pictures"], 1);
}

/// The config of a world whose pictures are on disk as well, in `dir`.
fn on_disk(dir: &Path, memory: &str) -> String {
    let disk = format!("cache: {{memory: {memory}, disk: {{dir: {}, size: 1GiB}}}}\n", dir.display());
    format!("{disk}{PROVIDERS}\nroutes:\n  - {{name: all, offers: [stability/core], cache: {{near: verified}}}}\n")
}

/// Waits until so many pictures are on disk.
async fn written(world: &World, pictures: u64) {
    loop {
        let disk = &contents(world).await["disk"];
        if disk["written"] == pictures && disk["queued_bytes"] == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn url(prompt: &str) -> Value {
    json!({"model": "m", "prompt": prompt, "size": "1024x1024", "response_format": "url"})
}

/// An Easel in a process of its own, in front of `sandbox`.
fn serve(folder: &Path, sandbox: &Sandbox) -> Served {
    let path = folder.join("easel.yaml");
    let server = "server: {listen: '127.0.0.1:0', admin: '127.0.0.1:0'}\n";
    std::fs::write(&path, format!("{server}{}", on_disk(&folder.join("pictures"), "64MiB"))).unwrap();
    Served::start(&path, &sandbox.url(), &[], Stdio::null())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_every_picture_and_link_that_is_served_is_the_one_that_was_drawn_and_none_is_paid_twice() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let served = serve(folder.path(), &sandbox);
    // Some are on disk, some are being written, some are waiting when the process ends.
    let mut known = Vec::new();
    for number in 0..24 {
        let prompt = format!("A small red sofa with {number} cushions, morning light");
        let answer = Client::connect(served.addr).await.post(GENERATE, &url(&prompt)).await;
        let link = answer.json()["data"][0]["url"].as_str().unwrap().split_once("/v1/").unwrap().1.to_owned();
        let file = Client::connect(served.addr).await.get(&format!("/v1/{link}")).await.body;
        known.push((prompt, answer.header("x-easel-image-ids").to_owned(), link, file));
        if number == 11 {
            let written = |told: &Value| told["disk"]["written"].as_u64() >= Some(6);
            while !written(&Client::connect(served.admin).await.get("/admin/cache").await.json()) {
                tokio::task::yield_now().await;
            }
        }
    }
    drop(served);
    let served = serve(folder.path(), &sandbox);
    let (mut links, mut hits) = (0, 0);
    for (prompt, id, link, file) in &known {
        let linked = Client::connect(served.addr).await.get(&format!("/v1/{link}")).await;
        assert!(linked.status == 404 || linked.body == *file, "{prompt}");
        links += usize::from(linked.status == 200);
        let again = Client::connect(served.addr).await.post(GENERATE, &url(&prompt.to_lowercase())).await;
        if again.header("x-easel-cache") == "canonical" {
            let link = again.json()["data"][0]["url"].as_str().unwrap().split_once("/v1/").unwrap().1.to_owned();
            let body = Client::connect(served.addr).await.get(&format!("/v1/{link}")).await.body;
            assert!(again.header("x-easel-image-ids") == id && body == *file, "{prompt}");
            assert_eq!(again.header("x-easel-cost-usd"), "0");
            hits += 1;
        }
    }
    assert!(links >= 6 && hits >= 6, "{links} links and {hits} pictures are still there");
    assert_eq!(sandbox.invoice().vendor(Name::Stability).pictures, 24 + 24 - hits);
}

#[tokio::test]
async fn what_leaves_the_memory_is_served_from_disk_and_a_file_that_was_changed_is_drawn_anew() {
    let dir = tempfile::tempdir().unwrap();
    let one = reusing("{}").await;
    one.draw(ask("a fox")).await;
    // Room for two pictures like it, not for all.
    let memory = contents(&one).await["memory"]["bytes"].as_u64().unwrap() * 5 / 2;
    let world = World::new(&on_disk(dir.path(), &format!("{memory}B"))).await;
    let prompts = ["a fox", "a hen", "a bench", "a train", "a lamp"];
    for prompt in prompts {
        assert_eq!(world.draw(ask(prompt)).await.header("x-easel-cache"), "miss");
    }
    written(&world, 5).await;
    let before = world.bill(Name::Stability).pictures;
    for prompt in prompts {
        assert_eq!(world.draw(ask(prompt)).await.header("x-easel-cache"), "exact", "{prompt}");
    }
    assert_eq!(world.bill(Name::Stability).pictures, before);
    let mut changed = 0;
    for entry in walk(dir.path()) {
        let mut bytes = std::fs::read(&entry).unwrap();
        if bytes.starts_with(b"\x89PNG") || bytes.iter().all(u8::is_ascii) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&entry, bytes).unwrap();
            changed += 1;
        }
    }
    assert!(changed >= 5, "{changed}");
    let mut anew = 0;
    for prompt in prompts {
        anew += usize::from(world.draw(ask(prompt)).await.header("x-easel-cache") == "miss");
    }
    assert!(anew >= 3, "{anew} of those that are not in memory");
    let page = Client::connect(world.admin).await.get("/metrics").await.text();
    assert!(page.contains(&format!("easel_cache_disk_reads_total{{result=\"corrupted\"}} {anew}")), "{page}");
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
