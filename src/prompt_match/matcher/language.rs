//! Whether a prompt is English, as all lists and most rules are.
//!
//! A prompt is taken for English only where its words show it: at most a tenth of its letters is outside ASCII, six of ten words are
//! in the vocabulary (of up to four, all but one), and it has at least as many small words of English ("of", "with") as small words of other languages. Any
//! other prompt keeps its cases, words and order: German nouns have capitals, a Turkish I is no i, "a" is a preposition in
//! Portuguese, "die" an article in German, and Лев is a man where лев is a lion.

use super::listed;
use super::lists::WordLists;
use super::token::{Kind, Piece, lower};
use super::vocabulary;

/// What the words of a prompt are, counted.
#[derive(Default)]
struct Counts {
    letters: usize,
    /// Letters outside of ASCII.
    others: usize,
    words: usize,
    known: usize,
    common: usize,
    /// Small words of English.
    small: usize,
    /// Small words of other languages.
    foreign: usize,
    /// Unknown words with a capital.
    names: usize,
    /// For a word in lower case.
    buffer: String,
}

impl Counts {
    fn word(&mut self, part: &str, lists: &WordLists) {
        let plain = part.bytes().all(|byte| byte.is_ascii_lowercase());
        let word = if plain { part } else { lower(part, &mut self.buffer) };
        self.words += 1;
        let any = listed::FOREIGN | listed::ENGLISH | listed::SYNONYM | listed::SPELLING;
        let is_in = lists.listed_in.among(word, any);
        if is_in & listed::FOREIGN != 0 {
            self.foreign += 1;
            return;
        }
        let flags = vocabulary::flags(word);
        let listed = flags == 0 && is_in & (listed::SYNONYM | listed::SPELLING) != 0;
        let knows = flags != 0 || listed || word.len() == 1 || !plain && word.bytes().any(|byte| byte.is_ascii_digit());
        self.known += usize::from(knows);
        self.common += usize::from(knows && (flags & vocabulary::COMMON != 0 || flags == 0));
        self.small += usize::from(is_in & listed::ENGLISH != 0);
        self.names += usize::from(!knows && part.starts_with(|c: char| c.is_ascii_uppercase()));
    }
}

/// Whether the rules for English may be used.
pub(crate) fn is_english(pieces: &[Piece], lists: &WordLists) -> bool {
    let mut counts = Counts::default();
    for piece in pieces {
        let Piece::Token(token) = piece else { continue };
        if token.kind != Kind::Word {
            continue;
        }
        let text = token.text.as_str();
        if text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            counts.letters += text.len();
            counts.word(text, lists);
            continue;
        }
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            counts.letters += 1;
            counts.others += usize::from(!c.is_ascii());
        }
        let parts = text.split(['-', '\'', '/']).filter(|part| part.chars().any(char::is_alphabetic));
        parts.for_each(|part| counts.word(part, lists));
    }
    let Counts { letters, others, words, known, common, small, foreign, names, .. } = counts;
    if others * 10 > letters || foreign > small {
        return false;
    }
    // Names are no words of any language, where small words show which one it is.
    let words = if small > 0 && foreign == 0 { words - names } else { words };
    let few = words <= 4 && known + 1 == words && common == known && (known > 0 || others == 0);
    known * 10 >= words * 6 || few
}
