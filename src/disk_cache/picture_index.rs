//! Which pictures are on disk, how large they are, and which go first when room is needed: those whose time is over,
//! then those that were not used for longest, and those with a live link after all others.
//!
//! Nothing here touches the disk or reads a clock. What it knows is made of the database when the directory is opened;
//! measured, it takes about 320 bytes of memory a picture.

use std::collections::{BTreeSet, HashMap};

use crate::calendar::Moment;
use crate::disk_cache::picture_record::{ContentHash, RecordKind};

/// The block that most file systems give a file at least.
const BLOCK: u64 = 4096;

/// What a file of so many bytes takes on disk.
pub(super) fn on_disk(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Until when a picture's records last, by their kinds; the beginning of time where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureLife {
    pool: Moment,
    link: Moment,
}

impl PictureLife {
    /// Without any record.
    pub(super) const NONE: PictureLife =
        PictureLife { pool: Moment::from_millis(i64::MIN), link: Moment::from_millis(i64::MIN) };

    /// With one more record.
    pub(super) fn and(self, kind: RecordKind, expires: Moment) -> PictureLife {
        match kind {
            RecordKind::Pool => PictureLife { pool: self.pool.max(expires), ..self },
            RecordKind::Link => PictureLife { link: self.link.max(expires), ..self },
        }
    }

    fn is_over(self, now: Moment) -> bool {
        self.pool.max(self.link) <= now
    }
}

#[derive(Debug)]
struct IndexedPicture {
    bytes: u64,
    used: u64,
    life: PictureLife,
    /// A link was live when that was looked at last.
    linked: bool,
    /// It was used, and the database does not know.
    touched: bool,
}

impl IndexedPicture {
    /// When it changes its place in the order, or is over.
    fn ending(&self) -> Moment {
        if self.linked { self.life.link } else { self.life.pool }
    }
}

/// The pictures of one directory.
#[derive(Debug, Default)]
pub(super) struct PictureIndex {
    pictures: HashMap<ContentHash, IndexedPicture>,
    /// Whether it has a live link, and its last use: the first goes first.
    order: BTreeSet<(bool, u64, ContentHash)>,
    /// When each is to be looked at again.
    endings: BTreeSet<(Moment, ContentHash)>,
    touched: Vec<ContentHash>,
    bytes: u64,
    /// Uses are numbered; a clock may be set back.
    uses: u64,
}

