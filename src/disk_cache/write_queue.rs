//! What waits for the writer, in the order it was handed in, bounded in bytes.
//!
//! A picture that finds no room is not kept: it can be drawn again. A removal is never given up while the process lives,
//! because a picture that somebody rejected must not come back after a restart; when more of them wait than may, all
//! that is on disk is removed instead. Nothing here touches the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::disk_cache::outcomes::SkipReason;
use crate::disk_cache::picture_record::{ContentHash, Record, RecordKind};

/// Bytes that may wait: some thirty pictures of 2 MB, which a disk of 100 MB/s writes in less than a second. A burst that
/// is longer than that meets a disk that is too slow for it, however large the queue.
pub const QUEUE_BYTES: u64 = 64 << 20;

/// What an item takes besides what it carries.
const ITEM: u64 = 256;

/// Removals that may wait, some 16 MB. They do so only while the disk fails, or behind a purge of that many.
const REMOVALS: usize = 65_536;

/// Bytes and items of one transaction: few enough that what was handed in is soon known to be on disk, and enough that
/// the disk is asked to sync its directory and its database once for some pictures.
const BATCH: (u64, usize) = (16 << 20, 1024);

/// How long the writer sleeps when nothing waits; then it looks for pictures whose time is over.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long it sleeps while the disk is left alone and removals wait.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Which records are meant.
pub(super) type Matches = Box<dyn FnMut(&Record) -> bool + Send>;

/// One thing for the writer.
pub(super) enum WriteItem {
    /// Keep a picture for this. Without bytes it is there already, or in front of this in the queue. The writer notes why
    /// it was left out.
    Put { record: Record, bytes: Option<Bytes>, skipped: Option<SkipReason> },
    /// Remove a record, and its picture if that was the last.
    Remove { kind: RecordKind, key: Vec<u8>, picture: ContentHash },
    /// Remove a picture with all its records.
    RemovePicture(ContentHash),
    /// Remove all records of which this is true, and the pictures that have no other.
    RemoveWhere(Matches),
    /// Remove everything.
    Clear,
    /// A file turned out to be damaged or gone: remove what is left, and its records.
    Lost(ContentHash),
    /// Tell when all in front of this is done.
    Flush(oneshot::Sender<()>),
    /// The bound is another.
    Resize,
}

impl WriteItem {
    fn is_removal(&self) -> bool {
        use WriteItem::{Clear, Lost, Remove, RemovePicture, RemoveWhere};
        matches!(self, Remove { .. } | RemovePicture(_) | RemoveWhere(_) | Clear | Lost(_))
    }

    /// What a picture or a record takes of the bound.
    fn weight(&self) -> u64 {
        match self {
            WriteItem::Put { record, bytes, .. } => ITEM + (record.len() + bytes.as_ref().map_or(0, Bytes::len)) as u64,
            _ => 0,
        }
    }
}

#[derive(Default)]
struct QueueState {
    items: VecDeque<WriteItem>,
    /// What waits and what is being written takes.
    bytes: u64,
    removals: usize,
    /// The pictures among them.
    pictures: HashMap<ContentHash, Bytes>,
    /// Nothing comes any more.
    closing: bool,
    /// Only removals are still to be written, and only once.
    giving_up: bool,
}

/// The queue of one directory.
#[derive(Default)]
pub(super) struct WriteQueue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

impl WriteQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        // Every change is whole when the lock is given back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in a picture. `is_on_disk` says that it is there already, so that its bytes need not wait.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) fn put(&self, record: Record, bytes: Bytes, is_on_disk: bool) -> Result<(), SkipReason> {
        let mut state = self.state();
        if state.closing {
            return Err(SkipReason::Closed);
        }
        let picture = record.picture;
        let carried = !is_on_disk && !state.pictures.contains_key(&picture);
        let item = WriteItem::Put { record, bytes: carried.then(|| bytes.clone()), skipped: None };
        if state.bytes.saturating_add(item.weight()) > QUEUE_BYTES {
            return Err(SkipReason::QueueFull);
        }
        state.bytes += item.weight();
        if carried {
            state.pictures.insert(picture, bytes);
        }
        state.items.push_back(item);
        self.wake.notify_one();
        Ok(())
    }

    /// Hands in anything else. What comes after the queue was closed is dropped, except a flush, whose sender is.
    pub(super) fn push(&self, item: WriteItem) {
        let mut state = self.state();
        if state.closing {
            return;
        }
        state.removals += usize::from(item.is_removal());
        state.items.push_back(item);
        state.bound_removals();
        self.wake.notify_one();
    }

    /// A picture that waits to be written, or is being written.
    pub(super) fn picture(&self, picture: &ContentHash) -> Option<Bytes> {
        self.state().pictures.get(picture).cloned()
    }

    /// Bytes that wait or are being written.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// What is to be done next, after some time nothing; `None` when nothing comes any more. While the disk is `paused`
    /// what waits is looked at from time to time only.
    pub(super) fn next(&self, paused: bool) -> Option<Vec<WriteItem>> {
        let mut state = self.state();
        let idle = state.items.is_empty() && !state.closing;
        if (idle || paused) && !state.giving_up {
            let time = if paused { RETRY_EVERY } else { SWEEP_EVERY };
            (state, _) = self.wake.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closing && state.items.is_empty() {
            return None;
        }
        let (mut bytes, mut batch) = (0, Vec::new());
        while bytes < BATCH.0
            && batch.len() < BATCH.1
            && let Some(item) = state.items.pop_front()
        {
            bytes += item.weight();
            state.removals -= usize::from(item.is_removal());
            batch.push(item);
        }
        Some(batch)
    }

    /// What was taken is on disk, or never will be.
    pub(super) fn done(&self, batch: &[WriteItem]) {
        let mut state = self.state();
        for item in batch {
            state.bytes -= item.weight();
            if let WriteItem::Put { record, bytes: Some(_), .. } = item {
                state.pictures.remove(&record.picture);
            }
        }
    }

    /// Removals that were taken and could not be made wait again, in front. Whether they may be tried once more.
    pub(super) fn give_back(&self, removals: Vec<WriteItem>) -> bool {
        let mut state = self.state();
        if state.giving_up {
            return false;
        }
        state.removals += removals.len();
        for removal in removals.into_iter().rev() {
            state.items.push_front(removal);
        }
        state.bound_removals();
        true
    }

    /// Nothing comes any more; what waits is written first. With `giving_up`, only what waits to be removed is, once; how
    /// many pictures and records are given up.
    pub(super) fn close(&self, giving_up: bool) -> usize {
        let mut state = self.state();
        state.closing = true;
        state.giving_up |= giving_up;
        let before = state.items.len();
        if giving_up {
            let given_up = |item: &WriteItem| matches!(item, WriteItem::Put { .. });
            let bytes: u64 = state.items.iter().filter(|item| given_up(item)).map(WriteItem::weight).sum();
            state.items.retain(|item| !given_up(item));
            state.bytes -= bytes;
            // Whoever reads one of these misses it; one that is being written is on disk soon.
            state.pictures.clear();
        }
        self.wake.notify_all();
        before - state.items.len()
    }
}

