//! `easel init`: a config for the keys that are there.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::{TempDir, tempdir_in};

use crate::commands::easel;

/// The variables that are set, and nothing else.
const KEYS: [(&str, &str); 2] = [("STABILITY_API_KEY", "sk-stab-hush"), ("FAL_KEY", "fal-hush")];

fn folder() -> TempDir {
    tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn in_folder(folder: &Path, keys: &[(&str, &str)]) -> Command {
    let mut command = easel();
    command.env_clear().envs(keys.iter().copied()).current_dir(folder);
    command
}

fn init(folder: &Path, keys: &[(&str, &str)], arguments: &[&str]) -> Output {
    in_folder(folder, keys).arg("init").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// That `easel check` finds nothing to say.
fn passes(folder: &Path, keys: &[(&str, &str)], file: &str) {
    let output = in_folder(folder, keys).args(["check", "--deny-warnings", file]).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_config_for_the_keys_that_are_there_passes_the_check_and_holds_no_key() {
    let folder = folder();
    let output = init(folder.path(), &KEYS, &[]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for part in [
        "Wrote easel.yaml, for stability, fal.",
        "easel serve easel.yaml",
        "curl http://127.0.0.1:8080/v1/images",
        "8080/v1",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    let written = std::fs::read_to_string(folder.path().join("easel.yaml")).unwrap();
    assert!(written.starts_with("# yaml-language-server: $schema=./easel.schema.json\n"), "{written}");
    for part in ["${STABILITY_API_KEY}", "${FAL_KEY}", "- stability/core", "- fal/fal-ai/flux/schnell"] {
        assert!(written.contains(part), "{part} is not in\n{written}");
    }
    assert!(!written.contains("hush") && !said.contains("hush") && !written.contains("openai"), "{written}");
    passes(folder.path(), &KEYS, "easel.yaml");
}

#[test]
fn what_is_there_is_written_over_only_by_force() {
    let folder = folder();
    let file = folder.path().join("mine.yaml");
    std::fs::write(&file, "mine").unwrap();
    let refused = init(folder.path(), &KEYS, &["--output", "mine.yaml"]);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(2), String::new()));
    assert!(text(&refused.stderr).contains("mine.yaml is there already"), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(init(folder.path(), &KEYS, &["--output", "mine.yaml", "--force"]).status.code(), Some(0));
    passes(folder.path(), &KEYS, "mine.yaml");
    let nowhere = init(folder.path(), &KEYS, &["-o", "no/such/folder.yaml"]);
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn without_a_key_it_is_the_sandbox_and_on_standard_output_the_config_alone() {
    let folder = folder();
    let empty = [("OPENAI_API_KEY", " ")];
    let printed = init(folder.path(), &empty, &["--output", "-"]);
    assert_eq!(printed.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was written");
    let output = init(folder.path(), &[], &[]);
    let said = text(&output.stdout);
    assert!(
        said.contains("No vendor's key was in the environment (OPENAI_API_KEY") && said.contains("easel sandbox"),
        "{said}"
    );
    let written = std::fs::read_to_string(folder.path().join("easel.yaml")).unwrap();
    assert_eq!(text(&printed.stdout), written);
    assert!(written.contains("http://127.0.0.1:9100/openai/v1/"), "{written}");
    passes(folder.path(), &[], "easel.yaml");
}
