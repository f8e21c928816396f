//! In which lists a word is: most are in none, and to know that must cost next to nothing.

use super::word_map::Map;

/// British spellings.
pub(crate) const SPELLING: u8 = 1;
/// Begins a compound.
pub(crate) const COMPOUND: u8 = 1 << 1;
/// Begins what is replaced by a synonym.
pub(crate) const SYNONYM: u8 = 1 << 2;
/// Begins praise.
pub(crate) const BOOSTER: u8 = 1 << 3;
/// Small words of other languages.
pub(crate) const FOREIGN: u8 = 1 << 4;
/// Begins a number in words.
pub(crate) const NUMBER: u8 = 1 << 5;
/// Small words of English.
pub(crate) const ENGLISH: u8 = 1 << 6;
/// Has a class.
pub(crate) const CLASS: u8 = 1 << 7;

/// 16 KiB, of which some 4,000 words mark a fifth.
const MARKS: usize = 1 << 14;

/// In which lists each word is.
#[derive(Clone, Default)]
pub(crate) struct Listed {
    /// What is told of any word that has this mark.
    marks: Vec<u8>,
    words: Map<u8>,
}

/// What is seen of a word at a glance: its length, and its first, middle and last letter.
fn mark(word: &str) -> usize {
    let letters = word.as_bytes();
    let letter = |at: usize| u32::from(letters.get(at).copied().unwrap_or_default());
    let (middle, last) = (letters.len() / 2, letters.len().wrapping_sub(1));
    let seen = letter(0) | letter(middle) << 8 | letter(last) << 16 | (letters.len() as u32) << 24;
    (seen.wrapping_mul(0x9e37_79b1) >> 18) as usize
}

impl Listed {
    /// Notes that a word is in a list.
    pub(crate) fn note(&mut self, word: &str, list: u8) {
        self.marks.resize(MARKS, 0);
        if let Some(marked) = self.marks.get_mut(mark(word)) {
            *marked |= list;
        }
        *self.words.entry(Box::from(word)).or_default() |= list;
    }

    /// In which lists a word may be. In any other it is not.
    pub(crate) fn may_be_in(&self, word: &str) -> u8 {
        self.marks.get(mark(word)).copied().unwrap_or_default()
    }

    /// Whether a word may be in this list: false is certain.
    pub(crate) fn may_have(&self, word: &str, list: u8) -> bool {
        self.may_be_in(word) & list != 0
    }

    /// In which of these lists a word is.
    pub(crate) fn among(&self, word: &str, lists: u8) -> u8 {
        if self.may_have(word, lists) { self.words.get(word).copied().unwrap_or_default() & lists } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_in_the_lists_that_it_was_noted_in_and_in_no_other() {
        let mut listed = Listed::default();
        assert_eq!((listed.may_be_in("fox"), listed.among("fox", u8::MAX)), (0, 0));
        listed.note("fox", NUMBER);
        listed.note("fox", CLASS);
        assert_eq!(listed.among("fox", u8::MAX), NUMBER | CLASS);
        assert_eq!(listed.among("fox", NUMBER | SPELLING), NUMBER);
        // As long as "abcde", with its first, middle and last letter.
        listed.note("abcde", SYNONYM);
        assert!(listed.may_have("axcye", SYNONYM) && listed.among("axcye", SYNONYM) == 0);
    }
}
