//! Logs nobody reads, and output nobody waits for.

use std::process::{Output, Stdio};

use serde_json::{Value, json};

use easel::sandbox::{Sandbox, Settings};

use crate::client::Client;
use crate::commands::{Served, config, demo_alone, easel};
use crate::world::{GENERATE, ask, ask_with, route};

async fn dropped(served: &Served, log: &str) -> u64 {
    let page = Client::connect(served.admin).await.get("/metrics").await.text();
    let name = format!("easel_log_dropped_total{{log=\"{log}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

#[tokio::test]
async fn with_both_logs_stuck_everybody_is_answered_lines_are_dropped_and_counted_and_the_end_comes() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let path = config(folder.path(), &route(&["stability/core"]));
    // At this level each request has lines in both.
    let served = Served::start(&path, &sandbox.url(), &[("EASEL_LOG", "debug")], Stdio::piped());
    assert_eq!((dropped(&served, "access").await, dropped(&served, "diagnostic").await), (0, 0));
    let long = format!("/{}", "x".repeat(7000));
    let mut client = Client::connect(served.addr).await;
    let mut asked = 0;
    while dropped(&served, "access").await == 0 || dropped(&served, "diagnostic").await == 0 {
        assert!(asked < 20_000, "nothing was dropped");
        for _ in 0..100 {
            assert_eq!(client.get(&long).await.status, 404);
        }
        asked += 100;
    }
    assert_eq!(Client::connect(served.admin).await.get("/healthz").await.status, 200);
    assert_eq!(client.post(GENERATE, &ask("x")).await.status, 200);
    served.signal("TERM");
    let status = tokio::task::spawn_blocking(move || served.wait()).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn lines_that_repeat_themselves_are_summed_up_and_the_last_sum_comes_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("easel.yaml");
    let server = "server: {listen: 127.0.0.1:0, admin: 127.0.0.1:0, passthrough: \"http://127.0.0.1:1\"}";
    std::fs::write(&path, format!("{server}\n{}", route(&["stability/core"]))).unwrap();
    let served = Served::start(&path, "http://127.0.0.1:1", &[], Stdio::null());
    for _ in 0..40 {
        assert_eq!(Client::connect(served.addr).await.get("/x").await.status, 502);
    }
    served.signal("TERM");
    let (output, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    assert!(output.status.success());
    let failed: Vec<&str> = log.lines().filter(|line| line.contains("passthrough failed")).collect();
    let summed = |line: &&str| line.split("... ").nth(1)?.split(' ').next()?.parse::<usize>().ok();
    let sums: Vec<usize> = failed.iter().filter_map(summed).collect();
    let shown = failed.len() - sums.len();
    // A slow machine begins a window more than once.
    assert!(!sums.is_empty() && shown >= 10 && shown + sums.iter().sum::<usize>() == 40, "{log}");
}

#[tokio::test]
async fn every_answer_has_the_id_that_its_line_in_the_log_has() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let path = config(folder.path(), &route(&["stability/core"]));
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::piped());
    let mut client = Client::connect(served.addr).await;
    let drawn = client.post(GENERATE, &ask_with("a fox", json!({"response_format": "url"}))).await;
    let link = drawn.json()["data"][0]["url"].as_str().unwrap().to_owned();
    let link = link.split_once("/v1/").map(|(_, rest)| format!("/v1/{rest}")).unwrap();
    let mut answers = vec![(200, drawn)];
    for (status, path) in
        [(200, link.as_str()), (200, "/v1/models"), (404, "/v1/models/x"), (404, "/x"), (405, GENERATE)]
    {
        answers.push((status, client.get(path).await));
    }
    answers.push((200, client.post(GENERATE, &ask_with("a hen", json!({"stream": true}))).await));
    answers.push((400, client.post(GENERATE, &json!({"model": "m"})).await));
    answers.push((404, client.post("/v1/images/feedback", &json!({"image_id": "x", "verdict": "accepted"})).await));
    served.signal("TERM");
    let (output, _) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    let lines: Vec<Value> =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(lines.len(), answers.len());
    for ((status, answer), line) in answers.iter().zip(&lines) {
        let id = answer.header("x-request-id");
        assert_eq!((answer.status, id), (*status, line["request_id"].as_str().unwrap()), "{line}");
        assert_eq!(answer.header("x-easel-request-id"), id);
    }
}

/// Runs `words` with a standard output that is closed.
fn unread(words: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    easel().args(words).env("SANDBOX", "http://127.0.0.1:1").stdout(writer).output().unwrap()
}

#[test]
fn output_that_is_cut_off_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), &route(&["stability/core"]));
    let (path, out) = (path.to_str().unwrap(), folder.path().to_str().unwrap());
    let commands: [&[&str]; 6] = [
        &["schema"],
        &["schema", "--preset", "together"],
        &["check", path],
        &["--help"],
        &["serve", "--help"],
        &["demo", "--exit", "--out", out],
    ];
    for words in commands {
        let _alone = words.contains(&"demo").then(demo_alone);
        let output = unread(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{words:?}: {output:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = easel().args(["check", "/nowhere/easel.yaml"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = easel().arg("schema").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the output was not written"), "{output:?}");
}
