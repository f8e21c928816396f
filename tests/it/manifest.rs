//! Cargo.toml keeps its promises: the Rust that it names, and one build for the demo and the tests.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Runs the cargo that runs the tests, without a network, and returns what it prints.
fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The platform that everything is built for here, whose dependencies are sure to have been downloaded.
fn host() -> String {
    let version = cargo(&["-vV"]);
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// A version of Rust as numbers: `1.89` and `1.89.0` are the same.
fn rust_version(package: &Value) -> Option<(u32, u32, u32)> {
    let mut numbers = package["rust_version"].as_str()?.split('.').map(|number| number.parse().unwrap());
    Some((numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)))
}

#[test]
fn rust_version_is_the_newest_that_a_dependency_asks_for() {
    let metadata = cargo(&["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", &host()]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|node| node["id"].as_str()).collect();
    let (mut own, mut needed) = (None, Vec::new());
    for package in metadata["packages"].as_array().unwrap() {
        let (Some(name), Some(version)) = (package["name"].as_str(), rust_version(package)) else { continue };
        if name == "easel" {
            own = Some(version);
        } else if package["id"].as_str().is_some_and(|id| used.contains(id)) {
            needed.push((version, name));
        }
    }
    let (newest, by) = needed.into_iter().max().unwrap();
    assert_eq!(own, Some(newest), "rust-version in Cargo.toml is not what {by} asks for");
}

/// Every dependency with its features, when cargo is told so of Easel's own features.
fn features(edges: &str, own: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "--offline", "-e", edges, "--prefix", "none", "-f", "{p} [{f}]"];
    let tree = cargo(&[&tree, own].concat());
    let dependency = |line: &&str| !line.starts_with("easel ");
    tree.lines().filter(dependency).map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn the_tests_ask_for_no_feature_with_which_a_dependency_of_the_demo_would_be_built_again() {
    let (demo, tests) = (features("normal,build", &[]), features("normal,build,dev", &[]));
    assert!(demo.len() > 200, "{demo:?}");
    let built_again: Vec<_> = demo.difference(&tests).collect();
    assert!(built_again.is_empty(), "enable in [dependencies] what the tests need more of: {built_again:?}");
}

#[test]
fn an_embedder_without_the_features_builds_no_server_or_codec_of_the_sandbox_and_nothing_of_the_command_line() {
    let embedded = features("normal,build", &["--no-default-features"]);
    assert!(embedded.len() > 200, "{embedded:?}");
    for spared in ["axum", "hyper", "image", "clap_complete", "clap_mangen", "csv", "env_logger", "mimalloc"] {
        assert!(!embedded.iter().any(|dependency| dependency.starts_with(&format!("{spared} "))), "{spared} is built");
    }
}

#[test]
fn the_check_of_the_library_without_its_features_builds_no_dependency_again() {
    let alone = features("normal,build,dev", &["--no-default-features"]);
    let all = features("normal,build,dev", &[]);
    let built_again: Vec<_> = alone.difference(&all).collect();
    assert!(built_again.is_empty(), "name the same features in [dev-dependencies]: {built_again:?}");
}
