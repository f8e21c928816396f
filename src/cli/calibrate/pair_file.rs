//! Labelled pairs of prompts, out of a file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cli::json_lines::lines;
use crate::prompt_match::{WordLists, canonical, embedded_text, guards};
use crate::similarity::Similarity;

/// A file of so many pairs takes some minutes, and certifies a hundredth of what anybody needs.
const MOST_PAIRS: usize = 100_000;

/// The guard of a prompt that is never embedded: one of another language, or a longer one than a model takes.
const NOT_EMBEDDED: &str = "not_embedded";

/// A line of the file. Those that Easel writes itself, of calibrations and of what would have been served, can be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    a: String,
    b: String,
    same: Option<bool>,
    similarity: Option<f64>,
    embedder: Option<String>,
    dimensions: Option<usize>,
    #[serde(default, rename = "guard")]
    _guard: IgnoredAny,
    #[serde(default, rename = "line")]
    _line: IgnoredAny,
    #[serde(default, rename = "at")]
    _at: IgnoredAny,
    #[serde(default, rename = "route")]
    _route: IgnoredAny,
}

/// Two prompts, read and labelled.
pub(super) struct Pair {
    pub(super) line: usize,
    pub(super) a: String,
    pub(super) b: String,
    pub(super) same: bool,
    /// The guard that stops them.
    pub(super) guard: Option<&'static str>,
    /// What the file says of their likeness.
    pub(super) similarity: Option<Similarity>,
    /// What is embedded of both, by its number in [`PairFile::texts`]; none where a guard stops them.
    pub(super) texts: Option<[usize; 2]>,
}

/// All pairs of a file.
#[derive(Default)]
pub(super) struct PairFile {
    pub(super) pairs: Vec<Pair>,
    /// What is to be embedded, each once.
    pub(super) texts: Vec<String>,
    /// Lines that said again what another had said.
    pub(super) repeated: usize,
    /// Who measured what the file says, where it does: model and dimensions.
    pub(super) measured_by: Option<(String, usize)>,
}

impl PairFile {
    /// Reads a file.
    pub(super) fn read(path: &Path, lists: &WordLists) -> Result<PairFile, String> {
        let (mut file, mut numbers, mut labels) = (PairFile::default(), HashMap::new(), HashMap::new());
        for read in lines(path)? {
            let (at, text): (usize, String) = read?;
            let wrong = |why: String| format!("{}, line {at} {why}", path.display());
            if file.pairs.len() == MOST_PAIRS {
                return Err(format!("{} has more than {MOST_PAIRS} pairs: leave some out", path.display()));
            }
            let line: Line = serde_json::from_str(&text)
                .map_err(|error| wrong(format!("is no {{\"a\": \"...\", \"b\": \"...\", \"same\": true}}: {error}")))?;
            file.add(line, at, lists, &mut numbers, &mut labels).map_err(wrong)?;
        }
        if file.pairs.is_empty() {
            return Err(format!("{} has no pairs", path.display()));
        }
        Ok(file)
    }

    fn add(
        &mut self,
        line: Line,
        at: usize,
        lists: &WordLists,
        numbers: &mut HashMap<String, usize>,
        labels: &mut HashMap<[Vec<u8>; 2], (usize, bool)>,
    ) -> Result<(), String> {
        let Line { a, b, same, similarity, embedder, dimensions, .. } = line;
        let same = same.ok_or("has no label: add `\"same\": true` or `\"same\": false`, or take it out")?;
        let similarity = similarity
            .map(|number| Similarity::from_number(number).ok_or("has a `similarity` that is not between -1 and 1"))
            .transpose()?;
        self.is_measured_by(embedder.zip(dimensions))?;
        let (left, right) = (canonical(&a, lists), canonical(&b, lists));
        let mut both = [left.canonical_bytes().to_vec(), right.canonical_bytes().to_vec()];
        // A pair counts once whichever way round it stands: a second time it is no second trial.
        both.sort_unstable();
        match labels.entry(both) {
            Entry::Occupied(before) if before.get().1 != same => {
                return Err(format!("says the opposite of line {}, which has the same two prompts", before.get().0));
            }
            Entry::Occupied(_) => {
                self.repeated += 1;
                return Ok(());
            }
            Entry::Vacant(new) => new.insert((at, same)),
        };
        let mut guard = guards(&left, &right, lists).map(|why| why.as_str());
        let texts = match (guard, embedded_text(&left), embedded_text(&right)) {
            (None, Some(left), Some(right)) => Some([left, right].map(|text| self.number(text, numbers))),
            (None, _, _) => {
                guard = Some(NOT_EMBEDDED);
                None
            }
            (Some(_), _, _) => None,
        };
        self.pairs.push(Pair { line: at, a, b, same, guard, similarity, texts });
        Ok(())
    }

    /// Pairs of two models say nothing of either.
    fn is_measured_by(&mut self, told: Option<(String, usize)>) -> Result<(), String> {
        match (&self.measured_by, told) {
            (Some(before), Some(told)) if *before != told => Err(format!(
                "was measured by {} with {} dimensions, others by {} with {}",
                told.0, told.1, before.0, before.1
            )),
            (None, Some(told)) => {
                self.measured_by = Some(told);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn number(&mut self, text: String, numbers: &mut HashMap<String, usize>) -> usize {
        *numbers.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            self.texts.len() - 1
        })
    }

    /// The first pair whose likeness the file does not say though no guard stops it.
    pub(super) fn unmeasured(&self) -> Option<usize> {
        let unmeasured = self.pairs.iter().find(|pair| pair.guard.is_none() && pair.similarity.is_none());
        unmeasured.map(|pair| pair.line)
    }
}
