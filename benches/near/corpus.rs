//! Every two prompts of a corpus that the matcher takes for one picture, to be judged by a person.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use easel_matcher::{CANDIDATE_DISTANCE, WordLists, canonical, compare, distance};

/// The prompts of a file, one a line, or the column `Prompt` of a table. Not what is equal byte by byte.
pub fn prompts(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a corpus can be read");
    let table = text.lines().next().is_some_and(|head| head.split('\t').next() == Some("Prompt"));
    let lines = text.lines().skip(usize::from(table));
    let prompts = lines.map(|line| if table { line.split('\t').next().unwrap_or_default() } else { line });
    let mut prompts: Vec<String> = prompts.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    prompts.sort_unstable();
    prompts.dedup();
    prompts
}

/// The files, and those within the directories.
pub fn files(paths: &[String]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths.iter().map(PathBuf::from) {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory can be read").flatten();
            let found = entries.map(|entry| entry.path().to_string_lossy().into_owned()).collect::<Vec<_>>();
            let wanted = |path: &String| Path::new(path).is_dir() || path.ends_with(".txt") || path.ends_with(".tsv");
            files.extend(self::files(&found.into_iter().filter(wanted).collect::<Vec<_>>()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

pub fn print(paths: &[String]) {
    let files = files(paths);
    let mut all = Vec::new();
    let mut known: BTreeMap<(String, String), ()> = BTreeMap::new();
    for file in &files {
        let prompts = prompts(file);
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        merges(&name, &prompts, &mut known);
        all.extend(prompts);
    }
    if files.len() > 1 {
        all.sort_unstable();
        all.dedup();
        merges("all together", &all, &mut known);
    }
}

/// Prints the merges that were not printed for a smaller corpus.
fn merges(name: &str, prompts: &[String], known: &mut BTreeMap<(String, String), ()>) {
    let lists = WordLists::builtin();
    let read: Vec<_> = prompts.iter().map(|prompt| canonical(prompt, &lists)).collect();
    let sketches: Vec<_> = read.iter().map(|prompt| prompt.sketch()).collect();
    let pairs = prompts.len() * prompts.len().saturating_sub(1) / 2;
    let mut groups: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (at, prompt) in read.iter().enumerate() {
        groups.entry(prompt.canonical_bytes()).or_default().push(at);
    }
    let mut found: Vec<(&str, usize, usize)> = Vec::new();
    for group in groups.values() {
        found.extend(group.iter().skip(1).map(|other| ("canonical", group[0], *other)));
    }
    let first: Vec<usize> = groups.values().map(|group| group[0]).collect();
    let mut compared = 0;
    for (at, left) in first.iter().enumerate() {
        for right in first.iter().skip(at + 1) {
            if distance(&sketches[*left], &sketches[*right]) <= CANDIDATE_DISTANCE {
                compared += 1;
                if compare(&read[*left], &read[*right], &lists).is_same_picture() {
                    found.push(("near", *left, *right));
                }
            }
        }
    }
    println!("{name}: {} prompts, {pairs} pairs, {compared} compared, {} merged", prompts.len(), found.len());
    for (tier, left, right) in found {
        let pair = (prompts[left].clone(), prompts[right].clone());
        if known.insert(pair, ()).is_none() {
            println!("  {tier}: {:?}\n  {:>width$}  {:?}", prompts[left], "", prompts[right], width = tier.len());
        }
    }
}
