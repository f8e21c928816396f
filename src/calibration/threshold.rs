//! Chooses a threshold by labelled pairs.
//!
//! A threshold that is chosen by the same pairs that certify it would be too good by luck, if any of many could be taken. So they
//! are tried in an order that was fixed before there were pairs, from 1.000 down in thousandths, and the first whose bound is over
//! the limit ends it (fixed-sequence testing): then the chance that a threshold comes out that is worse than the limit is still 5%
//! at the most.

use crate::calibration::upper_bound::{different_needed, upper_bound};
use crate::similarity::Similarity;

/// The thresholds are so many thousandths, down to 0.
const HIGHEST: i32 = 1000;

/// Two prompts of which a person has said whether they mean one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelledPair {
    /// They mean one picture.
    pub same: bool,
    /// How alike their embeddings are.
    pub similarity: Similarity,
    /// No guard stops them, whatever their likeness (`prompt_match::guards`).
    pub passes_guards: bool,
}

/// A threshold, and what certifies it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certified {
    /// From this likeness on a picture is served.
    pub threshold: Similarity,
    /// Pairs that mean different pictures.
    pub negatives: u64,
    /// How many of them would hit.
    pub false_hits: u64,
    /// How many would at the most, as a share, with 95% confidence.
    pub bound: f64,
    /// Pairs that mean one picture.
    pub positives: u64,
    /// How many of them would hit.
    pub hits: u64,
}

/// Why no threshold is certified. The word goes to who asked for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NotCertified {
    /// There are too few pairs that mean different pictures, even if none of them hit.
    TooFewDifferent {
        /// There are so many.
        have: u64,
        /// So many are needed at the least; `None` where no number would do.
        need: Option<u64>,
    },
    /// Even at the highest threshold too many of them hit.
    TooManyFalseHits {
        /// So many.
        false_hits: u64,
        /// Of so many.
        negatives: u64,
        /// And so many at the most with 95% confidence.
        bound: f64,
    },
    /// No pair that means one picture would hit at a threshold that is good enough, so there would be nothing to serve.
    NothingFound {
        /// How many such pairs there are.
        positives: u64,
        /// The lowest threshold that is good enough.
        lowest: Similarity,
    },
}

impl NotCertified {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            NotCertified::TooFewDifferent { .. } => "too_few_different",
            NotCertified::TooManyFalseHits { .. } => "too_many_false_hits",
            NotCertified::NothingFound { .. } => "nothing_found",
        }
    }
}

/// What would happen at a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurveRow {
    /// The threshold.
    pub threshold: Similarity,
    /// Pairs that mean one picture and would hit.
    pub hits: u64,
    /// Pairs that mean different pictures and would hit.
    pub false_hits: u64,
    /// How many of the latter would hit at the most, as a share, with 95% confidence.
    pub bound: f64,
}

/// The pairs, ready to be counted.
struct Counts {
    /// The likeness of the pairs that mean one picture and that no guard stops, sorted.
    same: Vec<Similarity>,
    /// The same of those that mean different pictures.
    different: Vec<Similarity>,
    positives: u64,
    negatives: u64,
}

impl Counts {
    fn of(pairs: &[LabelledPair]) -> Counts {
        let sorted = |same: bool| {
            let that = pairs.iter().filter(|pair| pair.same == same && pair.passes_guards);
            let mut sorted: Vec<Similarity> = that.map(|pair| pair.similarity).collect();
            sorted.sort_unstable();
            sorted
        };
        let positives = pairs.iter().filter(|pair| pair.same).count() as u64;
        let negatives = pairs.len() as u64 - positives;
        Counts { same: sorted(true), different: sorted(false), positives, negatives }
    }

    fn at(&self, thousandths: i32) -> CurveRow {
        let threshold = Similarity::thousandths(thousandths);
        let from = |sorted: &[Similarity]| {
            (sorted.len() - sorted.partition_point(|similarity| *similarity < threshold)) as u64
        };
        let (hits, false_hits) = (from(&self.same), from(&self.different));
        CurveRow { threshold, hits, false_hits, bound: upper_bound(false_hits, self.negatives) }
    }
}

/// The threshold that finds the most at no more than `limit` wrong hits among pairs that mean different pictures, with 95%
/// confidence. Of several that find the same the highest.
///
/// # Errors
/// Why there is none.
pub fn choose(pairs: &[LabelledPair], limit: f64) -> Result<Certified, NotCertified> {
    let counts = Counts::of(pairs);
    let Counts { positives, negatives, .. } = counts;
    if upper_bound(0, negatives) > limit {
        return Err(NotCertified::TooFewDifferent { have: negatives, need: different_needed(limit) });
    }
    let mut best: Option<CurveRow> = None;
    let mut lowest = None;
    for thousandths in (0..=HIGHEST).rev() {
        let row = counts.at(thousandths);
        if row.bound > limit {
            break;
        }
        lowest = Some(row);
        if best.is_none_or(|best| row.hits > best.hits) {
            best = Some(row);
        }
    }
    match (best, lowest) {
        (Some(CurveRow { threshold, hits, false_hits, bound }), _) if hits > 0 => {
            Ok(Certified { threshold, negatives, false_hits, bound, positives, hits })
        }
        (_, Some(lowest)) => Err(NotCertified::NothingFound { positives, lowest: lowest.threshold }),
        (_, None) => {
            let CurveRow { false_hits, bound, .. } = counts.at(HIGHEST);
            Err(NotCertified::TooManyFalseHits { false_hits, negatives, bound })
        }
    }
}

