//! Rejected pictures that are delivered if nothing better comes (`quality.deliver_best`): the least bad one for each place.

use std::sync::Arc;

use crate::cache::{GeneratedPicture, PlacedPicture};

/// A rejected picture that is delivered if nothing better comes.
#[derive(Clone, Debug)]
pub struct BestEffort {
    /// Which one of the answer's pictures it is, counted from 0.
    pub at: u8,
    /// Of two, the one that is less bad is delivered.
    pub badness: f64,
    /// The picture.
    pub generated: Arc<GeneratedPicture>,
}

/// Those of one request, one for each of its places at most.
#[derive(Clone, Debug, Default)]
pub struct BestEfforts(Vec<(f64, PlacedPicture)>);

impl BestEfforts {
    /// Keeps a rejected picture for one of the `places` of its call, if it is less bad than what is kept: for its own place
    /// where there is a seed, for a picture of another seed is another picture; and else for any.
    pub fn keep(&mut self, picture: BestEffort, places: &[u8], seeded: bool) {
        let BestEffort { at, badness, generated } = picture;
        let own = places.get(usize::from(at)).copied();
        let is_free = |place: &u8| self.0.iter().all(|(_, kept)| kept.place != *place);
        let free = own.filter(is_free).or_else(|| places.iter().copied().find(is_free).filter(|_| !seeded));
        if let Some(place) = free {
            self.0.push((badness, PlacedPicture { place, generated }));
            return;
        }
        let rivals = self.0.iter_mut().filter(|(_, kept)| !seeded || Some(kept.place) == own);
        let worst = rivals.max_by(|(one, _), (other, _)| one.total_cmp(other));
        if let Some((worst, kept)) = worst.filter(|(worst, _)| badness < *worst) {
            *worst = badness;
            kept.generated = generated;
        }
    }

    /// An accepted picture is in this place now.
    pub fn forget(&mut self, place: u8) {
        self.0.retain(|(_, kept)| kept.place != place);
    }

    /// Fills what is missing of `wanted` pictures, the least bad ones first.
    pub fn fill(&mut self, pictures: &mut Vec<PlacedPicture>, wanted: u8, seeded: bool) {
        self.0.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        for (_, kept) in std::mem::take(&mut self.0) {
            let is_empty = |place: &u8| pictures.iter().all(|there| there.place != *place);
            let any = || (0..wanted).find(is_empty).filter(|_| !seeded);
            if let Some(place) = Some(kept.place).filter(is_empty).or_else(any) {
                pictures.push(PlacedPicture { place, ..kept });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;

    /// A picture of one byte.
    fn picture(byte: u8) -> Arc<GeneratedPicture> {
        let (encoded, format) = (Encoded::Raw(vec![byte].into()), Format::Png);
        let picture = Picture { encoded, format, size: Size::new(1, 1), revised_prompt: None };
        Arc::new(GeneratedPicture::new(picture, "p/m".into(), Usd::ZERO, 7))
    }

    fn effort(at: u8, badness: f64, byte: u8) -> BestEffort {
        BestEffort { at, badness, generated: picture(byte) }
    }

    /// Place and byte of each picture.
    fn told(pictures: &[PlacedPicture]) -> Vec<(u8, u8)> {
        let mut told: Vec<_> =
            pictures.iter().map(|placed| (placed.place, placed.generated.picture.encoded.bytes()[0])).collect();
        told.sort_unstable();
        told
    }

    fn filled(best: &mut BestEfforts, there: &[u8], wanted: u8, seeded: bool) -> Vec<(u8, u8)> {
        let mut pictures: Vec<_> =
            there.iter().map(|place| PlacedPicture { place: *place, generated: picture(0) }).collect();
        best.fill(&mut pictures, wanted, seeded);
        told(&pictures)
    }

    #[test]
    fn of_all_rejected_ones_the_least_bad_are_delivered() {
        let mut best = BestEfforts::default();
        for (badness, byte) in [(5.0, 1), (2.0, 2), (3.0, 3), (4.0, 4), (1.0, 5)] {
            best.keep(effort(0, badness, byte), &[0, 1], false);
        }
        assert_eq!(filled(&mut best, &[], 2, false), [(0, 5), (1, 2)]);
        assert_eq!(filled(&mut best, &[], 2, false), [], "they are delivered once");
    }

    #[test]
    fn with_a_seed_a_picture_is_delivered_in_its_own_place_or_not_at_all() {
        let mut best = BestEfforts::default();
        best.keep(effort(1, 3.0, 1), &[0, 1], true);
        best.keep(effort(1, 2.0, 2), &[0, 1], true);
        best.keep(effort(1, 9.0, 3), &[0, 1], true);
        best.keep(effort(7, 0.5, 4), &[0, 1], true);
        assert_eq!(filled(&mut best, &[], 3, true), [(1, 2)]);
        best.keep(effort(0, 3.0, 5), &[2], true);
        assert_eq!(filled(&mut best, &[2], 3, true), [(2, 0)]);
    }

    #[test]
    fn what_is_accepted_takes_its_place_and_the_rest_is_filled() {
        let mut best = BestEfforts::default();
        best.keep(effort(0, 1.0, 1), &[0, 1, 2], false);
        best.keep(effort(1, 2.0, 2), &[0, 1, 2], false);
        best.forget(0);
        assert_eq!(filled(&mut best, &[0], 3, false), [(0, 0), (1, 2)]);
        best.keep(effort(0, 1.0, 1), &[0], false);
        assert_eq!(filled(&mut best, &[0], 2, false), [(0, 0), (1, 1)], "another place is as good");
    }
}
