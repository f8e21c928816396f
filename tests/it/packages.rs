//! What people install: the files that the packages are made of, and what the command line says of itself for them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::commands::easel;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// What the command prints when it ends well.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The subcommands that `easel --help` lists.
fn subcommands() -> Vec<String> {
    let help = printed(easel().arg("--help"));
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.len() >= 7 && names.contains(&"serve".to_owned()), "{names:?}");
    names
}

#[test]
fn the_completions_of_each_shell_know_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(easel().args(["completions", shell]));
        for name in subcommands() {
            assert!(script.contains(&name), "{shell} does not complete `easel {name}`");
        }
        assert!(script.contains("no-access-log"), "{shell} knows no option of `easel serve`");
    }
}

#[test]
fn the_manual_has_a_page_for_the_command_and_each_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    printed(easel().arg("man").arg(folder.path().join("man1")));
    for name in subcommands().into_iter().filter(|name| name != "help") {
        let page = std::fs::read_to_string(folder.path().join(format!("man1/easel-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    let page = std::fs::read_to_string(folder.path().join("man1/easel.1")).unwrap();
    assert!(page.contains("easel\\-serve(1)"), "{page}");
}

/// What Cargo.toml says of the Debian package.
fn deb() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_str(&printed(&mut command)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().find(|package| package["name"] == "easel").unwrap()["metadata"]["deb"].clone()
}

/// Each file of the Debian package: where it comes from, and where it is installed.
fn assets() -> Vec<(String, String)> {
    let deb = deb();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    deb["assets"].as_array().unwrap().iter().map(|asset| (text(&asset[0]), text(&asset[1]))).collect()
}

#[test]
fn every_file_of_the_debian_package_is_there_or_made_by_the_script_that_makes_the_package() {
    let script = read("scripts/package");
    for (source, _) in assets() {
        if let Some(staged) = source.strip_prefix("target/package/staged/") {
            let made = format!("$staged/{}", staged.trim_end_matches("/*.1"));
            assert!(script.contains(&made), "scripts/package does not make {source}");
        } else if let Some(folder) = source.strip_suffix("/*.yaml") {
            assert!(root().join(folder).is_dir(), "{source}");
        } else {
            assert!(source == "target/release/easel" || root().join(&source).is_file(), "{source}");
        }
    }
    // The unit is found by its name in the directory of the scripts around installing.
    assert_eq!(deb()["maintainer-scripts"], "deploy");
    assert!(root().join("deploy/easel.service").is_file());
}

#[test]
fn the_service_serves_the_config_that_is_installed_and_keeps_the_ledger_where_it_may_write() {
    let unit = read("deploy/easel.service");
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
    let installed = assets().into_iter().find(|(source, _)| source == "deploy/easel.yaml").unwrap().1;
    assert_eq!(value("ExecStartPre="), format!("/usr/bin/easel check /{installed}"));
    assert_eq!(value("ExecStart="), format!("/usr/bin/easel serve --config /{installed}"));
    assert_eq!(value("ExecReload="), format!("/usr/bin/easel check /{installed}"));
    assert!(unit.contains("\nExecReload=/bin/kill -HUP $MAINPID\n"), "{unit}");
    let state = format!("state_dir: /var/lib/{}", value("StateDirectory="));
    assert!(read("deploy/easel.yaml").contains(&state), "the ledger is not in a directory that the service has");
    let checked = printed(easel().arg("check").arg(root().join("deploy/easel.yaml")).env("OPENAI_API_KEY", "a-key"));
    assert!(checked.contains("is fine"), "{checked}");
}

#[test]
fn the_image_and_the_release_are_made_by_the_script_that_makes_the_packages() {
    for file in ["deploy/Dockerfile", ".github/workflows/release.yml"] {
        assert!(read(file).contains("./scripts/package"), "{file}");
    }
}
