//! Words that a rule asks for, written as one text.

/// How many places a set has. It has a word in at most half of them, so that most words that are not there are known by an empty one.
const PLACES: usize = 256;

/// Words, found by a hash that is counted when the program is built.
pub(crate) struct WordSet {
    words: &'static str,
    /// Where a word begins in the text, counted from 1; 0 where there is none.
    places: [u16; PLACES],
}

/// Where a word is looked for first: by its first and last letter and its length, as lists have few words that are alike in these.
const fn place(first: u8, last: u8, length: usize) -> usize {
    let mixed = (first as u32 | (last as u32) << 8 | (length as u32) << 16).wrapping_mul(0x9e37_79b1);
    (mixed >> 24) as usize % PLACES
}

impl WordSet {
    /// Words with single blanks between them, 128 at most: another ends the build.
    pub(crate) const fn new(words: &'static str) -> Self {
        let bytes = words.as_bytes();
        let (mut places, mut count, mut start, mut end) = ([0u16; PLACES], 0, 0, 0);
        while end < bytes.len() {
            end += 1;
            if end == bytes.len() || bytes[end] == b' ' {
                let mut at = place(bytes[start], bytes[end - 1], end - start);
                while places[at] != 0 {
                    at = (at + 1) % PLACES;
                }
                places[at] = start as u16 + 1;
                count += 1;
                assert!(count <= PLACES / 2 && end < u16::MAX as usize);
                end += 1;
                start = end;
            }
        }
        Self { words, places }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        let (words, word) = (self.words.as_bytes(), word.as_bytes());
        let (Some(first), Some(last)) = (word.first(), word.last()) else { return false };
        let mut at = place(*first, *last, word.len());
        loop {
            let Some(start) = self.places.get(at).and_then(|place| place.checked_sub(1)) else { return false };
            let rest = words.get(usize::from(start)..).unwrap_or_default();
            if matches!(rest.strip_prefix(word), Some([] | [b' ', ..])) {
                return true;
            }
            at = (at + 1) % PLACES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WordSet;

    #[test]
    fn a_set_has_each_of_its_words_and_nothing_else() {
        static WORDS: WordSet = WordSet::new("a an sewn seen seven left-hand \u{e9}t\u{e9} underneath");
        let there = ["a", "an", "sewn", "seen", "seven", "left-hand", "\u{e9}t\u{e9}", "underneath"];
        assert!(there.iter().all(|word| WORDS.has(word)));
        let absent = ["", " ", "a an", "an sewn", "left", "hand", "n", "unnerdeath", "sown", "A", "\u{e9}"];
        assert!(absent.iter().all(|word| !WORDS.has(word)));
    }

    /// So many words stand in each other's places, and some where a part of them is looked for.
    #[test]
    fn a_part_of_a_word_is_not_the_word() {
        const MANY: &str = "made built held worn seen shot taken drawn written lit sat stood hung torn broken cut bent bound blown caught \
            dug driven eaten fed flown found frozen grown hidden hit hurt kept known laid led left lost met put read \
            ridden risen sent set shown shut spread spun split stuck sunk swept swollen thrown tied told upset won woven \
            wound wrung been done gone given begun ran run sits stands lies sewn sown strewn slung stung struck swung born \
            borne cast chosen clad fallen forgotten fought";
        static WORDS: WordSet = WordSet::new(MANY);
        let words: Vec<&str> = MANY.split(' ').collect();
        assert!(words.len() > 80 && words.iter().all(|word| WORDS.has(word)));
        let parts = words.iter().flat_map(|word| (1..word.len()).flat_map(|at| [&word[..at], &word[at..]]));
        parts.for_each(|part| assert_eq!(WORDS.has(part), words.contains(&part), "{part}"));
    }
}
