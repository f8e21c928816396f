//! `easel check` as a person, a pipeline and an editor meet it, and what of it a serving Easel logs.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::commands::easel;

/// A config of one offer and a cap.
fn config(key: &str, cap: &str) -> String {
    format!(
        "server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0}}
providers:
  stability: {{kind: stability, api_key: \"{key}\", models: {{core: {{price: 0.03}}}}}}
routes:
  - {{name: r, offers: [stability/core], price: {{max_usd_per_image: {cap}}}}}
"
    )
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn check(arguments: &[&str], files: &[&Path]) -> Output {
    easel().arg("check").args(arguments).args(files).env("KEY", "sk-live-hush").env_remove("NO_KEY").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_warning_refuses_nothing_unless_warnings_are_denied_and_one_that_is_meant_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let poor = write(folder.path(), "poor.yaml", &config("${KEY}", "0.01"));
    let output = check(&[], &[&poor]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("warning[route_over_cap]: route `r` buys nothing"), "{output:?}");
    assert!(text(&output.stdout).contains("is fine: 1 providers, 1 routes, 1 offers, 1 warning\n"), "{output:?}");
    assert_eq!(check(&["--deny-warnings"], &[&poor]).status.code(), Some(1));
    let allowed = check(&["--deny-warnings", "--allow", "route_over_cap"], &[&poor]);
    assert_eq!((allowed.status.code(), text(&allowed.stderr).as_str()), (Some(0), ""));
    assert_eq!(check(&["--allow", "no_such_word"], &[&poor]).status.code(), Some(2));
    let good = write(folder.path(), "good.yaml", &config("${KEY}", "0.05"));
    assert_eq!(check(&["--deny-warnings"], &[&good]).status.code(), Some(0));
}

#[test]
fn machines_get_a_line_of_json_for_each_problem_and_warning_of_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.yaml", &config("${KEY}", "0.05"));
    let poor = write(folder.path(), "poor.yaml", &config("sk-live-hush", "0.01"));
    let bad = write(folder.path(), "bad.yaml", &config("${KEY}", "\"0,05\""));
    assert_eq!(text(&check(&["--format", "json"], &[&good]).stdout), "");
    let gone = folder.path().join("gone.yaml");
    let output = check(&["--format", "json"], &[&good, &poor, &bad, &gone]);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let told: Vec<[&Value; 5]> =
        lines.iter().map(|line| ["file", "line", "column", "severity", "word"].map(|key| &line[key])).collect();
    let file = |path: &Path| json!(path.display().to_string());
    assert_eq!(
        told,
        [
            [&file(&poor), &json!(3), &json!(41), &json!("warning"), &json!("literal_secret")],
            [&file(&poor), &json!(5), &json!(41), &json!("warning"), &json!("route_over_cap")],
            [&file(&bad), &json!(5), &json!(68), &json!("error"), &Value::Null],
            [&file(&gone), &Value::Null, &Value::Null, &json!("error"), &Value::Null],
        ]
    );
    assert_eq!(lines[2]["suggestion"], "write `0.05`");
    assert!(lines.iter().all(|line| line["message"].as_str().is_some_and(|message| !message.is_empty())), "{lines:?}");
    assert!(!text(&output.stdout).contains("sk-live-hush"), "{}", text(&output.stdout));
    let people = check(&[], &[&good, &bad]);
    assert_eq!(people.status.code(), Some(1));
    assert!(
        text(&people.stdout).contains("good.yaml is fine") && text(&people.stderr).contains("bad.yaml:5:"),
        "{people:?}"
    );
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let asked = |config: &str| {
        let mut child = easel()
            .args(["check", "--format", "json", "--deny-warnings", "-"])
            .env("KEY", "k")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert_eq!(asked(&config("${KEY}", "0.05")).status.code(), Some(0));
    let poor = asked(&config("${KEY}", "0.01"));
    assert_eq!((poor.status.code(), &lines(&poor)[0]["file"]), (Some(1), &json!("-")));
}

#[test]
fn a_pipeline_needs_no_secrets_and_what_only_reads_the_config_needs_none_either() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let text_of = config("${NO_KEY}", "0.05")
        .replace("admin: 127.0.0.1:0", &format!("admin: 127.0.0.1:0, state_dir: '{}'", state.display()))
        + "clients: [{name: web, key_sha256: \"${file:/nowhere/hash}\"}]\n";
    let path = write(folder.path(), "easel.yaml", &text_of);
    assert_eq!(check(&[], &[&path]).status.code(), Some(1));
    let output = check(&["--without-secrets", "--deny-warnings"], &[&path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let request = write(folder.path(), "request.json", r#"{"prompt": "a red fox"}"#);
    let explained = easel().arg("explain").arg("--config").arg(&path).arg("--request").arg(&request).output().unwrap();
    assert!(text(&explained.stdout).contains("stability/core"), "{explained:?}");
    let compared = easel().args(["compare", "a fox", "a fox", "--config"]).arg(&path).output().unwrap();
    assert!(!text(&compared.stderr).contains("NO_KEY"), "{compared:?}");
    let ledger = easel().arg("ledger").arg("--config").arg(&path).output().unwrap();
    assert!(!text(&ledger.stderr).contains("NO_KEY"), "{ledger:?}");
    // What is here is checked as ever.
    let bad = write(folder.path(), "bad.yaml", &text_of.replace("0.03", "cheap"));
    assert_eq!(check(&["--without-secrets"], &[&bad]).status.code(), Some(1));
}

#[test]
fn a_serving_easel_logs_the_warnings_of_each_config_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "easel.yaml", &config("${KEY}", "0.01"));
    let mut child = easel()
        .args(["serve", "--config"])
        .arg(&path)
        .env("KEY", "k")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |word: &str| -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            seen.push(log.next().unwrap().unwrap());
            if seen.last().unwrap().contains(word) {
                return seen;
            }
        }
    };
    let warnings =
        |lines: &[String]| lines.iter().filter(|line| line.contains("warning[")).cloned().collect::<Vec<_>>();
    let started = warnings(&until("images on"));
    assert!(started.len() == 1 && started[0].contains("easel.yaml:5:41: warning[route_over_cap]: "), "{started:?}");
    write(folder.path(), "easel.yaml", &config("${KEY}", "0.02"));
    let reloaded = warnings(&until("config version 2 is in force"));
    assert!(reloaded.len() == 1 && reloaded[0].contains("is 0.02"), "{reloaded:?}");
    write(folder.path(), "easel.yaml", &config("${KEY}", "0.04"));
    assert_eq!(warnings(&until("config version 3 is in force")), [""; 0]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_report_has_colours_where_they_are_asked_for_and_none_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::commands::config(folder.path(), &crate::world::route(&["stability/croe"]));
    let report = |more: &[&str]| {
        let mut command = easel();
        command.env("SANDBOX", "http://127.0.0.1:9").arg("check").args(more).arg(&path);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let (piped, always) = (report(&[]), report(&["--color", "always"]));
    assert!(!piped.contains('\u{1b}') && piped.contains("croe"), "{piped}");
    assert!(always.contains("\u{1b}[") && always.contains("croe"), "{always}");
    assert_eq!(report(&["--color", "never"]), piped);
}
