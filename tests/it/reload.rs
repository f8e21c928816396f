//! Config changes under traffic: all or nothing, and nobody notices.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use easel::Gateway;
use easel::reload::Watch;
use easel::sandbox::{Mode, Name};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::world::{Env, GENERATE, PROVIDERS, World, ask, route};

/// A config whose route and offer name the same side, so that a mixture shows.
fn side(name: &str) -> String {
    let providers = PROVIDERS.replace("any-model: {", "left: {price: 0.04}, right: {price: 0.04}, any-model: {");
    format!("{providers}\nroutes:\n  - {{name: {name}, cache: false, offers: [compatible/{name}]}}\n")
}

/// Waits for a condition, but not for ever.
async fn until(mut condition: impl FnMut() -> bool) {
    let polling = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polling).await.expect("it never came");
}

fn watch(world: &World, path: &Path) -> mpsc::Sender<()> {
    let (hup, now) = mpsc::channel(1);
    let lookup = Arc::new(Env(world.sandbox.url()));
    let (watch, loaded) = Watch::open(path.to_owned(), lookup);
    assert!(loaded.is_ok());
    tokio::spawn(watch.follow(world.gateway.clone(), Duration::from_millis(10), now));
    hup
}

fn version(gateway: &Gateway) -> u64 {
    gateway.snapshot().version
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_changes_under_a_hundred_requests_a_second_fail_none_and_mix_none() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("..data_1"), folder.path().join("..data_2"));
    let path = folder.path().join("easel.yaml");
    for file in [&one, &two] {
        std::fs::write(file, side("left")).unwrap();
    }
    std::os::unix::fs::symlink(&one, &path).unwrap();
    let world = World::new(&side("left")).await;
    let hup = watch(&world, &path);
    let stop = Arc::new(AtomicBool::new(false));
    let traffic = tokio::spawn(traffic(world.addr, stop.clone()));
    let gateway = &world.gateway;
    let failed = &gateway.shared.metrics.reload_success;
    for round in 0..10u64 {
        let name = if round % 2 == 0 { "right" } else { "left" };
        // 1. An editor's rename-and-replace (of the link's target).
        let before = version(gateway);
        let draft = folder.path().join("draft");
        std::fs::write(&draft, side(name)).unwrap();
        std::fs::rename(&draft, std::fs::canonicalize(&path).unwrap()).unwrap();
        until(|| version(gateway) > before).await;
        assert_eq!(gateway.snapshot().plan.routes[0].name, name);
        // 2. A bad file changes nothing and is told.
        let before = version(gateway);
        std::fs::write(&path, side(name).replace("offers:", "ofers:")).unwrap();
        until(|| failed.get() == 0).await;
        assert_eq!(version(gateway), before);
        // 3. A file written in halves, then whole.
        let whole = format!("{}# round {round}\n", side(name));
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        tokio::task::yield_now().await;
        std::fs::write(&path, &whole).unwrap();
        until(|| failed.get() == 1 && version(gateway) > before).await;
        // 4. Kubernetes swaps a symlink.
        let before = version(gateway);
        let target = if std::fs::canonicalize(&path).unwrap().ends_with("..data_1") { &two } else { &one };
        std::fs::write(target, format!("{}# swapped {round}\n", side(name))).unwrap();
        let link = folder.path().join("..link");
        std::os::unix::fs::symlink(target, &link).unwrap();
        std::fs::rename(&link, &path).unwrap();
        until(|| version(gateway) > before).await;
        // 5. SIGHUP takes even an unchanged file.
        let before = version(gateway);
        hup.send(()).await.unwrap();
        until(|| version(gateway) > before).await;
    }
    stop.store(true, Ordering::Release);
    let (answered, sides) = traffic.await.unwrap();
    assert!(answered > 50, "there was traffic: {answered}");
    assert_eq!(sides, 2, "both sides served");
}

/// Requests that the traffic has open at once, however slow the machine is. A provider takes more.
const OPEN: usize = 8;

