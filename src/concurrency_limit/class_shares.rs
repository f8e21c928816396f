//! How the slots of a limit are shared between live and batch calls: which class has how many of its own, and which
//! goes first when a slot is free and both wait.
//!
//! A class owns the whole slots of its share. What is left over, at most one slot, belongs to both by turns in the
//! ratio of the parts that are left: of one slot at 90:10 nine turns are live's and the tenth is batch's, so that both get
//! on even where there is one slot for all. Of 32 slots live owns 28 and batch 3, and of the odd one live has eight turns of ten.
//!
//! All this counts only while both wait. A class that waits alone takes whatever is free, and gives it back as its calls
//! end: no call is cut off for another.

use crate::config::plan::{Priority, Shares};

/// A million is the whole.
const WHOLE: u64 = 1_000_000;

/// One thing for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T> {
    live: T,
    batch: T,
}

impl<T> PerClass<T> {
    /// The class's own.
    pub fn get(&self, class: Priority) -> &T {
        match class {
            Priority::Live => &self.live,
            Priority::Batch => &self.batch,
        }
    }

    /// The class's own, to change.
    pub fn get_mut(&mut self, class: Priority) -> &mut T {
        match class {
            Priority::Live => &mut self.live,
            Priority::Batch => &mut self.batch,
        }
    }
}

impl PerClass<usize> {
    /// Both classes' together.
    pub fn sum(&self) -> usize {
        self.live + self.batch
    }
}

/// The class that has what this one has not.
pub fn other(class: Priority) -> Priority {
    match class {
        Priority::Live => Priority::Batch,
        Priority::Batch => Priority::Live,
    }
}

/// The exact share of a class in `limit` slots, in millionths of a slot.
fn millionths(shares: Shares, limit: usize, class: Priority) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX / WHOLE).saturating_mul(u64::from(shares.ppm(class)))
}

/// The slots of `limit` that are a class's own.
pub fn owned(shares: Shares, limit: usize, class: Priority) -> usize {
    usize::try_from(millionths(shares, limit, class) / WHOLE).unwrap_or(limit)
}

/// The places of a queue that are a class's own. Places are whole: batch has its share of them rounded down, but one
/// where there are two at all, and the others are live's, for a batch job can come back later.
pub fn owned_places(shares: Shares, queue: usize, class: Priority) -> usize {
    let batch = owned(shares, queue, Priority::Batch).max(usize::from(queue > 1));
    match class {
        Priority::Live => queue - batch,
        Priority::Batch => batch,
    }
}

/// Whose turn the odd slot is.
#[derive(Clone, Copy, Debug, Default)]
pub struct OddSlot {
    /// What batch has saved up for its next turn, in millionths of one.
    batch_credit: u64,
}

impl OddSlot {
    /// The class that a free slot goes to when both wait: one that has fewer than it owns, live before batch; else
    /// whose turn it is.
    pub fn next_of_both(&mut self, shares: Shares, limit: usize, in_flight: &PerClass<usize>) -> Priority {
        let below = |class| *in_flight.get(class) < owned(shares, limit, class);
        match [Priority::Live, Priority::Batch].into_iter().find(|class| below(*class)) {
            Some(class) => class,
            None => self.turn(millionths(shares, limit, Priority::Batch) % WHOLE),
        }
    }

    /// The next turn, of which batch has `batch` millionths.
    fn turn(&mut self, batch: u64) -> Priority {
        self.batch_credit += batch;
        if self.batch_credit < WHOLE {
            return Priority::Live;
        }
        self.batch_credit -= WHOLE;
        Priority::Batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(batch_percent: u32) -> Shares {
        Shares { batch_ppm: batch_percent * 10_000 }
    }

    #[test]
    fn whole_slots_are_owned_and_at_most_one_is_left_over() {
        for (limit, batch, owned_by) in [(10, 10, (9, 1)), (32, 10, (28, 3)), (1, 10, (0, 0)), (2, 50, (1, 1))] {
            let own = |class| owned(shares(batch), limit, class);
            assert_eq!((own(Priority::Live), own(Priority::Batch)), owned_by, "{limit} {batch}%");
        }
        for (limit, batch) in (0..200).flat_map(|limit| (1..100).map(move |batch| (limit, batch))) {
            let both = owned(shares(batch), limit, Priority::Live) + owned(shares(batch), limit, Priority::Batch);
            assert!(both == limit || both + 1 == limit, "{limit} {batch}%");
        }
    }

    #[test]
    fn of_one_slot_every_tenth_turn_is_batchs() {
        let (mut odd, idle) = (OddSlot::default(), PerClass::default());
        let turns: Vec<Priority> = (0..30).map(|_| odd.next_of_both(shares(10), 1, &idle)).collect();
        for ten in turns.chunks(10) {
            assert_eq!(ten.iter().filter(|class| **class == Priority::Batch).count(), 1, "{ten:?}");
        }
    }

    #[test]
    fn a_class_below_what_it_owns_goes_first() {
        let mut odd = OddSlot::default();
        let in_flight = |live, batch| PerClass { live, batch };
        assert_eq!(odd.next_of_both(shares(10), 10, &in_flight(9, 0)), Priority::Batch);
        assert_eq!(odd.next_of_both(shares(10), 10, &in_flight(8, 1)), Priority::Live);
        assert_eq!(odd.next_of_both(shares(10), 10, &in_flight(0, 9)), Priority::Live);
    }

    #[test]
    fn places_are_whole_and_both_have_one_where_there_are_two() {
        for (queue, live, batch) in [(0, 0, 0), (1, 1, 0), (2, 1, 1), (9, 8, 1), (256, 231, 25)] {
            let own = |class| owned_places(shares(10), queue, class);
            assert_eq!((own(Priority::Live), own(Priority::Batch)), (live, batch), "{queue}");
        }
        assert_eq!(owned_places(shares(99), 2, Priority::Live), 1);
    }
}
