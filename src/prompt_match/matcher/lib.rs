//! Whether two prompts mean the same picture, without a model.
//!
//! [`canonical()`] reads a prompt into a form whose bytes are equal for the same picture in other words. [`CanonicalPrompt::sketch`]
//! says where to look for what is almost equal, and [`compare()`] tells what two prompts differ in and whether all of it is explained:
//! a slip of the fingers, or a pair that somebody approved. No similarity, however high, is a reason: "a red bench and a green car" is
//! closer to "a green bench and a red car" than most people's wordings of one picture are to each other.
//!
//! The word lists are in `lists/`, each with where it is from.

mod canonical;
mod capitals;
mod change;
mod compare;
mod guards;
mod language;
mod learned;
mod lexer;
mod listed;
mod lists;
mod near_miss;
mod numbers;
mod request;
mod segments;
mod sketch;
mod small_words;
#[cfg(test)]
mod tests;
mod token;
mod typo;
mod verbs;
mod vocabulary;
mod word_map;
mod word_set;
mod words;

pub use canonical::{CanonicalPrompt, MAX_BYTES, canonical};
pub use change::{DiffersWhy, SameWhy};
pub use compare::{Comparison, Difference, Verdict, compare, compare_with};
pub use guards::guards;
pub use learned::{LearnedPairs, WordPair};
pub use lists::{MoreWords, Origin, WordLists};
pub use near_miss::{NearMiss, near_miss};
pub use sketch::{CANDIDATE_DISTANCE, Sketch, distance};
