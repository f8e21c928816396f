//! `cache.words`: words by which prompts are compared, each a word, and none with two meanings.

use std::collections::HashMap;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::CacheWords;

/// Groups, or words of one list. More than a person reviews, and each prompt is compared by all of them.
const MOST: usize = 1_000;

/// Characters of a word or phrase.
const LONGEST: usize = 100;

pub(super) fn words(checker: &mut Checker<'_>, written: &file::Words, at: NodePath<'_>) -> CacheWords {
    let file::Words { synonyms, boosters, brands, colors } = written;
    let groups = at.key("synonyms");
    too_many(checker, synonyms.len(), groups);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (number, group) in synonyms.iter().enumerate() {
        let group_at = groups.item(number);
        list(checker, group, group_at);
        if group.len() < 2 {
            let help = "write at least two words that mean the same, like [couch, sofa]".to_owned();
            checker.report(group_at, "a word alone is no synonym", help);
        }
        for (place, word) in group.iter().enumerate() {
            let before = seen.insert(word.trim().to_lowercase(), number);
            if let Some(before) = before {
                let what = match before == number {
                    true => format!("`{word}` is in this group twice"),
                    false => format!("`{word}` is in another group, so that both mean the same"),
                };
                let help = if before == number { "delete one" } else { "make one group of the two" };
                checker.report(group_at.item(place), what, help.to_owned());
            }
        }
    }
    for (key, words) in [("boosters", boosters), ("brands", brands), ("colors", colors)] {
        list(checker, words, at.key(key));
    }
    CacheWords {
        synonyms: synonyms.clone(),
        boosters: boosters.clone(),
        brands: brands.clone(),
        colors: colors.clone(),
    }
}

fn list(checker: &mut Checker<'_>, words: &[String], at: NodePath<'_>) {
    too_many(checker, words.len(), at);
    for (place, word) in words.iter().enumerate() {
        if !word.chars().any(char::is_alphanumeric) {
            checker.report(at.item(place), "is no word", "write a word or a short phrase".to_owned());
        } else if word.chars().count() > LONGEST {
            let what = format!("is longer than {LONGEST} characters");
            checker.report(at.item(place), what, "write a word or a short phrase".to_owned());
        }
    }
}

fn too_many(checker: &mut Checker<'_>, words: usize, at: NodePath<'_>) {
    if words > MOST {
        checker.report(at, format!("has {words} entries, {MOST} is the most"), None);
    }
}
