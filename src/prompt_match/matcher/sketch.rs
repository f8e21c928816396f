//! SimHash-256 of a canonical form: where to look for prompts that may be the same, and never a reason to say that they are.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::lists::RULES_VERSION;
use super::token::Token;

/// 256 bits, of which prompts with much in common share most.
pub type Sketch = [u64; 4];

/// How far apart two sketches may be for [`compare`](crate::compare()) to be asked.
///
/// Of two prompts at an angle a, each bit differs with the chance a / pi: at 64 of 256 bits the cosine is 0.71. A typo in a prompt of
/// four words is 45 to 60 apart and in one of twenty 12 to 30; `cargo bench --bench near -- --replay` prints what is lost by it.
pub const CANDIDATE_DISTANCE: u32 = 64;

/// Seeds of the kinds of features, so that a word is never a bigram.
const WORD: u64 = 0x65_61_73_65_6c ^ RULES_VERSION;
const GRAM: u64 = WORD + (1 << 32);
const PAIR: u64 = WORD + (2 << 32);

/// Counts of set bits, in planes: bit i of all planes is the count of bit i. 16 planes count to 65,535 features.
struct Counts {
    planes: [[u64; 4]; 16],
    features: u32,
}

impl Counts {
    fn add(&mut self, hash: u64, times: u32) {
        // Four words out of one hash, by splitmix64's steps.
        let mut state = hash;
        let bits: [u64; 4] = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        });
        for _ in 0..times {
            if self.features >= 65_535 {
                return;
            }
            self.features += 1;
            let mut carry = bits;
            for plane in &mut self.planes {
                let mut any = 0;
                for (sum, carry) in plane.iter_mut().zip(&mut carry) {
                    (*sum, *carry) = (*sum ^ *carry, *sum & *carry);
                    any |= *carry;
                }
                if any == 0 {
                    break;
                }
            }
        }
    }

    /// The bits that are set in more than half of the features.
    fn majority(&self) -> Sketch {
        let half = self.features / 2;
        std::array::from_fn(|word| {
            let (mut greater, mut equal) = (0u64, u64::MAX);
            for (at, plane) in self.planes.iter().enumerate().rev() {
                let limit = if half >> at & 1 == 1 { u64::MAX } else { 0 };
                greater |= equal & plane[word] & !limit;
                equal &= !(plane[word] ^ limit);
            }
            greater
        })
    }
}

/// Up to how many words a prompt is short.
const SHORT: usize = 4;

/// Words, the parts of two and three letters of each, and pairs of neighbours in a segment.
pub(crate) fn sketch<'a>(segments: impl Iterator<Item = &'a Vec<Token>> + Clone) -> Sketch {
    // Of few words one with a slip is much: there the letters count, too.
    let short = segments.clone().map(Vec::len).sum::<usize>() <= SHORT;
    let mut counts = Counts { planes: [[0; 4]; 16], features: 0 };
    let mut spaced = Vec::with_capacity(32);
    for tokens in segments {
        let mut before = 0;
        for token in tokens {
            let text = token.text.as_bytes();
            let word = xxh3_64_with_seed(text, WORD);
            counts.add(word, 1);
            // With a blank on both sides, so that how a word begins and ends counts as much as what is in it.
            spaced.clear();
            spaced.push(b' ');
            spaced.extend_from_slice(text);
            spaced.push(b' ');
            if short {
                text.iter().for_each(|letter| counts.add(xxh3_64_with_seed(&[*letter], GRAM), 2));
            }
            for length in [2, 3] {
                spaced.windows(length).for_each(|part| counts.add(xxh3_64_with_seed(part, GRAM), 1));
            }
            if before != 0 {
                counts.add(xxh3_64_with_seed(&(before ^ word.rotate_left(17)).to_le_bytes(), PAIR), 1);
            }
            before = word;
        }
    }
    counts.majority()
}

/// In how many of 256 bits two sketches differ.
pub fn distance(a: &Sketch, b: &Sketch) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}
