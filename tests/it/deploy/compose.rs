//! Easel, Prometheus and Grafana on one machine, as Docker Compose and Prometheus read it.

use std::process::Command;

use serde_json::Value;

use super::{beside_python, deploy, has_time_to_finish, plan, printed, read};
use crate::tools::tool;

/// What Compose makes of these files.
fn composed(files: &[&str]) -> Value {
    let mut command = beside_python("docker-compose");
    command.args(files.iter().flat_map(|file| ["-f", file])).args(["config", "--format", "json"]);
    for name in ["OPENAI_API_KEY", "EASEL_ADMIN_TOKEN", "EASEL_LINK_SECRET", "GRAFANA_PASSWORD"] {
        command.env(name, "x");
    }
    serde_json::from_str(&printed(command.current_dir(deploy().join("compose")))).unwrap()
}

#[test]
fn compose_takes_both_files_and_what_they_mount_is_there() {
    let all = composed(&["compose.yaml", "sandbox.yaml"]);
    let alone = composed(&["compose.yaml"]);
    assert_eq!(alone["services"].as_object().unwrap().keys().collect::<Vec<_>>(), ["easel", "grafana", "prometheus"]);
    assert_eq!(all["services"]["easel"]["environment"]["OPENAI_URL"], "http://vendors:9100/openai");
    let mut mounted = 0;
    for (name, service) in all["services"].as_object().unwrap() {
        for volume in service["volumes"].as_array().into_iter().flatten().filter(|volume| volume["type"] == "bind") {
            let source = volume["source"].as_str().unwrap();
            assert!(std::path::Path::new(source).exists(), "{name} mounts {source}, which is not there");
            mounted += 1;
        }
        // Whoever is not on this machine reaches nothing of it.
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
    }
    assert!(mounted >= 6, "{mounted}");
    let plan = plan("compose/config/easel.yaml", &read("compose/config/easel.yaml"));
    let grace = humantime::parse_duration(all["services"]["easel"]["stop_grace_period"].as_str().unwrap()).unwrap();
    has_time_to_finish("compose.yaml", &plan, grace);
}

#[test]
fn prometheus_takes_what_compose_gives_it_and_scrapes_the_port_of_easels_admin_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prometheus.yaml");
    std::fs::write(&path, read("compose/prometheus.yaml")).unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    for entry in std::fs::read_dir(deploy().join("../conf/prometheus")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join("rules").join(entry.file_name())).unwrap();
    }
    let said = printed(Command::new(tool("EASEL_TEST_PROMTOOL")).args(["check", "config"]).arg(&path));
    assert!(said.contains("rules found") && said.contains("easel-rules.yaml"), "{said}");
    assert!(!said.contains("easel-rules-test.yaml"), "{said}");
    let plan = plan("compose/config/easel.yaml", &read("compose/config/easel.yaml"));
    let (_, port) = plan.server.admin.rsplit_once(':').unwrap();
    assert!(read("compose/prometheus.yaml").contains(&format!("\"easel:{port}\"")), "{port}");
}
