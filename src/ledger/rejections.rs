//! Pictures that came and were not delivered, by the first reason against each.

use std::collections::BTreeMap;

/// Pictures of one call that came and were not delivered. A reason is a word of one of the callers' closed enums, and an
/// answer brings a bounded number of pictures, so there are never more of either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections(BTreeMap<&'static str, u32>);

impl Rejections {
    /// How many pictures.
    pub fn count(&self) -> u32 {
        self.0.values().fold(0, |all, pictures| all.saturating_add(*pictures))
    }

    /// Each reason with its pictures, in the order of the words.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.0.iter().map(|(reason, pictures)| (*reason, *pictures))
    }

    /// The reasons in one word, such as `blank` or `blank+truncated`; empty where nothing was rejected.
    pub fn reasons(&self) -> String {
        self.0.keys().copied().collect::<Vec<_>>().join("+")
    }
}

impl FromIterator<&'static str> for Rejections {
    /// Of one reason for each picture.
    fn from_iter<I: IntoIterator<Item = &'static str>>(reasons: I) -> Rejections {
        let mut rejections = Rejections::default();
        for reason in reasons {
            let pictures = rejections.0.entry(reason).or_default();
            *pictures = pictures.saturating_add(1);
        }
        rejections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_counted_by_reason_and_the_reasons_are_one_word_whatever_their_order() {
        let rejections: Rejections = ["truncated", "blank", "truncated"].into_iter().collect();
        assert_eq!((rejections.count(), rejections.reasons().as_str()), (3, "blank+truncated"));
        assert_eq!(rejections.by_reason().collect::<Vec<_>>(), [("blank", 1), ("truncated", 2)]);
        let none = Rejections::default();
        assert_eq!((none.count(), none.reasons().as_str()), (0, ""));
    }
}
