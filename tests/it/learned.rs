//! Pairs of words that a judge approves: what operators see of them, and that they outlive the process.

use std::path::Path;
use std::process::Stdio;

use easel::sandbox::{Sandbox, Settings};
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::{Served, easel};
use crate::scripted::{Scripted, Then, answer};
use crate::world::{PROVIDERS, ask};

const PAIRS: &str = "/admin/cache/equivalences";

/// A judge who knows that a bunny is a rabbit, and nothing else.
async fn judge() -> Scripted {
    Scripted::start(|asked| {
        let question = asked.json()["messages"][1]["content"].as_str().unwrap().to_owned();
        let question: Value = serde_json::from_str(&question).unwrap();
        let word = if question["words"] == json!(["bunny", "rabbit"]) { "Same." } else { "different" };
        let body = json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "small",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": word}}],
            "usage": {"prompt_tokens": 200, "completion_tokens": 1, "total_tokens": 201},
        });
        Then::Answer(answer(200, &[("content-type", "application/json")], body.to_string().as_bytes()))
    })
    .await
}

fn config(folder: &Path, sandbox: &Sandbox, judge: &Scripted) -> std::path::PathBuf {
    let path = folder.join("easel.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0', state_dir: {state}}}
{providers}
  judge:
    kind: openai_text
    base_url: http://{judge}/v1/
    models: {{small: {{price: {{tokens_per_million: {{text_in: 1.00, text_out: 2.00}}}}}}}}
routes:
  - {{name: other, match: {{models: [other]}}, offers: [stability/core], cache: {{near: verified}}}}
  - name: all
    offers: [stability/core]
    cache: {{near: verified, learn: {{judge: judge/small, max_usd_per_day: 0.50, ttl: 7d}}}}
",
        state = folder.join("state").display(),
        providers = PROVIDERS.replace("${SANDBOX}", &sandbox.url()),
        judge = judge.addr,
    );
    std::fs::write(&path, text).unwrap();
    path
}

async fn pairs(served: &Served) -> Vec<Value> {
    let told = Client::connect(served.admin).await.get(PAIRS).await.json();
    told["equivalences"].as_array().unwrap().clone()
}

/// Waits until so many pairs were decided on.
async fn decided(served: &Served, many: usize) -> Vec<Value> {
    loop {
        let pairs = pairs(served).await;
        if pairs.len() >= many {
            return pairs;
        }
        tokio::task::yield_now().await;
    }
}

async fn draw(served: &Served, prompt: &str) -> (String, String) {
    let answer = Client::connect(served.addr).await.post("/v1/images/generations", &ask(prompt)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.header("x-easel-cache").to_owned(), answer.header("x-easel-near").to_owned())
}

/// Which tier `easel compare` tells of two prompts, and from where it has the first difference.
fn compared(config: &Path, more: &[&str]) -> (Value, Value) {
    let (a, b) = ("a photo of a bunny in a garden", "a photo of a rabbit in a garden");
    let output =
        easel().args(["compare", a, b, "--format", "json", "--config"]).arg(config).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    (told["tier"].clone(), told["differences"][0]["from"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_judge_approved_is_listed_compared_by_outlives_kill_9_and_ends_when_it_is_struck() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let judge = judge().await;
    let config = config(folder.path(), &sandbox, &judge);
    let start = || Served::start(&config, &sandbox.url(), &[], Stdio::null());
    assert_eq!(compared(&config, &[]), (json!("none"), Value::Null), "there is no ledger yet");
    let served = start();
    draw(&served, "a photo of a bunny in a garden").await;
    assert_eq!(draw(&served, "a photo of a rabbit in a garden").await.0, "miss");
    let known = decided(&served, 1).await;
    let Value::Object(pair) = &known[0] else { panic!("{known:?}") };
    let told = ["tenant", "words", "state", "by"].map(|key| pair[key].clone());
    assert_eq!(told, [json!("default"), json!(["bunny", "rabbit"]), json!("approved"), json!("judge/small")]);
    assert!(pair["since"].as_str() < pair["until"].as_str(), "{pair:?}");
    draw(&served, "a drawing of a bunny on a lawn").await;
    let near = ("near".to_owned(), "rabbit=bunny".to_owned());
    assert_eq!(draw(&served, "a drawing of a rabbit on a lawn").await, near);
    let (one, two) = (json!("near"), json!("learned"));
    assert_eq!(compared(&config, &[]), (one.clone(), two.clone()));
    assert_eq!(compared(&config, &["--tenant", "default", "--route", "all"]), (one, two));
    for more in [&["--tenant", "another"][..], &["--route", "other"]] {
        assert_eq!(compared(&config, more).0, "none", "{more:?}");
    }
    // Killed, and started again.
    drop(served);
    let served = start();
    assert_eq!(pairs(&served).await, known);
    draw(&served, "an old painting of a bunny on a hill").await;
    assert_eq!(draw(&served, "an old painting of a rabbit on a hill").await, near);
    let page = Client::connect(served.admin).await.get("/metrics").await.text();
    assert!(page.contains("easel_equivalences{state=\"approved\"} 1"), "{page}");
    let mut operator = Client::connect(served.admin).await;
    let strike = json!({"tenant": "default", "words": ["rabbit", "bunny"], "action": "strike"});
    let struck = operator.post(PAIRS, &strike).await;
    assert_eq!((struck.status, &struck.json()["changed"]), (200, &json!(true)));
    draw(&served, "a wooden toy of a bunny in a box").await;
    assert_eq!(draw(&served, "a wooden toy of a rabbit in a box").await.0, "miss");
    drop(served);
    let served = start();
    assert_eq!((&pairs(&served).await[0]["state"], judge.count("POST")), (&json!("struck"), 1));
    let forget = json!({"tenant": "default", "words": ["rabbit", "bunny"], "action": "forget"});
    let told = Client::connect(served.admin).await.post(PAIRS, &forget).await.json();
    assert_eq!((&told["changed"], pairs(&served).await.len()), (&json!(true), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_pair_that_means_nothing_is_an_error_that_says_what_to_send() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let judge = judge().await;
    let served = Served::start(&config(folder.path(), &sandbox, &judge), &sandbox.url(), &[], Stdio::null());
    let mut operator = Client::connect(served.admin).await;
    for (body, param) in [
        (json!({}), Value::Null),
        (json!({"tenant": "default", "words": ["a", "a"], "action": "strike"}), json!("words")),
    ] {
        let answer = operator.post(PAIRS, &body).await;
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &param), "{body}");
    }
    assert!(pairs(&served).await.is_empty());
}
