//! What a judge could be asked: two prompts of which one pair of words alone is not explained.

use super::canonical::CanonicalPrompt;
use super::change::DiffersWhy;
use super::compare::{Verdict, compare_with};
use super::learned::{LearnedPairs, WordPair};
use super::lists::WordLists;
use super::vocabulary;

/// More words than these on a side are a sentence, which is the same picture in its own place alone.
const MOST_WORDS: usize = 3;

/// How many words around the ones that differ say what they mean there.
const AROUND: usize = 12;

/// Two prompts that would be the same picture if one pair of words meant the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The pair.
    pub pair: WordPair,
    /// Where the words stand in each prompt: up to twelve words on either side of them, in the pair's order.
    pub around: [String; 2],
}

/// What a judge could be asked about two prompts, if one answer is all that is missing: they differ in one pair of words that no
/// guard minds, each of them known and not one the plural of the other, and with that pair they would be the same picture.
pub fn near_miss(
    a: &CanonicalPrompt,
    b: &CanonicalPrompt,
    lists: &WordLists,
    learned: &LearnedPairs,
) -> Option<NearMiss> {
    let comparison = compare_with(a, b, lists, learned);
    if comparison.is_same_picture() {
        return None;
    }
    let mut open =
        comparison.differences.iter().filter(|difference| !matches!(difference.verdict, Verdict::Same { .. }));
    let (Some(difference), None) = (open.next(), open.next()) else { return None };
    let is_word = difference.verdict == Verdict::Differs { why: DiffersWhy::Word };
    if !is_word || ![&difference.left, &difference.right].into_iter().all(|side| is_known(side)) {
        return None;
    }
    let pair = WordPair::of(&difference.left, &difference.right);
    if !compare_with(a, b, lists, &learned.and(&pair)).is_same_picture() {
        return None;
    }
    let (left, right) = (around(a, &difference.left)?, around(b, &difference.right)?);
    let in_order = pair.words()[0] == difference.left;
    Some(NearMiss { pair, around: if in_order { [left, right] } else { [right, left] } })
}

/// Whether there are few words and each of them is in the vocabulary: what nobody knows is a name or a slip, and no judge knows better.
fn is_known(side: &str) -> bool {
    let words: Vec<&str> = side.split_whitespace().collect();
    let known = |word: &&str| vocabulary::flags(word) & vocabulary::KNOWN != 0;
    (1..=MOST_WORDS).contains(&words.len()) && words.iter().all(known)
}

/// The words with those around them, in the segment where they stand.
fn around(prompt: &CanonicalPrompt, side: &str) -> Option<String> {
    let words: Vec<&str> = side.split_whitespace().collect();
    prompt.segments.iter().find_map(|segment| {
        let texts: Vec<&str> = segment.tokens.iter().map(|token| token.text.as_str()).collect();
        let at = texts.windows(words.len()).position(|window| window == words)?;
        let (from, to) = (at.saturating_sub(AROUND), (at + words.len() + AROUND).min(texts.len()));
        Some(texts.get(from..to)?.join(" "))
    })
}