impl QueueState {
    fn bound_removals(&mut self) {
        if self.removals <= REMOVALS {
            return;
        }
        log::error!("more than {REMOVALS} removals wait for the cache's disk: all that is on it will be removed");
        self.items.retain(|item| !item.is_removal());
        self.items.push_front(WriteItem::Clear);
        self.removals = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Moment;

    fn record(bytes: &[u8]) -> Record {
        let picture = ContentHash::of(bytes);
        Record { kind: RecordKind::Pool, key: vec![1], picture, expires: Moment::from_millis(9), about: Vec::new() }
    }

    fn remove(tag: u8) -> WriteItem {
        WriteItem::RemovePicture(ContentHash([tag; 32]))
    }

    #[test]
    fn a_picture_waits_once_however_often_it_is_handed_in_and_no_more_bytes_than_may() {
        let queue = WriteQueue::default();
        let picture = Bytes::from(vec![7; (QUEUE_BYTES / 2) as usize]);
        for _ in 0..3 {
            queue.put(record(&picture), picture.clone(), false).unwrap();
        }
        let other = Bytes::from(vec![8; (QUEUE_BYTES / 2) as usize]);
        assert_eq!(queue.put(record(&other), other.clone(), false), Err(SkipReason::QueueFull));
        queue.put(record(&other), other.clone(), true).unwrap();
        let held = queue.bytes();
        assert!((QUEUE_BYTES / 2..QUEUE_BYTES / 2 + 4 * 1024).contains(&held), "{held}");
        assert_eq!(queue.picture(&ContentHash::of(&picture)), Some(picture.clone()));
        let batch = queue.next(false).unwrap();
        assert_eq!(
            (batch.len(), queue.bytes()),
            (1, held),
            "a large picture goes alone, and counts until it is written"
        );
        queue.done(&batch);
        assert_eq!(queue.picture(&ContentHash::of(&picture)), None);
        assert_eq!(queue.next(false).unwrap().len(), 3);
    }

    #[test]
    fn removals_that_fail_come_first_again_until_they_are_given_up() {
        let queue = WriteQueue::default();
        for tag in 1..=3 {
            queue.push(remove(tag));
        }
        let mut taken = queue.next(false).unwrap();
        taken.truncate(2);
        queue.push(remove(4));
        assert!(queue.give_back(taken));
        let again = queue.next(false).unwrap();
        let order: Vec<_> = again
            .iter()
            .map(|item| if let WriteItem::RemovePicture(picture) = item { picture.0[0] } else { 0 })
            .collect();
        assert_eq!(order, [1, 2, 4]);
        queue.close(true);
        assert!(!queue.give_back(again) && queue.next(true).is_none());
    }

    #[test]
    fn more_removals_than_may_wait_become_the_removal_of_everything() {
        let queue = WriteQueue::default();
        let picture = Bytes::from_static(b"abc");
        queue.put(record(&picture), picture.clone(), false).unwrap();
        for _ in 0..=REMOVALS {
            queue.push(remove(1));
        }
        let batch = queue.next(false).unwrap();
        assert!(matches!(batch[..], [WriteItem::Clear, WriteItem::Put { .. }]), "{}", batch.len());
        (0..REMOVALS).for_each(|_| queue.push(remove(1)));
        assert_eq!(queue.next(false).unwrap().len(), BATCH.1, "as many as may wait");
    }

    #[test]
    fn a_queue_that_is_closed_takes_nothing_and_ends_after_what_it_has() {
        let queue = WriteQueue::default();
        let picture = Bytes::from_static(b"abc");
        queue.put(record(&picture), picture.clone(), false).unwrap();
        queue.push(remove(1));
        assert_eq!(queue.close(false), 0);
        assert_eq!(queue.put(record(&picture), picture.clone(), false), Err(SkipReason::Closed));
        queue.push(remove(2));
        assert_eq!(queue.close(true), 1, "the picture");
        assert_eq!((queue.next(true).unwrap().len(), queue.bytes()), (1, 0));
        assert!(queue.next(false).is_none());
    }
}
