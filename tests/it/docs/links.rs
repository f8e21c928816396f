//! Links between pages, and from pages to files: what they lead to is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{pages, read, root};

/// A page's text without its blocks.
fn prose(page: &Path) -> String {
    let mut inside = false;
    let text = read(page);
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The anchors that GitHub gives to a page's headings.
fn anchors(page: &Path) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// What a page links to, as a path from the root, with what follows `#`.
fn links(page: &Path) -> Vec<(PathBuf, String)> {
    let text = prose(page);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let relative = targets.filter(|target| !target.contains("://"));
    let resolved = relative.map(|target| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::ParentDir => assert!(plain.pop(), "{}: {target} leaves the repository", page.display()),
                part => plain.push(part),
            }
        }
        (plain, anchor.to_owned())
    });
    resolved.collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut broken = Vec::new();
    for page in pages() {
        for (path, anchor) in links(&page) {
            let there = root().join(&path).exists();
            if !there || !anchor.is_empty() && !anchors(&path).contains(&anchor) {
                broken.push(format!("{} -> {}#{anchor}", page.display(), path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_index_links_to_every_page() {
    let linked: BTreeSet<PathBuf> = links(Path::new("docs/README.md")).into_iter().map(|(path, _)| path).collect();
    let index = [PathBuf::from("docs/README.md"), PathBuf::from("README.md")];
    let alone: Vec<_> = pages().into_iter().filter(|page| !linked.contains(page) && !index.contains(page)).collect();
    assert!(alone.is_empty(), "docs/README.md does not link to {alone:?}");
}
