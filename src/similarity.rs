//! How alike two texts are to an embedding model: the cosine between their vectors.
//!
//! Vectors are kept as one signed byte a number, a quarter of what vendors send. `easel calibrate` measures with the same bytes
//! as the cache compares, so that what was certified is what runs.

use std::fmt;

/// The most numbers that a vector may have: more than any embedding model of a vendor sends (3,072).
pub const MOST_DIMENSIONS: usize = 4096;

/// The largest number that a byte of a vector stands for.
const LARGEST: f32 = 127.0;

/// A likeness of 1.
const ONE: i32 = 1_000_000;

/// An embedding as it is kept: the direction of a vector, each number as a byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    bytes: Box<[i8]>,
    /// What the bytes are multiplied with to have a length of 1.
    scale: f64,
}

impl Embedding {
    /// The direction of a vector as it was sent; `None` where it has none, is empty, or longer than [`MOST_DIMENSIONS`].
    pub fn new(vector: &[f32]) -> Option<Embedding> {
        if vector.len() > MOST_DIMENSIONS || vector.iter().any(|number| !number.is_finite()) {
            return None;
        }
        let largest = vector.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
        if largest == 0.0 {
            return None;
        }
        // A quotient first, or the factor of a vector of tiny numbers would be infinite. It is between -127 and 127.
        let byte = |number: &f32| (number / largest * LARGEST).round() as i8;
        let bytes: Box<[i8]> = vector.iter().map(byte).collect();
        let scale = 1.0 / f64::from(dot(&bytes, &bytes)).sqrt();
        Some(Embedding { bytes, scale })
    }

    /// How many numbers it has.
    pub fn dimensions(&self) -> usize {
        self.bytes.len()
    }

    /// Its numbers.
    pub fn bytes(&self) -> &[i8] {
        &self.bytes
    }

    /// What they are multiplied with to have a length of 1.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// How alike two are; `None` where they have not as many numbers, and so cannot be of one model.
    pub fn similarity(&self, other: &Embedding) -> Option<Similarity> {
        (self.dimensions() == other.dimensions())
            .then(|| Similarity::of_bytes(self.bytes(), self.scale(), other.bytes(), other.scale()))
    }
}

/// The sum of the products. The longest of vectors come to 66 million.
fn dot(left: &[i8], right: &[i8]) -> i32 {
    left.iter().zip(right).map(|(left, right)| i32::from(*left) * i32::from(*right)).sum()
}

/// A likeness between -1 and 1, in whole millionths, so that a threshold that is written down means what it meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Similarity(i32);

impl Similarity {
    /// So many thousandths.
    pub const fn thousandths(thousandths: i32) -> Similarity {
        Similarity(thousandths * (ONE / 1000))
    }

    /// A number; `None` where it is none between -1 and 1.
    pub fn from_number(number: f64) -> Option<Similarity> {
        (-1.0..=1.0).contains(&number).then(|| Similarity((number * f64::from(ONE)).round() as i32))
    }

    /// As a number.
    pub fn number(self) -> f64 {
        f64::from(self.0) / f64::from(ONE)
    }

    /// Of two vectors of one length, as [`Embedding`] has them.
    pub fn of_bytes(left: &[i8], left_scale: f64, right: &[i8], right_scale: f64) -> Similarity {
        let cosine = f64::from(dot(left, right)) * (left_scale * right_scale);
        Similarity((cosine.clamp(-1.0, 1.0) * f64::from(ONE)).round() as i32)
    }
}

/// With three digits, cut off: what is shown is never more than what was measured.
impl fmt::Display for Similarity {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = self.0.div_euclid(ONE / 1000);
        let sign = if thousandths < 0 { "-" } else { "" };
        write!(to, "{sign}{}.{:03}", thousandths.abs() / 1000, thousandths.abs() % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(vector: &[f32]) -> Embedding {
        Embedding::new(vector).unwrap()
    }

    fn cosine(left: &[f32], right: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
    }

    #[test]
    fn a_byte_a_number_keeps_the_cosine_within_a_hundredth() {
        let mut random = fastrand::Rng::with_seed(16);
        for dimensions in [3, 256, 1536, MOST_DIMENSIONS] {
            for _ in 0..20 {
                let left: Vec<f32> = (0..dimensions).map(|_| random.f32() * 2.0 - 1.0).collect();
                // Near one another, as two prompts of the same thing are.
                let right: Vec<f32> = left.iter().map(|number| number + random.f32() * 0.4 - 0.2).collect();
                let kept = embedding(&left).similarity(&embedding(&right)).unwrap().number();
                assert!((kept - cosine(&left, &right)).abs() < 0.01, "{dimensions}: {kept}");
            }
        }
    }

    #[test]
    fn the_same_direction_is_alike_by_one_whatever_its_length_and_the_opposite_by_minus_one() {
        let vector = [0.3f32, -0.4, 0.1];
        let of = |factor: f32| embedding(&vector.map(|number| number * factor));
        let one = Similarity::thousandths(1000);
        assert_eq!(of(1.0).similarity(&of(1.0)), Some(one));
        assert_eq!(of(1.0).similarity(&of(1e-30)), Some(one));
        assert_eq!(of(1.0).similarity(&of(-7e30)), Some(Similarity::thousandths(-1000)));
    }

    #[test]
    fn what_has_no_direction_is_no_embedding_and_two_models_are_not_compared() {
        assert_eq!(Embedding::new(&[]), None);
        assert_eq!(Embedding::new(&[0.0, 0.0]), None);
        assert_eq!(Embedding::new(&[1.0, f32::NAN]), None);
        assert_eq!(Embedding::new(&[f32::INFINITY, 1.0]), None);
        assert_eq!(Embedding::new(&vec![1.0; MOST_DIMENSIONS + 1]), None);
        assert_eq!(embedding(&[1.0, 2.0]).similarity(&embedding(&[1.0, 2.0, 3.0])), None);
    }

    #[test]
    fn a_similarity_is_shown_as_no_more_than_it_is_and_comes_back_from_its_number() {
        let of = |number| Similarity::from_number(number).unwrap();
        let shown = [(0.9349, "0.934"), (1.0, "1.000"), (-0.25, "-0.250"), (-0.0005, "-0.001"), (0.0, "0.000")];
        for (number, text) in shown {
            assert_eq!(of(number).to_string(), text);
            assert_eq!(of(of(number).number()), of(number));
        }
        assert_eq!(Similarity::from_number(1.1), None);
        assert_eq!(Similarity::from_number(f64::NAN), None);
    }
}
