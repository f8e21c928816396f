//! Command lines and Python programs of a page, run in a scratch folder, in front of an Easel and a sandbox of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use easel::sandbox::{Sandbox, Settings};
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

use super::blocks::{Block, blocks};
use super::configs::{complete, configs};
use super::{pages, root};
use crate::commands::{Served, easel};

/// How the commands of `skip-test` blocks begin, and why no test runs them.
const SKIPPED: &[(&str, &str)] = &[
    ("cargo install", "compiles for minutes"),
    ("cargo bench", "measures for minutes"),
    ("cargo run", "compiles for minutes"),
    ("./scripts/demo", "compiles for minutes"),
    ("apt install ./easel_", "changes the system; scripts/package --check does it in a system of its own"),
    ("systemctl ", "belongs to a system that has just installed the package"),
    ("docker ", "fetches images"),
    ("kubectl ", "wants a cluster; the tests in deploy/kubernetes.rs check what it applies"),
    ("helm install", "wants a cluster; the tests in deploy/kubernetes.rs render the chart"),
    ("pip install", "fetches packages; scripts/test has installed them"),
    ("JUDGE_KEY=... python examples/judge/judge.py", "serves until it is stopped; the tests in judge.rs run it"),
    ("npm install", "fetches packages; scripts/sdks has installed them"),
    ("kill -HUP \"$(pidof easel)\"", "would reach an Easel that no test has started"),
    ("kill -USR2 \"$(pidof easel)\"", "would reach an Easel that no test has started"),
    ("easel serve --config easel.yaml >", "serves until it is stopped"),
    ("EASEL_LOG=debug easel serve", "serves until it is stopped"),
    ("easel calibrate --pairs", "reads labels that a person has written; the tests in near_embedding.rs run it"),
];

/// Stands before the real programs: what runs until it is stopped is checked or ended at once, and curl fails with
/// HTTP's errors.
const EASEL: &str = r#"#!/usr/bin/env bash
set -eu
case "$1" in
  serve) [ "$2" = --config ]; exec "$REAL_EASEL" check "$3" ;;
  sandbox) exec "$REAL_EASEL" "$@" --help >/dev/null ;;
  demo) exec "$REAL_EASEL" "$@" --exit ;;
  *) exec "$REAL_EASEL" "$@" ;;
esac
"#;
const CURL: &str = "#!/usr/bin/env bash\nPATH=\"$REAL_PATH\" exec curl --fail-with-body --max-time 60 \"$@\"\n";

/// Where the blocks of a page run.
pub struct Scene {
    pub folder: TempDir,
    sandbox: Sandbox,
    served: Served,
}

