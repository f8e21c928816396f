//! What the threads of one directory and its owner share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::clock::Clock;
use crate::disk_cache::disk_health::DiskHealth;
use crate::disk_cache::disk_readers::ReadQueue;
use crate::disk_cache::outcomes::{Counters, GoneReason, ReadMiss, ReadResult};
use crate::disk_cache::picture_files::PictureFiles;
use crate::disk_cache::picture_index::PictureIndex;
use crate::disk_cache::picture_record::ContentHash;
use crate::disk_cache::write_queue::{WriteItem, WriteQueue};
use crate::store::file_identity::FileIdentity;

/// Is told which pictures are gone. Called by the threads of the directory, without any lock held: it must not block.
pub type OnGone = Arc<dyn Fn(&ContentHash, GoneReason) + Send + Sync>;

/// One directory.
pub(super) struct SharedState {
    pub(super) files: PictureFiles,
    pub(super) database_file: FileIdentity,
    pub(super) queue: WriteQueue,
    pub(super) reads: ReadQueue,
    pub(super) write_health: DiskHealth,
    pub(super) read_health: DiskHealth,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    /// The bound in bytes.
    pub(super) size: AtomicU64,
    index: Mutex<PictureIndex>,
    on_gone: OnGone,
}

impl SharedState {
    /// A directory whose pictures are in `index`.
    pub(super) fn new(
        files: PictureFiles,
        database_file: FileIdentity,
        index: PictureIndex,
        size: u64,
        clock: Clock,
        on_gone: OnGone,
    ) -> SharedState {
        SharedState {
            files,
            database_file,
            queue: WriteQueue::default(),
            reads: ReadQueue::default(),
            write_health: DiskHealth::default(),
            read_health: DiskHealth::default(),
            counters: Counters::default(),
            clock,
            size: AtomicU64::new(size),
            index: Mutex::new(index),
            on_gone,
        }
    }

    /// The index; held for a few steps in memory and never while the disk is asked.
    pub(super) fn index(&self) -> MutexGuard<'_, PictureIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bound in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Counts that a picture is gone and tells who wants to know.
    pub(super) fn gone(&self, picture: &ContentHash, why: GoneReason) {
        self.counters.gone(why);
        (self.on_gone)(picture, why);
    }

    /// Reads pictures for who waits, until there is nobody any more.
    pub(super) fn read_until_closed(&self) {
        while let Some(job) = self.reads.next() {
            let result = self.read(&job.picture, job.length);
            // Whoever waited may have left.
            let _ = job.tell.send(result.map_err(ReadMiss));
        }
    }

    /// Reads a picture. One that is damaged or gone is taken out, and the writer removes what is left of it.
    fn read(&self, picture: &ContentHash, length: u64) -> Result<Bytes, ReadResult> {
        match self.files.read(picture, length) {
            Ok(Some(bytes)) => {
                self.read_well();
                Ok(bytes.into())
            }
            Ok(None) => Err(self.lost(picture, ReadResult::Corrupted, GoneReason::Corrupted)),
            // Where the directory itself is gone, it may come back with all that is in it.
            Err(why) if why.kind() == std::io::ErrorKind::NotFound && self.database_file.is_lost().is_none() => {
                Err(self.lost(picture, ReadResult::Missing, GoneReason::Missing))
            }
            Err(why) => {
                self.read_failed(&why);
                Err(ReadResult::Failed)
            }
        }
    }

    fn lost(&self, picture: &ContentHash, result: ReadResult, why: GoneReason) -> ReadResult {
        self.read_well();
        if self.index().remove(picture).is_none() {
            // It was evicted or removed while it was read.
            return ReadResult::Absent;
        }
        log::warn!("picture {picture} in '{}' is {}; it is used no more", self.files.dir().display(), why.as_str());
        self.queue.push(WriteItem::Lost(*picture));
        self.gone(picture, why);
        result
    }

    fn read_well(&self) {
        if self.read_health.succeeded() {
            log::info!("the cache's directory '{}' is read again", self.files.dir().display());
        }
    }

    /// The disk did not read, or did not in time.
    pub(super) fn read_failed(&self, why: &dyn std::fmt::Display) {
        if self.read_health.failed(self.clock.now()) {
            let dir = self.files.dir().display();
            log::error!("the cache's directory '{dir}' cannot be read: {why}; it is tried again twice a minute");
        }
    }
}
