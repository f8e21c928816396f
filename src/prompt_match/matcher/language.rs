//! Whether a prompt is English, as all lists and most rules are.
//!
//! A prompt is taken for English only where its words show it: at most a tenth of its letters is outside ASCII, six of ten words are
//! in the vocabulary (of up to four, all but one), and it has at least as many small words of English ("of", "with") as small words of other languages. Any
//! other prompt keeps its cases, words and order: German nouns have capitals, a Turkish I is no i, "a" is a preposition in
//! Portuguese, "die" an article in German, and Лев is a man where лев is a lion.

use std::borrow::Cow;

use super::lists::WordLists;
use super::token::{Kind, Piece};
use super::vocabulary;

/// Small words that only English has.
const SMALL: [&str; 40] = [
    "the", "of", "with", "and", "is", "are", "by", "from", "at", "for", "his", "her", "their", "its", "two", "three",
    "that", "has", "it", "who", "near", "under", "behind", "while", "into", "over", "through", "next", "front",
    "without", "each", "standing", "wearing", "on", "my", "some", "to", "one", "four", "five",
];

/// Whether the rules for English may be used.
pub(crate) fn is_english(pieces: &[Piece], lists: &WordLists) -> bool {
    let (mut letters, mut others) = (0usize, 0usize);
    let (mut words, mut known, mut common, mut small, mut foreign, mut names) =
        (0usize, 0usize, 0usize, 0usize, 0usize, 0usize);
    for piece in pieces {
        let Piece::Token(token) = piece else { continue };
        if token.kind != Kind::Word {
            continue;
        }
        for c in token.text.chars().filter(|c| c.is_alphabetic()) {
            letters += 1;
            others += usize::from(!c.is_ascii());
        }
        for part in token.text.split(['-', '\'', '/']).filter(|part| part.chars().any(char::is_alphabetic)) {
            let word: Cow<'_, str> = match part.bytes().all(|byte| byte.is_ascii_lowercase()) {
                true => part.into(),
                false => part.to_lowercase().into(),
            };
            words += 1;
            if lists.foreign.contains(&*word) {
                foreign += 1;
                continue;
            }
            let flags = vocabulary::flags(&word);
            let listed = flags == 0 && (lists.synonyms.contains_key(&*word) || lists.spelling.contains_key(&*word));
            let knows = flags != 0 || listed || word.len() == 1 || word.bytes().any(|byte| byte.is_ascii_digit());
            known += usize::from(knows);
            common += usize::from(knows && (flags & vocabulary::COMMON != 0 || flags == 0));
            small += usize::from(SMALL.contains(&&*word));
            names += usize::from(!knows && part.starts_with(|c: char| c.is_ascii_uppercase()));
        }
    }
    if others * 10 > letters || foreign > small {
        return false;
    }
    // Names are no words of any language, where small words show which one it is.
    let words = if small > 0 && foreign == 0 { words - names } else { words };
    let few = words <= 4 && known + 1 == words && common == known && (known > 0 || others == 0);
    known * 10 >= words * 6 || few
}
