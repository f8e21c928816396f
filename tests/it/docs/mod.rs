//! README.md and docs/: what they show works, what they link to is there, and what is made from the code is fresh.
//!
//! docs/README.md has the conventions of the blocks.

use std::path::{Path, PathBuf};

pub mod blocks;
pub mod commands; // command lines and programs, run in a scratch folder
pub mod configs; // YAML, through the config's own check
mod front; // README's size, and what it shows of the demo
mod generated; // pages that scripts/docs makes
pub mod layout; // the page of rooms, against src/
mod links; // to files and to headings
mod words; // metrics, codes and reasons, against the code

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and every page below docs/, by their paths from the root.
pub fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

pub fn read(page: &Path) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}
