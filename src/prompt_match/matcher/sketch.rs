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

/// 256 bits.
type Bits = [u64; 4];

/// What is counted, at most: 16 planes count to no more.
const MOST: u32 = 65_535;

/// Counts of set bits, in planes: bit i of all planes is the count of bit i.
///
/// Features wait until eight are there. Eight are added up among themselves and go on as one carry into the plane of the eights: that
/// takes a third of the steps of adding each for itself.
struct Counts {
    planes: [Bits; 16],
    waiting: [Bits; 8],
    features: u32,
}

/// Four words out of one hash, by splitmix64's steps.
fn spread(hash: u64) -> Bits {
    let mut state = hash;
    std::array::from_fn(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Adds two numbers of one bit each to a third, which keeps the sum; what is carried.
fn add(sum: &mut Bits, a: &Bits, b: &Bits) -> Bits {
    std::array::from_fn(|word| {
        let (one, two, three) = (sum[word], a[word], b[word]);
        let either = one ^ two;
        sum[word] = either ^ three;
        one & two | either & three
    })
}

impl Counts {
    fn new() -> Self {
        Self { planes: [[0; 4]; 16], waiting: [[0; 4]; 8], features: 0 }
    }

    fn add(&mut self, hash: u64, times: u32) {
        for _ in 0..times {
            if self.features >= MOST {
                return;
            }
            let at = self.features as usize % self.waiting.len();
            self.waiting[at] = spread(hash);
            self.features += 1;
            if at + 1 == self.waiting.len() {
                self.add_eight();
            }
        }
    }

    fn add_eight(&mut self) {
        let [a, b, c, d, e, f, g, h] = &self.waiting;
        let [ones, twos, fours, rest @ ..] = &mut self.planes;
        let (ab, cd, ef, gh) = (add(ones, a, b), add(ones, c, d), add(ones, e, f), add(ones, g, h));
        let (abcd, efgh) = (add(twos, &ab, &cd), add(twos, &ef, &gh));
        let mut carry = add(fours, &abcd, &efgh);
        for plane in rest {
            let mut any = 0;
            for (sum, carry) in plane.iter_mut().zip(&mut carry) {
                (*sum, *carry) = (*sum ^ *carry, *sum & *carry);
                any |= *carry;
            }
            if any == 0 {
                return;
            }
        }
    }

    /// The bits that are set in more than half of the features.
    fn majority(mut self) -> Sketch {
        let left = self.features as usize % self.waiting.len();
        if left > 0 {
            self.waiting[left..].fill([0; 4]);
            self.add_eight();
        }
        let half = self.features / 2;
        let used = (u32::BITS - self.features.leading_zeros()) as usize;
        std::array::from_fn(|word| {
            let (mut greater, mut equal) = (0u64, u64::MAX);
            for (at, plane) in self.planes.iter().enumerate().take(used).rev() {
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
    let mut counts = Counts::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_set_where_more_than_half_of_the_features_have_it() {
        for features in (0..40u64).chain([255, 256, 257, 4_096, 65_535, 65_536, 70_000]) {
            let mut counts = Counts::new();
            let mut set = [[0u32; 64]; 4];
            for number in 0..features {
                let hash = xxh3_64_with_seed(&number.to_le_bytes(), 7);
                counts.add(hash, 1);
                // What is more than can be counted is left out.
                if number < u64::from(MOST) {
                    for (counts, bits) in set.iter_mut().zip(spread(hash)) {
                        counts.iter_mut().enumerate().for_each(|(bit, count)| *count += (bits >> bit & 1) as u32);
                    }
                }
            }
            let half = (features.min(u64::from(MOST)) / 2) as u32;
            let expected =
                set.map(|counts| counts.iter().rev().fold(0, |bits, count| bits << 1 | u64::from(*count > half)));
            assert_eq!(counts.majority(), expected, "{features}");
        }
    }
}