impl PictureIndex {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pictures.len()
    }

    /// What they take on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The length of a picture that is here.
    pub(super) fn length(&self, picture: &ContentHash) -> Option<u64> {
        self.pictures.get(picture).map(|indexed| indexed.bytes)
    }

    /// The length of a picture that is here, and the number of its last use.
    pub(super) fn length_and_use(&self, picture: &ContentHash) -> Option<(u64, u64)> {
        self.pictures.get(picture).map(|indexed| (indexed.bytes, indexed.used))
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<ContentHash> {
        self.pictures.keys().copied().collect()
    }

    /// A picture that is used now for the first time.
    pub(super) fn insert(&mut self, picture: ContentHash, bytes: u64, life: PictureLife, now: Moment) {
        let used = self.uses + 1;
        self.restore(picture, bytes, used, life, now);
    }

    /// A picture that was used before, as the database says.
    pub(super) fn restore(&mut self, picture: ContentHash, bytes: u64, used: u64, life: PictureLife, now: Moment) {
        self.remove(&picture);
        self.uses = self.uses.max(used);
        let indexed = IndexedPicture { bytes, used, life, linked: life.link > now, touched: false };
        self.bytes += on_disk(bytes);
        self.place(picture, &indexed);
        self.pictures.insert(picture, indexed);
    }

    /// A picture's records are others now.
    pub(super) fn set_life(&mut self, picture: &ContentHash, life: PictureLife, now: Moment) {
        let Some(mut indexed) = self.pictures.remove(picture) else { return };
        self.displace(*picture, &indexed);
        (indexed.life, indexed.linked) = (life, life.link > now);
        self.place(*picture, &indexed);
        self.pictures.insert(*picture, indexed);
    }

    /// A picture was served.
    pub(super) fn touch(&mut self, picture: &ContentHash) {
        let Some(indexed) = self.pictures.get_mut(picture) else { return };
        self.uses += 1;
        self.order.remove(&(indexed.linked, indexed.used, *picture));
        indexed.used = self.uses;
        self.order.insert((indexed.linked, indexed.used, *picture));
        if !std::mem::replace(&mut indexed.touched, true) {
            self.touched.push(*picture);
        }
    }

    /// Up to `most` pictures that were used since they were asked for here, with their last uses.
    pub(super) fn take_touched(&mut self, most: usize) -> Vec<(ContentHash, u64)> {
        let from = self.touched.len().saturating_sub(most);
        let mut uses = Vec::new();
        for picture in self.touched.split_off(from) {
            if let Some(indexed) = self.pictures.get_mut(&picture)
                && std::mem::take(&mut indexed.touched)
            {
                uses.push((picture, indexed.used));
            }
        }
        uses
    }

    /// Takes a picture out, and returns how long its file is.
    pub(super) fn remove(&mut self, picture: &ContentHash) -> Option<u64> {
        let indexed = self.pictures.remove(picture)?;
        self.displace(*picture, &indexed);
        self.bytes -= on_disk(indexed.bytes);
        Some(indexed.bytes)
    }

    /// Takes out a picture whose time is over, if there is one.
    pub(super) fn take_expired(&mut self, now: Moment) -> Option<(ContentHash, u64)> {
        loop {
            let (ending, picture) = *self.endings.first()?;
            if ending > now {
                return None;
            }
            let life = self.pictures.get(&picture)?.life;
            if life.is_over(now) {
                return self.remove(&picture).map(|bytes| (picture, bytes));
            }
            // Its link is over, and it is kept for reuse.
            self.set_life(&picture, life, now);
        }
    }

    /// Takes out the picture that goes first. Those whose time is over are to be taken before.
    pub(super) fn take_first(&mut self) -> Option<(ContentHash, u64)> {
        let (_, _, picture) = *self.order.first()?;
        self.remove(&picture).map(|bytes| (picture, bytes))
    }

    fn place(&mut self, picture: ContentHash, indexed: &IndexedPicture) {
        self.order.insert((indexed.linked, indexed.used, picture));
        self.endings.insert((indexed.ending(), picture));
    }

    fn displace(&mut self, picture: ContentHash, indexed: &IndexedPicture) {
        self.order.remove(&(indexed.linked, indexed.used, picture));
        self.endings.remove(&(indexed.ending(), picture));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);

    fn hash(tag: u8) -> ContentHash {
        ContentHash([tag; 32])
    }

    fn after(seconds: u64) -> Moment {
        NOW.after(Duration::from_secs(seconds))
    }

    fn life(pool: u64, link: u64) -> PictureLife {
        let mut life = PictureLife::NONE;
        for (kind, seconds) in [(RecordKind::Pool, pool), (RecordKind::Link, link)] {
            if seconds > 0 {
                life = life.and(kind, after(seconds));
            }
        }
        life
    }

    /// An index whose pictures have these lives, used in this order.
    fn index(lives: &[(u64, u64)]) -> PictureIndex {
        let mut index = PictureIndex::default();
        for (tag, (pool, link)) in (0..).zip(lives) {
            index.insert(hash(tag), 5000, life(*pool, *link), NOW);
        }
        index
    }

    fn eviction_order(mut index: PictureIndex) -> Vec<u8> {
        std::iter::from_fn(|| index.take_first()).map(|(picture, _)| picture.0[0]).collect()
    }

    #[test]
    fn the_least_recently_used_go_first_and_those_with_a_live_link_last() {
        assert_eq!(eviction_order(index(&[(9, 9), (9, 0), (0, 9), (9, 0)])), [1, 3, 0, 2]);
        let mut touched = index(&[(9, 9), (9, 0), (0, 9), (9, 0)]);
        touched.touch(&hash(1));
        touched.touch(&hash(0));
        touched.touch(&hash(77));
        assert_eq!(eviction_order(touched), [3, 1, 2, 0]);
    }

    #[test]
    fn a_picture_is_over_when_its_last_record_is_and_its_link_counts_until_then_only() {
        let mut index = index(&[(3, 0), (9, 5), (9, 0), (4, 7)]);
        assert_eq!(index.take_expired(after(2)), None);
        assert_eq!(index.take_expired(after(5)), Some((hash(0), 5000)));
        assert_eq!(index.take_expired(after(5)), None);
        index.touch(&hash(1));
        assert_eq!(index.take_expired(after(7)), Some((hash(3), 5000)));
        assert_eq!(eviction_order(index), [2, 1], "its link is over, so that its use decides");
    }

    #[test]
    fn new_records_prolong_a_picture_and_fewer_end_it_sooner() {
        let mut index = index(&[(3, 0), (3, 0)]);
        index.set_life(&hash(0), life(9, 9), NOW);
        assert_eq!((index.take_expired(after(4)), index.take_expired(after(4))), (Some((hash(1), 5000)), None));
        index.set_life(&hash(0), life(0, 2), NOW);
        index.set_life(&hash(7), life(9, 9), NOW);
        assert_eq!((index.take_expired(after(2)), index.len(), index.bytes()), (Some((hash(0), 5000)), 0, 0));
    }

    #[test]
    fn uses_are_told_once_and_go_on_after_those_that_were_restored() {
        let mut index = PictureIndex::default();
        index.restore(hash(1), 1, 40, life(9, 0), NOW);
        index.restore(hash(2), 1, 30, life(9, 0), NOW);
        index.insert(hash(3), 1, life(9, 0), NOW);
        assert_eq!(index.length_and_use(&hash(3)), Some((1, 41)));
        (0..3).for_each(|_| index.touch(&hash(2)));
        index.touch(&hash(3));
        index.touch(&hash(1));
        index.remove(&hash(1));
        let told: Vec<_> = index.take_touched(2).into_iter().chain(index.take_touched(9)).collect();
        assert_eq!(told, [(hash(3), 45), (hash(2), 44)]);
        assert!(index.take_touched(9).is_empty());
    }

    #[test]
    fn whatever_happens_the_bytes_told_are_those_of_the_pictures_in_blocks() {
        let (mut index, mut random) = (PictureIndex::default(), fastrand::Rng::with_seed(3));
        let mut now = NOW;
        for _ in 0..5_000 {
            now = now.after(Duration::from_millis(random.u64(..100)));
            let picture = hash(random.u8(..40));
            let seconds = now.since(NOW).as_secs();
            let lives = life(seconds + random.u64(..9), if random.bool() { seconds + random.u64(..9) } else { 0 });
            match random.u8(..12) {
                0 => drop(index.take_first()),
                1 => drop(index.take_expired(now)),
                2 => drop(index.remove(&picture)),
                3 => index.set_life(&picture, lives, now),
                4..6 => index.touch(&picture),
                6 => drop(index.take_touched(random.usize(..4))),
                _ => index.insert(picture, random.u64(..20_000), lives, now),
            }
            let bytes: u64 = index.pictures.values().map(|indexed| on_disk(indexed.bytes)).sum();
            let places = (index.order.len(), index.endings.len());
            assert_eq!((index.bytes(), places), (bytes, (index.len(), index.len())));
        }
    }
}
