//! Other people's tools against Easel: the official OpenAI package for Python, and promtool with metrics and rules.
//!
//! `scripts/test` installs both and says where they are.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use easel::sandbox::Name;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::providers::{ALL, EDIT, Line, config, picture, provider_of, speak, twelve};
use crate::stream::events;
use crate::world::{GENERATE, World, ask, ask_with, route};

pub fn tool(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test, which installs the tool"))
}

const OPENAI: &str = include_str!("sdks/openai_client.py");

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

const TYPES: &str = include_str!("openai_types.py");

/// The twelve requests of every provider, and two streams.
fn fourteen() -> Vec<(&'static str, Value)> {
    let streams = [
        (GENERATE, json!({"stream": true, "partial_images": 2, "n": 2})),
        (EDIT, json!({"stream": true, "partial_images": 2, "images": [picture(1024, 255)]})),
    ];
    twelve().into_iter().chain(streams).collect()
}

/// Lines for `openai_types.py`: an answer, or each event of one. Base64 is cut, for it is not the point.
fn lines(case: &str, answer: &Answer) -> String {
    let shorten = |value: &mut Value| {
        if let Some(Value::String(text)) = value.get_mut("b64_json") {
            text.truncate(64);
        }
    };
    let mut bodies = match answer.header("content-type") {
        "text/event-stream" => events(&answer.text()).into_iter().map(|(_, data)| data).collect(),
        _ => vec![answer.json()],
    };
    for body in &mut bodies {
        shorten(body);
        body.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten().for_each(shorten);
    }
    bodies.iter().map(|body| json!({"case": case, "body": body}).to_string() + "\n").collect()
}

/// What every provider answers to the requests that one of its offers can meet.
async fn answered(world: &World) -> String {
    let mut told = String::new();
    let mut providers: Vec<&str> = ALL.iter().map(|line| provider_of(line.offer)).collect();
    providers.dedup();
    for provider in providers {
        speak(world, provider);
        for (path, mut body) in fourteen() {
            let of_provider = |line: &&Line| provider_of(line.offer) == provider && line.able(path, &body);
            let Some(line) = ALL.iter().find(of_provider) else { continue };
            // What is finished at once has nothing unfinished to show, and only these two show it.
            let shows = body["stream"] == true && matches!(line.vendor, Name::OpenAi | Name::Azure);
            world.set(line.vendor, |vendor| vendor.latency = Duration::from_secs(shows.into()));
            let case = format!("{} {path} {}", line.offer, body.to_string().chars().take(60).collect::<String>());
            body["model"] = json!(line.offer);
            body["prompt"] = json!("a red fox in the snow");
            let answer = world.client().await.post(path, &body).await;
            match answer.status {
                200 => told += &lines(&case, &answer),
                // It takes no seed, no negative prompt or no such file format.
                status => assert_eq!((status, answer.error().1.as_str()), (400, "unsupported_value"), "{case}"),
            }
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn every_providers_answers_and_events_are_the_official_packages_types_to_the_letter() {
    let python = tool("EASEL_TEST_PYTHON");
    let told = answered(&World::new(&config()).await).await;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("answers.jsonl");
    std::fs::write(&file, &told).unwrap();
    let run = move || Command::new(python).args(["-c", TYPES]).arg(file).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: BTreeMap<String, usize> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen.values().sum::<usize>(), told.lines().count());
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    let events = ["ImageEditCompletedEvent", "ImageEditPartialImageEvent", "ImageGenCompletedEvent"];
    assert_eq!(kinds, [&events[..], &["ImageGenPartialImageEvent", "ImagesResponse"]].concat());
}

#[tokio::test]
async fn promtool_accepts_the_metrics() {
    let promtool = tool("EASEL_TEST_PROMTOOL");
    let world = World::new(&route(&["stability/core", "openai/gpt-image-2"])).await;
    world.draw(ask("a fox")).await;
    world.draw(ask("a fox")).await;
    world.draw(ask_with("a hen", json!({"n": 0}))).await;
    world.set(Name::Stability, |vendor| vendor.mode = easel::sandbox::Mode::Down500);
    world.draw(ask("a cow")).await;
    let page = world.metrics().await;
    for name in [
        "easel_requests_total{outcome=\"ok\",route=\"r\"} 3",
        "easel_requests_total{outcome=\"invalid_value\",route=\"none\"} 1",
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

#[test]
fn promtool_takes_the_rules_and_each_of_them_fires_when_it_should() {
    let promtool = tool("EASEL_TEST_PROMTOOL");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prometheus");
    let run = |arguments: [&str; 3]| {
        let output = Command::new(&promtool).args(arguments).current_dir(&folder).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
    };
    run(["check", "rules", "easel-rules.yaml"]);
    run(["check", "rules", "easel-recording-rules.yaml"]);
    run(["test", "rules", "easel-rules-test.yaml"]);
    let [rules, tests] =
        ["easel-rules.yaml", "easel-rules-test.yaml"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    for alert in rules.split("- alert: ").skip(1).map(|rest| rest.split_whitespace().next().unwrap()) {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels:");
        assert!(tests.contains(&fires), "no test shows {alert} firing");
    }
    let recorded = std::fs::read_to_string(folder.join("easel-recording-rules.yaml")).unwrap();
    for record in recorded.split("- record: ").skip(1).map(|rest| rest.split_whitespace().next().unwrap()) {
        assert!(tests.contains(record), "no test shows what {record} is");
    }
}
