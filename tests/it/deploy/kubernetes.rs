//! Manifests and chart against the schemas of Kubernetes and of the Prometheus Operator, and against each other.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use super::{asks_health, deploy, has_time_to_finish, longest_deadline, plan, printed, read, words, yaml};
use crate::tools::tool;

/// Where the secrets of a pod are, each a file.
const SECRETS: &str = "${file:/run/secrets/easel/";

fn manifests() -> Command {
    let mut command = Command::new(tool("EASEL_TEST_DEPLOY_PYTHON"));
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/deploy/manifests.py"));
    command
}

/// The documents of the chart with these values.
fn chart(values: &Value) -> Command {
    let mut command = manifests();
    command.arg("chart").arg(deploy().join("helm/easel")).arg(values.to_string());
    command
}

fn documents(command: &mut Command) -> Vec<Value> {
    serde_json::from_str(&printed(command)).unwrap()
}

/// The one document of a kind.
fn the<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// The keys of the Secret that a config reads.
fn secrets(config: &str) -> BTreeSet<String> {
    config.split(SECRETS).skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect()
}

fn grace(pod: &Value) -> Duration {
    Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap())
}

/// Whether a container is Easel, locked up, asked after its health, and scraped by the name of one of its ports.
fn is_easel(name: &str, config: &easel::Plan, container: &Value, scraped: &Value) {
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let command = words(&container[probe]["exec"]["command"]);
        assert_eq!(command.contains(&"--ready".to_owned()), probe != "livenessProbe", "{name}: {probe}");
        asks_health(&format!("{name}: {probe}"), config, &command);
    }
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
    assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{name}");
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted: BTreeSet<&str> = mounts.iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
    assert_eq!(mounted, BTreeSet::from(["/etc/easel", "/run/secrets/easel", "/var/lib/easel"]), "{name}");
    assert!(mounts.iter().all(|mount| mount.get("subPath").is_none()), "{name}: what is mounted so is never changed");
    let (_, port) = config.server.admin.rsplit_once(':').unwrap();
    let port: u64 = port.parse().unwrap();
    let ports = container["ports"].as_array().unwrap();
    let admin = ports.iter().find(|listed| listed["containerPort"] == port).unwrap_or_else(|| panic!("{name}: {port}"));
    assert_eq!(&admin["name"], scraped, "{name}");
}