/// What would happen at each hundredth from 1 down to where all that can hit does.
pub fn curve(pairs: &[LabelledPair]) -> Vec<CurveRow> {
    let counts = Counts::of(pairs);
    let mut rows: Vec<CurveRow> = Vec::new();
    for hundredths in (0..=HIGHEST / 10).rev() {
        let row = counts.at(hundredths * 10);
        let all = row.hits == counts.same.len() as u64 && row.false_hits == counts.different.len() as u64;
        rows.push(row);
        if all {
            break;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(same: bool, similarity: f64) -> LabelledPair {
        LabelledPair { same, similarity: Similarity::from_number(similarity).unwrap(), passes_guards: true }
    }

    fn different(count: usize, similarity: f64) -> Vec<LabelledPair> {
        vec![pair(false, similarity); count]
    }

    #[test]
    fn the_lowest_threshold_that_holds_is_found_and_no_lower_than_it_finds_anything() {
        let mut pairs = different(299, 0.5);
        pairs.extend([pair(true, 0.97), pair(true, 0.9312), pair(true, 0.4)]);
        let chosen = choose(&pairs, 0.01).unwrap();
        // The one at 0.4 could be had only with all that is wrong, and nothing is between 0.5 and 0.9312.
        assert_eq!((chosen.threshold, chosen.hits, chosen.positives), (Similarity::thousandths(931), 2, 3));
        assert_eq!((chosen.false_hits, chosen.negatives), (0, 299));
        assert!(chosen.bound <= 0.01);
    }

    #[test]
    fn the_first_threshold_that_fails_ends_it_though_pairs_below_would_be_right() {
        // With 1,000 pairs 4 wrong ones are 0.9% at the most, 5 are 1.05%.
        let mut pairs = different(995, 0.1);
        pairs.extend([0.95, 0.94, 0.93, 0.92, 0.91].map(|similarity| pair(false, similarity)));
        pairs.extend([pair(true, 0.96), pair(true, 0.915), pair(true, 0.90)]);
        let chosen = choose(&pairs, 0.01).unwrap();
        assert_eq!((chosen.threshold, chosen.hits, chosen.false_hits), (Similarity::thousandths(915), 2, 4));
    }

    #[test]
    fn a_pair_that_a_guard_stops_hits_at_no_threshold_and_counts_among_the_different_ones() {
        let guarded = LabelledPair { passes_guards: false, ..pair(false, 0.99) };
        let mut pairs = vec![guarded; 299];
        pairs.push(pair(true, 0.9));
        pairs.push(LabelledPair { passes_guards: false, ..pair(true, 0.95) });
        let chosen = choose(&pairs, 0.01).unwrap();
        assert_eq!((chosen.threshold, chosen.hits, chosen.false_hits), (Similarity::thousandths(900), 1, 0));
        assert_eq!((chosen.negatives, chosen.positives), (299, 2));
    }

    #[test]
    fn too_few_pairs_certify_nothing_and_say_how_many_it_takes() {
        let of = |count: usize, limit| {
            let mut pairs = different(count, 0.1);
            pairs.push(pair(true, 0.9));
            choose(&pairs, limit)
        };
        assert_eq!(of(298, 0.01), Err(NotCertified::TooFewDifferent { have: 298, need: Some(299) }));
        assert_eq!(of(299, 0.001), Err(NotCertified::TooFewDifferent { have: 299, need: Some(2_995) }));
        assert!(of(299, 0.01).is_ok());
    }

    #[test]
    fn what_overlaps_at_the_top_certifies_nothing_and_neither_does_what_finds_nothing() {
        let mut overlapping = different(295, 0.1);
        overlapping.extend(different(5, 1.0));
        overlapping.push(pair(true, 1.0));
        let refused = choose(&overlapping, 0.01).unwrap_err();
        assert!(matches!(refused, NotCertified::TooManyFalseHits { false_hits: 5, negatives: 300, .. }), "{refused:?}");
        let mut apart = different(299, 0.95);
        apart.push(pair(true, 0.9));
        let refused = choose(&apart, 0.01).unwrap_err();
        assert_eq!(refused, NotCertified::NothingFound { positives: 1, lowest: Similarity::thousandths(951) });
    }

    /// What the bound is for: of many samples of a model whose wrong hits are known, few certify a threshold that is too low.
    #[test]
    fn choosing_by_the_same_pairs_is_wrong_no_more_often_than_in_one_of_twenty() {
        let mut random = fastrand::Rng::with_seed(8);
        // The likeness of different pairs is spread evenly, so a threshold of 0.95 has a rate of 5%.
        let wrong = (0..2_000)
            .filter(|_| {
                let mut pairs: Vec<LabelledPair> = (0..150).map(|_| pair(false, random.f64())).collect();
                // Enough that whatever threshold holds finds one more.
                pairs.extend((0..=1000).map(|thousandths| pair(true, f64::from(thousandths) / 1000.0)));
                choose(&pairs, 0.05).is_ok_and(|chosen| chosen.threshold < Similarity::thousandths(950))
            })
            .count();
        assert!(wrong <= 2_000 / 20 + 20, "{wrong} of 2,000");
        assert!(wrong > 10, "the sample is one that can be wrong: {wrong}");
    }

    #[test]
    fn the_curve_goes_down_until_all_is_hit() {
        let mut pairs = different(300, 0.9);
        pairs.push(pair(true, 0.985));
        let rows = curve(&pairs);
        let told: Vec<(String, u64, u64)> =
            rows.iter().map(|row| (row.threshold.to_string(), row.hits, row.false_hits)).collect();
        assert_eq!(told.first(), Some(&("1.000".to_owned(), 0, 0)));
        assert_eq!(told.get(2), Some(&("0.980".to_owned(), 1, 0)));
        assert_eq!(told.last(), Some(&("0.900".to_owned(), 1, 300)));
        assert!(rows.windows(2).all(|two| two[0].bound <= two[1].bound));
    }
}
