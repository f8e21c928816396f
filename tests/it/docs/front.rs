//! README: how long it is, how soon a reader can try Easel, and what it shows of the demo.

use std::path::Path;

use super::blocks::blocks;
use super::read;
use crate::commands::{demo_alone, easel};

#[test]
fn readme_is_below_nine_kilobytes_and_its_first_commands_are_among_its_first_150_words() {
    let readme = read(Path::new("README.md"));
    assert!(readme.len() < 9_000, "README.md has {} bytes", readme.len());
    let (before, _) = readme.split_once("```sh\neasel demo").expect("README shows `easel demo`");
    assert!(before.contains("cargo install"), "README says how to install Easel first");
    let words = before.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
    assert!(words <= 150, "{words} words before `easel demo`");
}

/// Lines with their ports written as `PORT`.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut parts = line.split("127.0.0.1:");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            plain += "127.0.0.1:PORT";
            plain += part.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        lines.push(plain);
    }
    lines
}

/// What a page shows of the demo.
fn shown(page: &str) -> Vec<String> {
    let all = blocks(Path::new(page));
    let block = all.iter().find(|block| block.text.contains("1. A first picture"));
    lines(&block.unwrap_or_else(|| panic!("{page} shows the demo")).text)
}

#[test]
fn what_the_pages_show_of_the_demo_is_what_it_prints() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let _alone = demo_alone();
    let output = easel().args(["demo", "--exit"]).current_dir(folder.path()).output().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap().replace(folder.to_str().unwrap(), "/home/you");
    let printed = lines(&printed);
    assert!(output.status.success(), "{printed:?}");
    assert_eq!(shown("docs/getting-started.md"), printed);
    let mut rest = printed.iter();
    for line in shown("README.md") {
        assert!(rest.any(|printed| *printed == line), "README.md: the demo does not print this, or not there: {line}");
    }
    assert_eq!(shown("README.md").len(), 8);
}
