//! Which of a request's pictures are there, which are being drawn, and which no call draws yet.
//!
//! A picture's place is the number that it has in the request, from 0. With a seed every place is a picture of its own:
//! the seed, counted up by the place, draws that one and no other. Without one, a picture is as good in any place.

use std::collections::BTreeSet;

/// The places of one request.
#[derive(Debug)]
pub struct Places {
    wanted: u8,
    seeded: bool,
    filled: BTreeSet<u8>,
    /// Not there, and not being drawn.
    open: BTreeSet<u8>,
}

impl Places {
    /// `wanted` places, of which all but the `open` ones are filled already.
    pub fn new(wanted: u8, seeded: bool, open: BTreeSet<u8>) -> Places {
        let filled = (0..wanted).filter(|place| !open.contains(place)).collect();
        Places { wanted, seeded, filled, open }
    }

    /// How many no call draws yet.
    pub fn open(&self) -> u8 {
        u8::try_from(self.open.len()).unwrap_or(u8::MAX)
    }

    /// Whether all are there.
    pub fn complete(&self) -> bool {
        self.filled.len() >= usize::from(self.wanted)
    }

    /// Whether none is there.
    pub fn none(&self) -> bool {
        self.filled.is_empty()
    }

    /// What a call for at most `most` pictures should draw. With a seed the places follow each other without a gap: a
    /// call has one seed, and no second one for what comes after a gap.
    pub fn next(&self, most: u8) -> Vec<u8> {
        let first = self.open.first().copied().unwrap_or(0);
        let run = (first..).zip(&self.open).take_while(|(due, place)| !self.seeded || due == *place);
        run.map(|(_, place)| *place).take(usize::from(most)).collect()
    }

    /// A call draws these.
    pub fn begin(&mut self, places: &[u8]) {
        self.open.retain(|place| !places.contains(place));
    }

    /// No call draws these any more; those that are there stay so.
    pub fn give_back(&mut self, places: &[u8]) {
        self.open.extend(self.empty_among(places));
    }

    /// Those of these that are not there.
    pub fn empty_among(&self, places: &[u8]) -> Vec<u8> {
        places.iter().copied().filter(|place| !self.filled.contains(place)).collect()
    }

    /// Where a picture goes that was drawn for the place `own`; `None` where that is not known, or another candidate was
    /// asked for it since. A picture that is not needed any more gets no place, and with a seed one that was not
    /// drawn by the seed of any place that is empty.
    pub fn fill(&mut self, own: Option<u8>) -> Option<u8> {
        let empty = |place: &u8| !self.filled.contains(place);
        let place = match own.filter(empty) {
            Some(own) => own,
            None if self.seeded => return None,
            // A place that is being drawn comes last: what is bought for it is then one too many.
            None => self.open.first().copied().or_else(|| (0..self.wanted).find(empty))?,
        };
        self.open.remove(&place);
        self.filled.insert(place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(seeded: bool, open: &[u8]) -> Places {
        Places::new(4, seeded, open.iter().copied().collect())
    }

    #[test]
    fn with_a_seed_a_call_never_reaches_over_a_gap() {
        assert_eq!(places(true, &[0, 2, 3]).next(4), [0]);
        assert_eq!(places(true, &[1, 2, 3]).next(2), [1, 2]);
        assert_eq!(places(false, &[0, 2, 3]).next(4), [0, 2, 3]);
        assert!(places(true, &[]).next(4).is_empty());
    }

    #[test]
    fn with_a_seed_a_picture_has_its_own_place_or_none() {
        let mut places = places(true, &[0, 1, 2]);
        places.begin(&[0, 1]);
        assert_eq!(places.fill(Some(1)), Some(1), "the first of its call is broken");
        places.give_back(&[0, 1]);
        assert_eq!((places.next(4), places.fill(Some(1)), places.fill(None)), (vec![0], None, None));
        // Given up, asked for again, and come after all.
        places.begin(&[0]);
        assert_eq!((places.fill(Some(0)), places.fill(Some(0)), places.complete()), (Some(0), None, false));
        places.give_back(&[0]);
        assert_eq!(places.next(4), [2]);
        assert_eq!((places.fill(Some(3)), places.fill(Some(2)), places.complete()), (None, Some(2), true));
    }

    #[test]
    fn without_a_seed_a_picture_goes_where_one_is_missing() {
        let mut places = places(false, &[0, 1, 2, 3]);
        places.begin(&[0, 1]);
        places.begin(&[2]);
        assert_eq!(places.fill(None), Some(3), "no call draws that one");
        assert_eq!(places.fill(None), Some(0));
        assert_eq!(places.fill(Some(0)), Some(1));
        assert_eq!((places.fill(Some(2)), places.complete(), places.fill(None)), (Some(2), true, None));
        places.give_back(&[0, 1, 2]);
        assert_eq!(places.open(), 0);
    }
}
