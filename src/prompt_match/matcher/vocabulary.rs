//! Which words there are in English, and what they may be. `lists/vocabulary.md` says where they come from.

use std::io::Read;
use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64;

/// A word in lower case.
pub(crate) const KNOWN: u16 = 1;
/// A common one.
pub(crate) const COMMON: u16 = 2;
/// Also, or only, a name.
pub(crate) const NAME: u16 = 4;
/// Mostly a verb.
pub(crate) const VERB: u16 = 8;
/// Mostly an adjective.
pub(crate) const ADJECTIVE: u16 = 0x10;
/// May be an adjective.
pub(crate) const MAY_BE_ADJECTIVE: u16 = 0x40;
/// A very common one.
pub(crate) const BASIC: u16 = 0x80;
/// One of the 12,000 commonest.
pub(crate) const COMMONEST: u16 = 0x100;
/// May be a noun.
pub(crate) const NOUN: u16 = 0x20;

const PACKED: &[u8] = include_bytes!("lists/vocabulary.txt.gz");

/// By the upper half of each word's hash, so that a look-up reads two places: a typo asks for some 600 words. Two of 136,382
/// words share 48 bits of a hash in one of some 20,000 builds, and then one would have the other's flags.
struct Table {
    /// Where the words begin whose hash begins with these 16 bits.
    starts: Vec<u32>,
    /// 48 bits of the hash above the flags, sorted.
    words: Vec<u64>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut text = String::new();
    // The file is part of the program. Were it damaged, no word would be known, and nothing be taken for a typo.
    let _ = flate2::read::GzDecoder::new(PACKED).read_to_string(&mut text);
    let entry = |line: &str| {
        let (word, flags) = line.split_once(' ')?;
        Some(key(word) | u64::from(u16::from_str_radix(flags, 16).ok()?))
    };
    let mut words: Vec<u64> = text.lines().filter_map(entry).collect();
    words.sort_unstable();
    let mut starts = vec![0u32; (1 << 16) + 1];
    for word in &words {
        if let Some(count) = starts.get_mut((word >> 48) as usize + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    Table { starts, words }
});

fn key(word: &str) -> u64 {
    xxh3_64(word.as_bytes()) & !0xffff
}

/// The flags of a word in lower case, 0 if nobody knows it.
pub(crate) fn flags(word: &str) -> u16 {
    let key = key(word);
    let bucket = (key >> 48) as usize;
    let bounds = (TABLE.starts.get(bucket), TABLE.starts.get(bucket + 1));
    let (Some(from), Some(to)) = bounds else { return 0 };
    let words = TABLE.words.get(*from as usize..*to as usize).unwrap_or_default();
    words.iter().find(|word| *word & !0xffff == key).map_or(0, |word| (word & 0xffff) as u16)
}
