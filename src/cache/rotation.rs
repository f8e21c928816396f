//! Whose turn it is among several pictures of one request, where a route keeps variants: the one that was served longest
//! ago, and not what the same caller got last while there are others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::byte_bounded::{ByteBounded, Weigh};
use crate::cache::pool_entry::PooledPicture;

/// Bytes for who got what last: some ten thousand callers and requests. Whoever is forgotten may get the same picture again.
const MEMORY: u64 = 2 << 20;

/// What an entry weighs besides its ids.
const OVERHEAD: u64 = 96;

/// The pictures that one caller got last for one request, by the first bits of their ids.
type Last = Arc<[u64]>;

impl Weigh<u64> for Last {
    fn weight(&self, _key: &u64) -> u64 {
        (size_of::<u64>() * self.len()) as u64 + OVERHEAD
    }
}

/// Turns among pictures.
pub(super) struct Rotation {
    /// Counts up with every picture that is served.
    turn: AtomicU64,
    last: ByteBounded<u64, Last>,
    /// Held while pictures are chosen, or two requests at once would be given the same.
    choosing: Mutex<()>,
}

impl Rotation {
    /// Nobody has got anything.
    pub(super) fn new() -> Rotation {
        Rotation { turn: AtomicU64::new(1), last: ByteBounded::new(MEMORY), choosing: Mutex::default() }
    }

    /// The next turn.
    pub(super) fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// `n` of the pictures for a caller, `who` being the caller and the request together.
    pub(super) fn choose<'p>(&self, pictures: &[&'p PooledPicture], n: usize, who: u64) -> Vec<&'p PooledPicture> {
        let _choosing = self.choose_alone();
        let last = self.last.entries.get(&who).unwrap_or_default();
        let mut order: Vec<&PooledPicture> = pictures.to_vec();
        // A stable sort: what was never served comes in its own order.
        order.sort_by_key(|pooled| (last.contains(&id(pooled)), pooled.turn.load(Ordering::Relaxed)));
        order.truncate(n);
        // What has to be read from disk first is chosen again once it was.
        if order.iter().any(|pooled| pooled.cold) {
            return order;
        }
        for pooled in &order {
            pooled.turn.store(self.next_turn(), Ordering::Relaxed);
        }
        self.last.entries.insert(who, order.iter().map(|pooled| id(pooled)).collect());
        order
    }

    /// Notes that a caller was given a picture that was drawn for it.
    pub(super) fn given<'p>(&self, pictures: impl Iterator<Item = &'p PooledPicture>, who: u64) {
        let _choosing = self.choose_alone();
        self.last.entries.insert(who, pictures.map(id).collect());
    }

    fn choose_alone(&self) -> MutexGuard<'_, ()> {
        self.choosing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first bits of a picture's id, which is a hash.
fn id(pooled: &PooledPicture) -> u64 {
    u64::from_str_radix(pooled.generated.id.get(..16).unwrap_or_default(), 16).unwrap_or_default()
}
