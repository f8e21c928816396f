//! Why a request cost what it did, by its id alone: in the log, at the operator's listener, from the command line.

use std::process::Stdio;
use std::time::Duration;

use easel::sandbox::{Mode, Name, Sandbox, Settings};
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::{Served, easel};
use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with, route};

/// One provider that is down, one that has spent its budget, one that draws, and one whose turn does not come.
fn troubled(state: &std::path::Path) -> String {
    let providers =
        PROVIDERS.replacen("models: {any-model", "budget: {usd: 0.01, per: total}\n    models: {any-model", 1);
    format!(
        "server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, state_dir: {}, log: {{format: json}}}}\n{providers}\nroutes:\n  \
         - name: r\n    match: {{models: [m]}}\n    attempts: {{max: 6, per_offer: 1}}\n    offers: [stability/core, \
         compatible/any-model, openai/gpt-image-2, replicate/black-forest-labs/flux-schnell]\n",
        state.display()
    )
}

#[tokio::test]
async fn why_a_request_cost_what_it_did_is_told_by_its_id_in_the_log_by_the_ledger_and_by_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    let path = folder.path().join("easel.yaml");
    std::fs::write(&path, troubled(&folder.path().join("state"))).unwrap();
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::piped());
    let answer = Client::connect(served.addr).await.post(GENERATE, &ask("a fox")).await;
    assert_eq!(answer.header("x-easel-failed"), "stability/core=server_error");
    assert_eq!(answer.header("x-easel-skipped"), "compatible/any-model=over_budget");
    let id = answer.header("x-easel-request-id").to_owned();
    let story = loop {
        let story = Client::connect(served.admin).await.get(&format!("/admin/requests/{id}")).await;
        // The line is written behind the last byte of the answer.
        if story.status == 200 && !story.json()["request"].is_null() {
            break story.json();
        }
        tokio::task::yield_now().await;
    };
    let line = &story["request"]["image"];
    assert_eq!((&line["client"], &line["model"], &line["n"]), (&json!("default"), &json!("m"), &json!(1)));
    let tried = line["tried"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        tried.iter().map(|call| (call["offer"].as_str().unwrap(), call["outcome"].as_str().unwrap())).collect();
    assert_eq!(told, [("stability/core", "server_error"), ("openai/gpt-image-2", "ok")]);
    assert_eq!(line["not_needed"], json!(["replicate/black-forest-labs/flux-schnell"]));
    assert_eq!((&story["total"]["usd"], &story["attempts"][1]["usd"]), (&json!("0.04"), &json!("0.04")));
    assert_eq!(story["attempts"][0]["offer"], "stability/core");
    assert_eq!(story["attempts"][1]["pictures"][0]["image"], line["image_ids"][0]);

    served.signal("TERM");
    let (output, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let logged: Value = serde_json::from_str(lines.lines().find(|line| line.contains(&id)).unwrap()).unwrap();
    assert_eq!(logged, story["request"], "the log has the same line");
    let warned = |text: &str| {
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.rfind(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
    };
    assert_eq!(warned("stability/core failed").unwrap()["request_id"], id.as_str(), "{log}");

    // Nobody serves now: the file alone tells it.
    let told = |more: &[&str]| {
        let mut command = easel();
        command.env("SANDBOX", "http://127.0.0.1:9").args(["ledger", "--config"]).arg(&path);
        command.args(["--request", &id]).args(more).output().unwrap()
    };
    let text = String::from_utf8(told(&[]).stdout).unwrap();
    for sentence in [
        "did not ask compatible/any-model: over_budget",
        "did not ask replicate/black-forest-labs/flux-schnell: its turn did not come",
        "asked stability/core (first): server_error",
        "estimated 0.04 USD, paid 0.04 USD",
        "in all: usd 0.04, prepaid_usd 0, lost_usd 0, uncertain_usd 0",
    ] {
        assert!(text.contains(sentence), "{sentence}:\n{text}");
    }
    let json: Value = serde_json::from_slice(&told(&["--format", "json"]).stdout).unwrap();
    assert_eq!(json, story, "the ledger tells the whole story that the process told");
    let mut unknown = easel();
    unknown.args(["ledger", "--state-dir"]).arg(folder.path().join("state")).args(["--request", "abc"]);
    let unknown = unknown.output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Nothing is known of a request 'abc'"));
}

#[tokio::test]
async fn of_a_hit_it_is_told_which_request_drew_it_and_of_one_that_joined_whom_it_followed() {
    let world = World::new(&route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(300));
    let (first, second) = (world.client().await, world.client().await);
    let joined = async {
        world.sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
        let mut second = second;
        second.post(GENERATE, &ask("a fox")).await
    };
    let mut first = first;
    let body = ask("a fox");
    let (drawn, joined) = tokio::join!(first.post(GENERATE, &body), joined);
    let hit = world.draw(ask("a fox")).await;
    assert_eq!((joined.header("x-easel-cache"), hit.header("x-easel-cache")), ("joined", "exact"));
    let drawn = drawn.header("x-easel-request-id").to_owned();
    assert_eq!(story(&world, joined.header("x-easel-request-id")).await["request"]["image"]["joined"], drawn.as_str());
    let story = story(&world, hit.header("x-easel-request-id")).await;
    let before = &story["drawn_before"][0];
    assert_eq!((&before["request_id"], &before["offer"]), (&json!(drawn), &json!("stability/core")));
    assert_eq!((&before["usd"], &story["total"]["usd"]), (&json!("0.04"), &json!("0")));
}

/// What the process tells of a request, once it is told.
async fn story(world: &World, id: &str) -> Value {
    loop {
        let story = Client::connect(world.admin).await.get(&format!("/admin/requests/{id}")).await;
        if story.status == 200 && !story.json()["request"].is_null() {
            return story.json();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_last_requests_are_listed_newest_first_those_of_strangers_are_not_and_a_wrong_id_is_told() {
    // The SHA-256 of `sk-web`.
    let clients =
        "clients: [{name: web, key_sha256: 4b3bc1de5ca5cd1f74cf4704c5adec1818080396b5f22c547f8971c849d5c3d0}]\n";
    let world = World::new(&format!("{clients}{}", route(&["stability/core"]))).await;
    let stranger = world.draw(ask("a cat")).await;
    assert_eq!(stranger.status, 401);
    for (prompt, n) in [("a fox", 1), ("a hen", 11)] {
        world.draw_with(ask_with(prompt, json!({"n": n})), &[("authorization", "Bearer sk-web")]).await;
    }
    let list = async |query: &str| Client::connect(world.admin).await.get(&format!("/admin/requests{query}")).await;
    let listed = loop {
        let listed = list("").await.json()["requests"].as_array().unwrap().clone();
        if listed.len() == 2 {
            break listed;
        }
        tokio::task::yield_now().await;
    };
    let outcome = |nth: usize| listed[nth]["image"]["outcome"].as_str().unwrap();
    assert_eq!((outcome(0), outcome(1)), ("invalid_value", "ok"));
    assert_eq!((&listed[0]["image"]["client"], &listed[0]["image"]["param"]), (&json!("web"), &json!("n")));
    assert!(!json!(listed).to_string().contains("a fox"), "prompts are not told unless the config says so");
    assert_eq!(list("?limit=1").await.json()["requests"].as_array().unwrap().len(), 1);
    for (query, status, param) in
        [("?limit=0", 400, "limit"), ("?x=1", 400, "x"), ("/a%20b", 400, "request"), ("/abc", 404, "request")]
    {
        let wrong = list(query).await;
        assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (status, &json!(param)), "{query}");
    }
}

#[tokio::test]
async fn an_offer_that_is_paused_and_comes_back_is_a_line_each_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    let path = folder.path().join("easel.yaml");
    let providers =
        PROVIDERS.replacen("models: {core", "breaker: {failures: 1, window: 30s, pause: 100ms}\n    models: {core", 1);
    let routes = "routes: [{name: r, offers: [stability/core, openai/gpt-image-2], attempts: {max: 2, per_offer: 1}}]";
    std::fs::write(&path, format!("server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0}}\n{providers}\n{routes}\n"))
        .unwrap();
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::null());
    let mut client = Client::connect(served.addr).await;
    assert_eq!(client.post(GENERATE, &ask("0")).await.header("x-easel-served-by"), "openai/gpt-image-2=1");
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    let mut nth = 0;
    while client.post(GENERATE, &ask(&format!("{nth}!"))).await.header("x-easel-served-by") != "stability/core=1" {
        nth += 1;
    }
    served.signal("TERM");
    let (_, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text}: {log}"));
    let paused = at("stability/core (generate) is paused for 0.1 s: failing");
    assert!(paused < at("stability/core (generate) is back, "), "{log}");
    let line = log.lines().find(|line| line.contains("is paused")).unwrap();
    assert!(line.contains(" request="), "a warning says whose request it was: {line}");
}
