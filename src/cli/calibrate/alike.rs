//! Out of a list of prompts: every two that would be taken for the same at some threshold, for a person to label.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::json_lines::lines;
use crate::prompt_match::{CanonicalPrompt, WordLists, canonical, embedded_text, guards};
use crate::similarity::{Embedding, Similarity};

/// Every two of so many are compared in some seconds.
const MOST_PROMPTS: usize = 10_000;

/// A prompt of the list, the first of its canonical form.
pub(super) struct ListedPrompt {
    pub(super) text: String,
    canonical: CanonicalPrompt,
}

/// Two prompts that no guard stops, by their numbers.
#[derive(Clone, Copy)]
pub(super) struct AlikePair {
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) similarity: Similarity,
}

/// The prompts of a file that can be embedded, and what is embedded of each.
pub(super) fn read(path: &Path, lists: &WordLists) -> Result<(Vec<ListedPrompt>, Vec<String>), String> {
    let (mut prompts, mut texts, mut known) = (Vec::new(), Vec::new(), HashMap::new());
    for line in lines(path)? {
        let (at, text): (usize, String) = line?;
        if prompts.len() == MOST_PROMPTS {
            return Err(format!("{} has more than {MOST_PROMPTS} different prompts: split it", path.display()));
        }
        let text = text.trim_end_matches('\r').to_owned();
        let canonical = canonical(&text, lists);
        let Some(embedded) = embedded_text(&canonical) else { continue };
        // Two of one form are found without an embedding.
        if known.insert(canonical.canonical_bytes().to_vec(), at).is_none() {
            prompts.push(ListedPrompt { text, canonical });
            texts.push(embedded);
        }
    }
    Ok((prompts, texts))
}

/// The `most` alike pairs that no guard stops, the most alike first.
pub(super) fn pairs(
    prompts: &[ListedPrompt],
    embeddings: &[Embedding],
    lists: &WordLists,
    most: usize,
) -> Vec<AlikePair> {
    let mut best: Vec<AlikePair> = Vec::new();
    for (a, (left, left_embedding)) in prompts.iter().zip(embeddings).enumerate() {
        for (b, (right, right_embedding)) in prompts.iter().zip(embeddings).enumerate().skip(a + 1) {
            let Some(similarity) = left_embedding.similarity(right_embedding) else { continue };
            let is_better = best.len() < most || best.last().is_some_and(|worst| similarity > worst.similarity);
            if !is_better || guards(&left.canonical, &right.canonical, lists).is_some() {
                continue;
            }
            let at = best.partition_point(|known| known.similarity >= similarity);
            best.insert(at, AlikePair { a, b, similarity });
            best.truncate(most);
        }
    }
    best
}
