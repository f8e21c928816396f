//! Other people's tools against Easel: the official OpenAI package for Python, and promtool.
//!
//! `scripts/test` installs both and says where they are.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::world::{World, ask, ask_with, route};

fn tool(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test, which installs the tool"))
}

const OPENAI: &str = include_str!("openai_client.py");

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_package_generates_lists_and_gets_its_typed_exceptions() {
    let python = tool("EASEL_TEST_PYTHON");
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    let url = format!("http://{}/v1", world.addr);
    let run = move || Command::new(python).args(["-c", OPENAI, &url]).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("all of it worked"), "{said}");
}

#[tokio::test]
async fn promtool_accepts_the_metrics() {
    let promtool = tool("EASEL_TEST_PROMTOOL");
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    world.draw(ask("a fox")).await;
    world.draw(ask("a fox")).await;
    world.draw(ask_with("a hen", serde_json::json!({"n": 0}))).await;
    world.set(easel::sandbox::Name::Stability, |vendor| vendor.mode = easel::sandbox::Mode::Down500);
    world.draw(ask("a cow")).await;
    let page = world.metrics().await;
    for name in [
        "easel_requests_total{outcome=\"ok\",route=\"r\"} 3",
        "easel_requests_total{outcome=\"invalid_request\",route=\"none\"} 1",
        "easel_attempts_total{model=\"core\",outcome=\"server_error\",provider=\"stability\"} 1",
        "easel_cache_requests_total{result=\"exact\",route=\"r\"} 1",
        "easel_spend_usd_total{kind=\"delivered\",model=\"core\",provider=\"stability\"} 0.04",
        "easel_saved_usd_total{tier=\"exact\"} 0.04",
        "easel_config_reload_success 1",
    ] {
        assert!(page.lines().any(|line| line == name), "{name} not in\n{page}");
    }
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
