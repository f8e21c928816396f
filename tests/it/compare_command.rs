//! `easel compare`: two prompts, pairs, lists, and what is wrong with a file of them.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::commands::easel;

fn compare(arguments: &[&str], input: &str) -> Output {
    let mut command = easel();
    command.arg("compare").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn two_prompts_are_told_with_their_tier_their_forms_and_each_difference() {
    let told = |a: &str, b: &str| lines(&compare(&[a, b, "--format", "json"], "")).remove(0);
    let same = told("a couch, 4k", "draw a sofa");
    assert_eq!(
        (&same["tier"], &same["a"]["canonical"], &same["b"]["canonical"]),
        (&json!("canonical"), &json!("sofa"), &json!("sofa"))
    );
    let synonym = json!({"left": "couch", "right": "sofa", "verdict": "same", "why": "synonym", "from": "synonyms"});
    assert!(same["differences"].as_array().unwrap().contains(&synonym), "{same}");
    let near = told("a garden with a fountian", "a garden with a fountain");
    let typo = json!([{"left": "fountian", "right": "fountain", "verdict": "same", "why": "typo"}]);
    assert_eq!((&near["tier"], &near["differences"]), (&json!("near"), &typo));
    let other = told("a red sofa", "a blue sofa");
    assert_eq!((&other["tier"], &other["differences"][0]["why"]), (&json!("none"), &json!("color")));
    assert_eq!(told("a sofa", "a sofa")["tier"], "exact");
    let german = told("ein rotes Sofa", "ein blaues Sofa");
    assert_eq!((&german["tier"], &german["a"]["english"]), (&json!("none"), &json!(false)));
}

#[test]
fn people_are_told_in_lines() {
    let output = compare(&["a red couch", "a blue sofa"], "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("none ("), "{text}");
    assert!(text.contains("\"red\" / \"blue\": differs (color)"), "{text}");
}

#[test]
fn pairs_come_from_a_file_or_standard_input_and_prompts_are_merged_within_their_list() {
    let pairs = "{\"a\": \"two cats\", \"b\": \"2 cats\"}\n\n{\"a\": \"two cats\", \"b\": \"three cats\"}\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pairs.jsonl");
    std::fs::write(&file, pairs).unwrap();
    let path = file.to_str().unwrap();
    for told in [
        lines(&compare(&[], pairs)),
        lines(&compare(&["--pairs", "-"], pairs)),
        lines(&compare(&["--pairs", path], "")),
    ] {
        let tiers: Vec<_> = told.iter().map(|line| (&line["tier"], &line["a"]["line"])).collect();
        assert_eq!(tiers, [(&json!("canonical"), &json!(1)), (&json!("none"), &json!(3))]);
    }
    let prompts = "a grey cat on a sofa\na dog\na gray cat on a couch\na gray cat on a cuoch\nA DOG.\ntwo dogs\na garden\na gardenn\n";
    let merged = lines(&compare(&["--prompts", "-"], prompts));
    let merged: Vec<_> = merged.iter().map(|line| (&line["tier"], &line["a"]["line"], &line["b"]["line"])).collect();
    let (canonical, near) = (json!("canonical"), json!("near"));
    assert_eq!(
        merged,
        [(&canonical, &json!(1), &json!(3)), (&canonical, &json!(2), &json!(5)), (&near, &json!(7), &json!(8))]
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let failed = |arguments: &[&str], input: &str| {
        let output = compare(arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let why = failed(&[], "{\"a\": \"x\", \"b\": \"y\"}\n{\"a\": \"x\"}\n");
    assert!(why.contains("line 2") && why.contains("missing field `b`"), "{why}");
    assert!(failed(&["--pairs", "no-such-file"], "").contains("no-such-file cannot be read"), "a file");
    assert!(failed(&["only one"], "").contains("required"), "one prompt");
    assert!(failed(&["a", "b", "--prompts", "-"], "").contains("cannot be used with"), "both");
    let many = "x\n".repeat(50_001);
    assert!(failed(&["--prompts", "-"], &many).contains("more than 50000"), "too many");
}

#[test]
fn a_configs_words_count_and_a_route_without_near_compares_characters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("easel.yaml");
    let words = "cache: {words: {synonyms: [[tod, fox]], brands: [Lumo]}}";
    let provider = "providers:\n  home: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {flux: {price: 0.002}}}";
    let routes = "routes:\n  - {name: near, match: {models: [a]}, offers: [home/flux], cache: {near: verified}}\n  - {name: plain, offers: [home/flux]}";
    std::fs::write(&path, format!("{words}\n{provider}\n{routes}\n")).unwrap();
    let config = path.to_str().unwrap();
    let tier = |more: &[&str], a: &str, b: &str| {
        let told = lines(&compare(&[&[a, b, "--format", "json"], more].concat(), "")).remove(0);
        told["tier"].as_str().unwrap().to_owned()
    };
    let (a, b) = ("a red tod in the snow", "a red fox in the snow");
    assert_eq!(tier(&[], a, b), "none");
    assert_eq!(tier(&["--config", config], a, b), "canonical");
    assert_eq!(tier(&["--config", config, "--route", "near"], a, b), "canonical");
    assert_eq!(tier(&["--config", config, "--route", "plain"], a, b), "none");
    assert_eq!(tier(&["--config", config, "--route", "plain"], a, a), "exact");
    let wrong = compare(&[a, b, "--config", config, "--route", "nearr"], "");
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("has no route 'nearr'") && said.contains("near"), "{said}");
    let merged = compare(&["--prompts", "-", "--config", config, "--route", "plain"], "A fox\na fox\na fox\n");
    assert_eq!(lines(&merged).len(), 1, "the same characters alone");
}