/// A hundred requests a second at most until told to stop. Every one must succeed and be served by one version alone.
/// Returns how many there were, and how many different routes served.
async fn traffic(addr: std::net::SocketAddr, stop: Arc<AtomicBool>) -> (u64, usize) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut running = JoinSet::new();
    let mut routes = BTreeSet::new();
    let mut sent = 0;
    while !stop.load(Ordering::Acquire) {
        tick.tick().await;
        if running.len() == OPEN {
            routes.extend(running.join_next().await.map(Result::unwrap));
        }
        sent += 1;
        let number = sent;
        running.spawn(async move {
            let body = json!({"prompt": format!("request {number}"), "size": "64x64"});
            let answer = Client::connect(addr).await.post(GENERATE, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let route = answer.header("x-easel-route").to_owned();
            assert_eq!(answer.header("x-easel-served-by"), format!("compatible/{route}=1"));
            route
        });
    }
    routes.extend(running.join_all().await);
    (sent, routes.len())
}

#[tokio::test]
async fn a_changed_secret_file_is_a_changed_config() {
    let folder = tempfile::tempdir().unwrap();
    let (path, secret) = (folder.path().join("easel.yaml"), folder.path().join("key"));
    std::fs::write(&secret, "sk-old").unwrap();
    let config = side("left").replacen("api_key: sk-test", &format!("api_key: \"${{file:{}}}\"", secret.display()), 1);
    std::fs::write(&path, &config).unwrap();
    let world = World::new(&config).await;
    let _hup = watch(&world, &path);
    let key = || world.gateway.snapshot().plan.providers["openai"].account.api_key.clone();
    assert_eq!(key().unwrap().reveal(), "sk-old");
    std::fs::write(&secret, "sk-new").unwrap();
    until(|| version(&world.gateway) == 2).await;
    assert_eq!(key().unwrap().reveal(), "sk-new");
}

#[tokio::test]
async fn cache_ledger_pauses_and_slots_survive_a_change() {
    let config = route(&["stability/core", "openai/gpt-image-2"]);
    let world = World::new(&config).await;
    world.draw(ask("a fox")).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::RateLimited { retry_after: Duration::from_secs(60) });
    assert_eq!(world.draw(ask("a hen")).await.header("x-easel-attempts"), "2");
    world.set(Name::OpenAi, |vendor| vendor.mode = Mode::Hang);
    let mut hanging = world.client().await;
    hanging.send("POST", GENERATE, &[("content-type", "application/json")], ask("x").to_string().as_bytes()).await;
    world.sandbox.until(Name::OpenAi, |bill| bill.in_flight == 1).await;
    let spent = world.spent();

    let version = world.gateway.replace(crate::world::plan(&config, &world.sandbox.url())).unwrap();
    assert_eq!(version, 2);
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-cache"), "exact");
    assert_eq!(world.spent(), spent);
    let page = world.metrics().await;
    assert!(page.contains("easel_in_flight{priority=\"live\",provider=\"openai\"} 1"), "{page}");
    assert!(page.contains("easel_breaker_state{model=\"core\",provider=\"stability\"} 2"), "{page}");
    assert!(page.contains("easel_config_version 2"), "{page}");
}

#[tokio::test]
async fn a_request_after_a_change_does_not_join_a_flight_of_the_old_config() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let mut old = world.client().await;
    old.send("POST", GENERATE, &[("content-type", "application/json")], ask("a fox").to_string().as_bytes()).await;
    world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    world.gateway.replace(crate::world::plan(&route(&["openai/gpt-image-2"]), &world.sandbox.url())).unwrap();
    let answer = world.draw(ask("a fox")).await;
    assert_eq!(answer.header("x-easel-served-by"), "openai/gpt-image-2=1", "{}", answer.text());
}

#[tokio::test]
async fn a_new_key_is_tried_at_once() {
    let config = route(&["stability/core"]);
    let world = World::new(&config).await;
    world.set(Name::Stability, |vendor| vendor.key = Some("sk-better".to_owned()));
    assert_eq!(world.draw(ask("a fox")).await.status, 502);
    let better = config.replace("sk-test", "sk-better");
    world.gateway.replace(crate::world::plan(&better, &world.sandbox.url())).unwrap();
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
}
