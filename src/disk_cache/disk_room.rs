//! The room that a directory takes, and who gives way when it is needed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::calendar::Moment;
use crate::disk_cache::outcomes::GoneReason;
use crate::disk_cache::picture_index::on_disk;
use crate::disk_cache::picture_record::ContentHash;
use crate::disk_cache::shared_state::SharedState;

/// Pictures in a directory at most, whatever their sizes: half a million are 170 MB of memory, and 1 TB of pictures of
/// 2 MB.
pub const MOST_PICTURES: usize = 1 << 19;

/// What the writer knows of the room, besides the pictures in the index.
pub(super) struct DiskRoom {
    shared: Arc<SharedState>,
    /// Pictures that are here no more, whose rows are still to be removed.
    pub(super) dropped: HashSet<ContentHash>,
    /// Files that the disk did not remove, with what they take.
    pub(super) leftover: HashMap<ContentHash, u64>,
    /// What the directory takes besides pictures, when it was looked at last.
    overhead: u64,
}

impl DiskRoom {
    /// Of a directory as it is now.
    pub(super) fn new(shared: Arc<SharedState>, dropped: HashSet<ContentHash>) -> DiskRoom {
        let mut room = DiskRoom { shared, dropped, leftover: HashMap::new(), overhead: 0 };
        room.look();
        room
    }

    /// Removes pictures until there is room for so many bytes more; whether there is. Those whose time is over are gone
    /// before.
    ///
    /// # Errors
    /// When the disk does not remove a file.
    pub(super) fn make_room(&mut self, needed: u64) -> io::Result<bool> {
        loop {
            let first = {
                let mut index = self.shared.index();
                let leftover: u64 = self.leftover.values().sum();
                let taken = index.bytes() + leftover + self.overhead + needed;
                let more = usize::from(needed > 0);
                if taken <= self.shared.size() && index.len() + more <= MOST_PICTURES {
                    return Ok(true);
                }
                index.take_first()
            };
            let Some((picture, bytes)) = first else { return Ok(false) };
            self.drop_picture(picture, bytes, GoneReason::Evicted)?;
        }
    }

    /// Removes the pictures whose time is over.
    ///
    /// # Errors
    /// When the disk does not.
    pub(super) fn remove_expired(&mut self, now: Moment) -> io::Result<()> {
        loop {
            // The lock is given back before the file is removed.
            let expired = self.shared.index().take_expired(now);
            let Some((picture, bytes)) = expired else { return Ok(()) };
            self.drop_picture(picture, bytes, GoneReason::Expired)?;
        }
    }

    /// Removes the file of a picture that was taken out of the index; its rows follow in the next transaction.
    fn drop_picture(&mut self, picture: ContentHash, bytes: u64, why: GoneReason) -> io::Result<()> {
        self.dropped.insert(picture);
        self.shared.gone(&picture, why);
        self.remove_file(picture, bytes)
    }

    /// Removes the file of a picture of so many bytes.
    ///
    /// # Errors
    /// When it stays; it counts until it is gone.
    pub(super) fn remove_file(&mut self, picture: ContentHash, bytes: u64) -> io::Result<()> {
        let removed = self.shared.files.remove(&picture);
        match removed {
            Ok(()) => drop(self.leftover.remove(&picture)),
            Err(_) => drop(self.leftover.insert(picture, on_disk(bytes))),
        }
        removed
    }

    /// Tries once more to remove what the disk kept.
    pub(super) fn retry_leftover(&mut self) {
        for (picture, bytes) in self.leftover.clone() {
            // It goes on to count.
            let _ = self.remove_file(picture, bytes);
        }
    }

    /// Looks what the directory takes.
    pub(super) fn look(&mut self) {
        self.overhead = self.shared.files.overhead();
        let leftover: u64 = self.leftover.values().sum();
        let bytes = self.shared.index().bytes() + leftover + self.overhead;
        self.shared.counters.bytes.store(bytes, Ordering::Relaxed);
    }
}
