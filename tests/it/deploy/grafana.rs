//! The dashboard, as Grafana's own types have it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{deploy, printed, read};
use crate::tools::tool;

pub fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/easel.json")).unwrap()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().collect()
}

/// Every query of a dashboard, as it is written: of panels, of notes on the time axis.
pub fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).into_iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let notes = dashboard["annotations"]["list"].as_array().unwrap();
    targets.chain(notes).map(|query| query["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn grafanas_types_know_every_word_of_the_dashboard() {
    let check = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/deploy/dashboard.py");
    let python = || {
        let mut command = Command::new(tool("EASEL_TEST_DEPLOY_PYTHON"));
        command.arg(check);
        command
    };
    printed(python().arg(deploy().join("grafana/easel.json")));
    // And would not know another.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.json");
    std::fs::write(&path, read("grafana/easel.json").replacen("\"graphMode\"", "\"grahpMode\"", 1)).unwrap();
    let wrong = python().arg(&path).output().unwrap();
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("grahpMode"), "{wrong:?}");
}

#[test]
fn each_panel_asks_the_chosen_prometheus_of_the_chosen_easels_and_says_what_it_shows() {
    let dashboard = dashboard();
    // Whoever imports it has another Prometheus, and may have another dashboard by that id.
    assert!(dashboard.get("uid").is_none() && dashboard.get("id").is_none());
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            assert!(x < 24, "{title} is wider than the page");
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} lies upon another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!title.is_empty() && !panel["description"].as_str().unwrap().is_empty(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let query = target["expr"].as_str().unwrap();
            let of_those = query.contains("instance=~\"$instance\"") || query == "vector($alert_usd)";
            assert!(of_those, "{title}: {query}");
        }
    }
    // The line of the alert is the rule's.
    let rule = std::fs::read_to_string(deploy().join("../conf/prometheus/easel-rules.yaml")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let line = variables.iter().find(|variable| variable["name"] == "alert_usd").unwrap()["query"].as_str().unwrap();
    assert!(rule.contains(&format!("window=\"1h\"}} > {line}\n")), "{line}");
}
