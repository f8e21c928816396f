//! Whether two prompts mean the same picture: the rules, the word lists and the arithmetic of the cache's tiers.
//!
//! [`canonical`] reads a prompt into a form whose bytes are equal for the same picture in other words, [`CanonicalPrompt::sketch`]
//! says where to look for what is almost equal, and [`compare`] whether each difference is explained. [`guards`] are for who asks
//! an embedding or a judge: what has to be equal whatever these say. All of it is a crate of its own, `matcher/`.

#[allow(unused_imports, reason = "the whole of it, for the cache's tiers and the command line")]
pub use easel_matcher::{
    CANDIDATE_DISTANCE, CanonicalPrompt, Comparison, Difference, DiffersWhy, LearnedPairs, MAX_BYTES, MoreWords,
    NearMiss, Origin, SameWhy, Sketch, Verdict, WordLists, WordPair, canonical, compare, compare_with, distance,
    guards, near_miss,
};

/// A longer text is not embedded. Models take 8,192 tokens, and no token is shorter than a byte.
const MOST_EMBEDDED: usize = 8_000;

/// What of a prompt is embedded, the same for the same canonical form; `None` where it is not: in another language the guards
/// let nothing through that the canonical form does not find.
pub fn embedded_text(prompt: &CanonicalPrompt) -> Option<String> {
    let text = prompt.is_english().then(|| prompt.text())?;
    (!text.is_empty() && text.len() <= MOST_EMBEDDED).then_some(text)
}
