//! Vectors of texts, near each other where the texts share words and parts of words.
//!
//! No model is behind them: each word and each three letters in a row point in a direction of their own, and a text points
//! where they add up to. So the same words in another order are nearly the same text here, `sofa` and `couch` are
//! strangers, and a slip of the pen is a small step: what a cache's guards have to hold against.

/// Words that are in every text and say little of it.
const LITTLE: [&str; 14] = ["a", "an", "the", "of", "in", "on", "at", "with", "and", "by", "for", "to", "from", "is"];

/// A vector of length one. The same text has the same vector in every run.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0f32; dimensions];
    let lower = text.to_lowercase();
    for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(&mut sum, word, if LITTLE.contains(&word) { 0.2 } else { 1.0 });
        let letters: Vec<char> = format!("^{word}$").chars().collect();
        for three in letters.windows(3) {
            add(&mut sum, &three.iter().collect::<String>(), 0.3);
        }
    }
    if sum.iter().all(|number| *number == 0.0) {
        add(&mut sum, &lower, 1.0);
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
    sum.iter_mut().for_each(|number| *number /= length);
    sum
}

/// Adds the direction of `part`: one step forward or back in every dimension.
fn add(sum: &mut [f32], part: &str, weight: f32) {
    let mut state = hash(part);
    for numbers in sum.chunks_mut(64) {
        let mut signs = next(&mut state);
        for number in numbers {
            *number += if signs & 1 == 1 { weight } else { -weight };
            signs >>= 1;
        }
    }
}

/// FNV-1a, which no compiler will change.
fn hash(part: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    part.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// SplitMix64: 64 more bits.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        let (a, b) = (vector(a, 256), vector(b, 256));
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn a_vector_has_length_one_and_its_text_always_the_same() {
        for dimensions in [1, 63, 256, 3072] {
            let vector = vector("a red fox", dimensions);
            let length: f32 = vector.iter().map(|number| number * number).sum();
            assert!((length - 1.0).abs() < 1e-4 && vector.len() == dimensions);
        }
        assert_eq!(vector("!?", 8), vector("!?", 8));
        // Written down, so that a change of the hash or the weights is noticed.
        let first: Vec<String> = vector("a red fox", 8).iter().take(3).map(|number| format!("{number:.3}")).collect();
        assert_eq!(first, ["0.200", "-0.272", "0.345"]);
    }

    #[test]
    fn alike_texts_are_near_and_others_are_not() {
        let fox = "a red fox in the snow, studio light";
        let same = similarity(fox, "studio light: a red fox in the snow");
        let slip = similarity(fox, "a red fox in the snwo, studio light");
        let other_colour = similarity(fox, "a blue fox in the snow, studio light");
        let stranger = similarity(fox, "three wooden chairs around a table");
        assert!(same > 0.99, "{same}");
        assert!(slip > 0.8 && slip < same, "{slip}");
        assert!(other_colour > 0.6 && other_colour < 0.95, "{other_colour}");
        assert!(stranger < 0.3, "{stranger}");
    }
}
