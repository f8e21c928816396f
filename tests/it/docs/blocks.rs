//! The fenced blocks of a page.

use std::path::Path;

use super::{pages, read};

/// Languages of blocks, and what may follow them on the fence's line.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("yaml", &["", "sandbox", "other", "wrong"]),
    ("sh", &["", "skip-test"]),
    ("python", &[""]),
    ("js", &["", "skip-test"]),
    ("json", &[""]),
    ("toml", &[""]),
    ("text", &[""]),
];

/// A fenced block.
pub struct Block {
    /// Where it begins, as `page:line`.
    pub place: String,
    /// The fence's first word.
    pub language: String,
    /// What follows it.
    pub mark: String,
    /// What is between the fences, less the indent of the first one.
    pub text: String,
}

impl Block {
    pub fn is(&self, language: &str, mark: &str) -> bool {
        self.language == language && self.mark == mark
    }
}

/// The blocks of a page, in order.
pub fn blocks(page: &Path) -> Vec<Block> {
    let text = read(page);
    let mut lines = text.lines().enumerate();
    let mut blocks = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
        let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim_start() != "```");
        let text = inside.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect();
        let place = format!("{}:{}", page.display(), number + 1);
        blocks.push(Block { place, language: language.to_owned(), mark: mark.to_owned(), text });
    }
    blocks
}

#[test]
fn every_block_says_in_which_language_it_is_and_what_is_done_with_it() {
    let all: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    assert!(all.len() > 50, "{} blocks", all.len());
    let known = |block: &Block| {
        LANGUAGES
            .iter()
            .any(|(language, marks)| block.is(language, &block.mark) && marks.contains(&block.mark.as_str()))
    };
    let strange: Vec<&str> = all.iter().filter(|block| !known(block)).map(|block| block.place.as_str()).collect();
    assert!(strange.is_empty(), "blocks of no known language, or with a mark it does not have: {strange:?}");
}

#[test]
fn every_json_block_is_json() {
    for block in pages().iter().flat_map(|page| blocks(page)).filter(|block| block.is("json", "")) {
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&block.text) {
            panic!("{}: {error}", block.place);
        }
    }
}
