//! deploy/: what others run Easel with, against their own tools, and the configs in it against Easel's own check.
//!
//! `scripts/test` installs the tools.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use easel::Plan;
use easel::reload::{self, EnvAndFiles};
use serde_json::Value;

use crate::tools::tool;

mod compose; // three containers on one machine
mod container; // the image's file system, and its Dockerfile
mod grafana; // the dashboard
mod kubernetes; // a sidecar's manifests, and a chart
mod prometheus; // what the dashboard and the rules ask
mod service; // the unit for systemd

pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

pub fn read(file: &str) -> String {
    std::fs::read_to_string(deploy().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

pub fn yaml(file: &str) -> Value {
    serde_yaml::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A program of those that are installed beside the Python of these tests.
pub fn beside_python(name: &str) -> Command {
    Command::new(Path::new(&tool("EASEL_TEST_DEPLOY_PYTHON")).with_file_name(name))
}

/// What a command prints where it ends well.
pub fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// Variables and files that a deployment brings along.
struct Brought;

impl EnvAndFiles for Brought {
    fn var(&self, name: &str) -> Option<String> {
        Some(if name.ends_with("_URL") { "http://127.0.0.1:9/v1/".to_owned() } else { "brought".to_owned() })
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let hash = path.to_string_lossy().ends_with("sha256");
        Ok(if hash { "0".repeat(64) } else { "brought".to_owned() })
    }
}

/// The plan of a config, which has no problem and no warning that only this machine is served.
pub fn plan(name: &str, text: &str) -> Plan {
    let plan = reload::check(name, text, &Brought).unwrap_or_else(|error| panic!("{error}"));
    assert!(plan.remote_refused.is_none(), "{name}: {:?}", plan.remote_refused);
    assert_eq!(plan.server.state_dir.as_deref(), Some(Path::new("/var/lib/easel")), "{name}");
    plan
}

pub fn longest_deadline(plan: &Plan) -> Duration {
    plan.routes.iter().map(|route| route.deadline).max().unwrap()
}

/// Whether whoever stops Easel waits until it has finished by itself, and Easel until its longest request has.
pub fn has_time_to_finish(name: &str, plan: &Plan, grace: Duration) {
    let server = &plan.server;
    assert!(server.drain >= longest_deadline(plan), "{name}: server.drain is shorter than a request may take");
    assert!(grace >= server.drain_delay + server.drain, "{name}: Easel is killed {grace:?} after it is told to stop");
}

/// Whether a command that is to ask after Easel's health is one that it understands, and asks its admin listener.
pub fn asks_health(name: &str, plan: &Plan, command: &[String]) {
    assert_eq!(command[0], "/usr/bin/easel", "{name}");
    let (_, port) = plan.server.admin.rsplit_once(':').unwrap();
    assert!(command.contains(&format!("127.0.0.1:{port}")), "{name}: {command:?} asks another listener");
    // The same words, to a port at which nobody listens: 1 is "not well", 2 would be words that it does not know.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let here = command[1..].iter().map(|word| word.replace(port, &free));
    let output = crate::commands::easel().args(here).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{name}: {command:?}: {output:?}");
}

/// The words of a list in YAML or JSON.
pub fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}