#[test]
fn the_sidecars_manifests_are_valid_and_fit_its_config() {
    let listed = words(&yaml("kubernetes/kustomization.yaml")["resources"]);
    let all =
        documents(manifests().arg("files").args(listed.iter().map(|file| deploy().join("kubernetes").join(file))));
    let files: BTreeSet<String> = std::fs::read_dir(deploy().join("kubernetes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["kustomization.yaml", "easel.yaml"].contains(&name.as_str()))
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), files, "kustomization.yaml leaves a file out");
    let text = read("kubernetes/easel.yaml");
    let config = plan("deploy/kubernetes/easel.yaml", &text);
    let given: BTreeSet<String> = the(&all, "Secret")["stringData"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(secrets(&text), given);

    let pod = &the(&all, "Deployment")["spec"]["template"]["spec"];
    let sidecar = &pod["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always", "without that it would be waited for to end");
    is_easel("sidecar", &config, sidecar, &the(&all, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"]);
    assert_eq!(sidecar["securityContext"]["runAsUser"], 65532, "the image's user");
    // The application is stopped first, and may wait for its last picture.
    let app = &pod["containers"][0];
    let before = Duration::from_secs(app["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap());
    assert!(grace(pod) >= before + longest_deadline(&config) + config.server.drain_delay, "{:?}", grace(pod));
    assert!(config.server.drain >= longest_deadline(&config));
    let base = app["env"].as_array().unwrap().iter().find(|env| env["name"] == "OPENAI_BASE_URL").unwrap();
    assert_eq!(base["value"], format!("http://{}/v1", config.server.listen));
    assert_eq!(
        pod["volumes"][0]["configMap"]["name"],
        yaml("kubernetes/kustomization.yaml")["configMapGenerator"][0]["name"]
    );
}

#[test]
fn a_manifest_with_a_misspelt_key_is_not_valid() {
    let folder = tempfile::tempdir().unwrap();
    for (file, right, wrong) in [
        ("kubernetes/deployment.yaml", "restartPolicy: Always", "restartPolcy: Always"),
        ("kubernetes/podmonitor.yaml", "interval: 15s", "intervall: 15s"),
    ] {
        let text = read(file);
        assert!(text.contains(right), "{file}");
        let path = folder.path().join("wrong.yaml");
        std::fs::write(&path, text.replace(right, wrong)).unwrap();
        let output = manifests().arg("files").arg(&path).output().unwrap();
        assert!(!output.status.success(), "{file}: {wrong}");
    }
}

/// Values that turn on what is off, and off what is on.
fn other_values() -> Value {
    json!({
        "image": {"repository": "registry.example.com/pictures/easel", "tag": "1.2.3"},
        "imagePullSecrets": [{"name": "registry"}],
        "persistence": {"enabled": false},
        "podMonitor": {"enabled": true, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}},
        "networkPolicy": {"clients": [{"podSelector": {"matchLabels": {"easel-client": "yes"}}}]},
        "service": {"annotations": {"example.com/team": "pictures"}},
        "podAnnotations": {"example.com/team": "pictures"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "config": {
            "server": {"listen": "0.0.0.0:8888", "admin": "127.0.0.1:9000", "limits": {"mask_pixels": 33_177_600}},
            // Helm would write a small number as 5e-06.
            "providers": {"openai": {"models": {"gpt-image-2": {"price": [{"usd": "0.000005"}]}}}},
        },
    })
}

#[test]
fn the_chart_makes_valid_manifests_around_a_config_that_easel_takes() {
    for (name, values, kinds) in [
        ("the chart as it is", json!({}), vec!["ConfigMap", "NetworkPolicy", "Service", "StatefulSet"]),
        (
            "the other way",
            other_values(),
            vec!["ConfigMap", "NetworkPolicy", "PodMonitor", "PrometheusRule", "Service", "StatefulSet"],
        ),
    ] {
        let all = documents(&mut chart(&values));
        let made: BTreeSet<&str> = all.iter().filter_map(|document| document["kind"].as_str()).collect();
        assert_eq!(made, kinds.into_iter().collect(), "{name}");
        let text = the(&all, "ConfigMap")["data"]["easel.yaml"].as_str().unwrap();
        let config = plan(name, text);
        let pod = &the(&all, "StatefulSet")["spec"]["template"]["spec"];
        let monitor = all.iter().find(|document| document["kind"] == "PodMonitor");
        let scraped =
            monitor.map_or(json!("admin"), |monitor| monitor["spec"]["podMetricsEndpoints"][0]["port"].clone());
        is_easel(name, &config, &pod["containers"][0], &scraped);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        has_time_to_finish(name, &config, grace(pod));
        assert!(config.server.drain_delay > Duration::ZERO, "{name}: a Service learns that the pod goes");
        let comment = read("helm/easel/values.yaml");
        for secret in secrets(text) {
            assert!(
                comment.lines().any(|line| line.starts_with('#') && line.contains(&secret)),
                "{secret} is not named"
            );
        }
        let (_, port) = config.server.listen.rsplit_once(':').unwrap();
        assert_eq!(the(&all, "Service")["spec"]["ports"][0]["port"].to_string(), port, "{name}");
    }
}

/// The files of conf/prometheus that the chart has copies of: Helm reads nothing outside of a chart.
const RULES: [&str; 2] = ["easel-rules.yaml", "easel-recording-rules.yaml"];

#[test]
fn the_charts_rules_are_those_of_conf_prometheus_word_for_word_and_prometheus_takes_them() {
    let mut groups = Vec::new();
    for name in RULES {
        let source = std::fs::read_to_string(deploy().join("../conf/prometheus").join(name)).unwrap();
        let copy = deploy().join("helm/easel/rules").join(name);
        let found = std::fs::read_to_string(&copy).unwrap_or_default();
        assert!(found == source, "{name} of the chart is stale: run scripts/docs");
        let source: Value = serde_yaml::from_str(&source).unwrap();
        groups.extend(source["groups"].as_array().unwrap().iter().cloned());
    }
    let values = json!({"prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}}});
    let all = documents(&mut chart(&values));
    let made = the(&all, "PrometheusRule");
    assert_eq!(made["metadata"]["labels"]["release"], "prometheus");
    // With `{{ $labels.name }}`, which is Prometheus's to fill in.
    assert_eq!(made["spec"]["groups"], json!(groups));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    std::fs::write(&path, made["spec"].to_string()).unwrap();
    printed(Command::new(tool("EASEL_TEST_PROMTOOL")).args(["check", "rules"]).arg(&path));
}

#[test]
fn values_that_would_not_work_are_refused_with_their_place() {
    for (values, place) in [
        (json!({"config": {"server": {"admin": "9901"}}}), "/config/server/admin"),
        (json!({"config": {"server": {"state_dir": "/tmp"}}}), "/config/server/state_dir"),
        (json!({"podMonitr": {"enabled": true}}), "podMonitr"),
        (json!({"config": {"clients": null}}), "clients"),
    ] {
        let Output { status, stderr, .. } = chart(&values).output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(!status.success() && said.contains(place), "{values}: {said}");
    }
}