impl Scene {
    /// Serves the page's first config, or README's, with the sandbox for each of its vendors.
    pub async fn of(page: &Path) -> Scene {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
        let config = configs(page).into_iter().next().unwrap_or_else(|| configs(Path::new("README.md")).remove(0));
        let text = adapted(complete(&config), &sandbox.url(), folder.path());
        let file = folder.path().join("easel.yaml");
        std::fs::write(&file, text).unwrap();
        for name in ["conf", "examples"] {
            std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        for (name, text) in [("easel", EASEL), ("curl", CURL)] {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join("bin").join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let served = Served::start(&file, "", &[], Stdio::null());
        Scene { folder, sandbox, served }
    }

    /// A block's text with the addresses and the directory of this scene.
    pub fn here(&self, text: &str) -> String {
        let mut text = text.replace("/var/lib/easel", &self.folder.path().join("state").display().to_string());
        for (port, address) in [
            (8080, self.served.addr.to_string()),
            (9901, self.served.admin.to_string()),
            (9100, self.sandbox.url().replace("http://", "")),
        ] {
            for host in ["127.0.0.1", "localhost"] {
                text = text.replace(&format!("{host}:{port}"), &address);
            }
        }
        text
    }

    /// A program in the scratch folder. It is waited for elsewhere, because the sandbox serves on this thread's runtime.
    pub async fn run(&self, mut command: Command) -> Output {
        let path = std::env::var("PATH").unwrap();
        let bin: PathBuf = self.folder.path().join("bin");
        command.current_dir(self.folder.path()).env("PATH", format!("{}:{path}", bin.display()));
        command.env("REAL_PATH", path).env("REAL_EASEL", easel().get_program());
        for variable in ["STABILITY_API_KEY", "OPENAI_API_KEY"] {
            command.env(variable, "x");
        }
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }
}

/// The config with the sandbox for every vendor, on free ports, its ledger in `folder`, and without secrets from outside.
fn adapted(mut config: Mapping, sandbox: &str, folder: &Path) -> String {
    let server = config.entry("server".into()).or_insert_with(|| Mapping::new().into()).as_mapping_mut().unwrap();
    for name in ["tls", "public_url", "passthrough"] {
        server.remove(name);
    }
    server.insert("listen".into(), "127.0.0.1:0".into());
    server.insert("admin".into(), "127.0.0.1:0".into());
    if server.contains_key("state_dir") {
        server.insert("state_dir".into(), folder.join("state").display().to_string().into());
    }
    for (_, provider) in config["providers"].as_mapping_mut().unwrap() {
        let path = match provider["kind"].as_str().unwrap() {
            "openai" => "openai/v1/",
            "openai_compatible" => "compatible/v1/",
            "stability" => "stability/",
            "replicate" => "replicate/v1/",
            "anthropic" => "anthropic/v1/",
            "openai_text" => "text/v1/",
            kind => panic!("say here where the sandbox has kind {kind}"),
        };
        provider["base_url"] = Value::from(format!("{sandbox}/{path}"));
    }
    let mut text = serde_yaml::to_string(&config).unwrap();
    while let Some(start) = text.find("${") {
        let end = start + text[start..].find('}').unwrap();
        let value = if text[..end].ends_with("_URL") { "http://127.0.0.1:9" } else { "x" };
        text.replace_range(start..=end, value);
    }
    text
}

/// What went wrong, if anything did.
fn trouble(output: &Output, place: &str) -> Option<String> {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let short: String = out.chars().take(2000).collect();
    (!output.status.success()).then(|| format!("{place}: {}\n{short}\n{err}", output.status))
}

/// Runs the page's command blocks in order, then its Python blocks as one program.
async fn run(page: &Path) -> Vec<String> {
    let all = blocks(page);
    let commands: Vec<&Block> = all.iter().filter(|block| block.is("sh", "")).collect();
    let python: Vec<&Block> = all.iter().filter(|block| block.is("python", "")).collect();
    if commands.is_empty() && python.is_empty() {
        return Vec::new();
    }
    let scene = Scene::of(page).await;
    let mut troubles = Vec::new();
    for block in commands {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &scene.here(&block.text)]);
        troubles.extend(trouble(&scene.run(bash).await, &block.place));
    }
    if let Some(first) = python.first() {
        let program: String = python.iter().map(|block| scene.here(&block.text)).collect();
        let mut interpreter = Command::new(crate::tools::tool("EASEL_TEST_PYTHON"));
        interpreter.args(["-c", &program]);
        troubles.extend(trouble(&scene.run(interpreter).await, &first.place));
    }
    troubles
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_and_every_python_program_of_the_pages_works() {
    let mut troubles = Vec::new();
    for page in pages() {
        troubles.extend(run(&page).await);
    }
    assert!(troubles.is_empty(), "{}", troubles.join("\n\n"));
}

#[test]
fn a_command_that_no_test_runs_has_a_reason() {
    let skipped: Vec<Block> =
        pages().iter().flat_map(|page| blocks(page)).filter(|block| block.is("sh", "skip-test")).collect();
    let commands = |block: &Block| block.text.lines().map(str::to_owned).collect::<Vec<_>>();
    let all: Vec<(String, String)> =
        skipped.iter().flat_map(|block| commands(block).into_iter().map(|line| (block.place.clone(), line))).collect();
    let without: Vec<_> =
        all.iter().filter(|(_, line)| !SKIPPED.iter().any(|(start, _)| line.starts_with(start))).collect();
    assert!(without.is_empty(), "skipped without a reason: {without:?}");
    let idle: Vec<_> =
        SKIPPED.iter().filter(|(start, _)| !all.iter().any(|(_, line)| line.starts_with(start))).collect();
    assert!(idle.is_empty(), "reasons for nothing: {idle:?}");
}
