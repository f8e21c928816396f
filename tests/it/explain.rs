//! What would become of a request, asked of a running Easel and of the command line.

use std::io::Write;
use std::process::Stdio;

use easel::sandbox::Name;
use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::easel;
use crate::world::{PROVIDERS, World, ask, route};

#[tokio::test]
async fn a_running_easel_explains_a_request_and_then_does_that() {
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    let explained = Client::connect(world.admin).await.post("/admin/explain", &ask("a fox")).await;
    assert_eq!(explained.status, 200, "{}", explained.text());
    let explained = explained.json();
    assert_eq!(explained["calls"], json!([{"offer": "stability/core", "reason": "first", "pictures": 1}]));
    assert_eq!((&explained["cache"], &explained["offers"][1]["position"]), (&json!("miss"), &json!(2)));
    assert_eq!(world.bill(Name::Stability).pictures, 0, "nothing was sent");
    let drawn = world.draw(ask("a fox")).await;
    assert_eq!(drawn.header("x-easel-served-by"), "stability/core=1");
    let again = Client::connect(world.admin).await.post("/admin/explain", &ask("a fox")).await.json();
    assert_eq!((&again["cache"], again["calls"].as_array().unwrap().len()), (&json!("exact"), 0));
}

#[tokio::test]
async fn what_cannot_be_explained_is_told_by_the_field() {
    let world = World::new(&route(&["stability/core"])).await;
    let post = async |path: &str, body: Value| Client::connect(world.admin).await.post(path, &body).await;
    let wrong = post("/admin/explain", json!({"prompt": "x", "n": 99})).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["param"]), (400, &json!("n")));
    let nobody = post("/admin/explain?client=web", ask("x")).await;
    assert_eq!((nobody.status, &nobody.json()["error"]["param"]), (400, &json!("client")));
    let word = post("/admin/explain?klient=web", ask("x")).await;
    assert_eq!(word.json()["error"]["code"], "unknown_parameter");
    assert_eq!(Client::connect(world.admin).await.get("/admin/explain").await.status, 405);
    assert_eq!(post("/metrics", ask("x")).await.status, 405);
}

#[tokio::test]
async fn the_command_knows_what_the_process_that_serves_has_paid() {
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "server: {{state_dir: {}}}\n{PROVIDERS}\nroutes:\n  - {{name: all, price: {{budget: {{usd: 0.05, per: total}}}}, offers: [stability/core]}}\n",
        state.path().display()
    );
    let world = World::new(&config).await;
    let path = state.path().join("easel.yaml");
    std::fs::write(&path, &config).unwrap();
    std::fs::write(state.path().join("request.json"), ask("a cat").to_string()).unwrap();
    let explained = || {
        let request = state.path().join("request.json");
        let mut command = easel();
        command.env("SANDBOX", "http://127.0.0.1:9").arg("explain").arg("--config").arg(&path);
        let output = command.arg("--request").arg(request).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (good, text) = explained();
    assert!(good && text.contains("asks stability/core for 1 (first)"), "{text}");
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    world.settled().await;
    let (good, text) = explained();
    assert!(good && text.contains("skipped: over_budget") && text.contains("answers budget_exceeded"), "{text}");
    assert_eq!(world.draw(ask("a cat")).await.error().1, "budget_exceeded");
}

#[test]
fn the_command_explains_a_request_from_standard_input_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("easel.yaml");
    let config = format!(
        "{PROVIDERS}\nroutes:\n  - {{name: all, offers: [{{offer: openai/gpt-image-2, max_usd_per_image: 0.03}}, stability/core]}}\n"
    );
    std::fs::write(&path, config).unwrap();
    let run = |more: &[&str]| {
        let mut command = easel();
        command.env("SANDBOX", "http://127.0.0.1:9").arg("explain").arg("--config").arg(&path).args(["--request", "-"]);
        command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(br#"{"prompt": "a fox", "size": "1024x1024"}"#).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = run(&["--at", "2026-11-28T18:00:00Z"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("asks stability/core for 1 (first)"), "{text}");
    assert!(text.contains("openai/gpt-image-2  skipped: over_price"), "{text}");
    let json: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    assert_eq!(json["calls"][0]["offer"], "stability/core");
    assert_eq!(run(&["--at", "tomorrow"]).status.code(), Some(2));
    assert_eq!(run(&["--client", "web"]).status.code(), Some(1));
}
