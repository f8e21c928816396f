//! Pictures on disk, so that a restart forgets neither them nor the links that lead to them.
//!
//! A directory holds a file a picture, named by the SHA-256 of its bytes, and one SQLite database of records: under which
//! key a picture is asked for, until when, and whatever its owner says about it. Nothing here knows what a key means, and
//! nothing decides what is kept; whoever does is told what is gone (`OnGone`), so that no index points to nothing.
//!
//! * **Never in the way.** [`DiskCache::put`] puts into a queue that is bounded in bytes; [`DiskCache::read`] has a few
//!   threads of its own, a bounded queue and a time limit. A disk that is full, dead, slow or taken away is skipped and
//!   counted, and after three failures in a row left alone for half a minute. A directory on a disk that takes nothing is
//!   opened and read all the same.
//! * **Nothing wrong.** A file is written under another name, synced, renamed, and only then spoken of in the database;
//!   each is held against its hash whenever it is read. Whatever `kill -9` leaves is removed at the next start.
//! * **Bounded.** Room is made before a file is written: first what is over, then what was not used for longest, then
//!   what has a live link. Files count in blocks of 4096 bytes, the database and its WAL as they are; beyond the bound
//!   there may be what one transaction adds to these, at most 2 MiB.
//!
//! # Why not a crate for caches
//!
//! `foyer` (0.22, read in its source) is maintained and fast, and made for entries that may be lost: it cannot list what it
//! found after a restart, so that no index can be made of it; it evicts whole blocks of entries, first in first out, and
//! tells nobody which; what was removed may come back unless a log of its own is on; it never syncs; and it needs a newer
//! Rust. Links have to survive, and which of them are alive decides what is evicted. `cacache` (13.1) has no bound and
//! no eviction, and does not sync what it renames. Pictures as rows of SQLite would be written twice, to its WAL and to its
//! file. SQLite is here already, for the ledger.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::disk_cache::disk_readers::ReadJob;
use crate::disk_cache::disk_writer::DiskWriter;
use crate::disk_cache::open_directory::OpenedDirectory;
use crate::disk_cache::shared_state::SharedState;
use crate::disk_cache::write_queue::WriteItem;

mod disk_health;
mod disk_readers;
mod disk_room;
mod disk_writer;
mod open_directory;
mod outcomes;
mod picture_files;
mod picture_index;
mod picture_record;
mod record_database;
mod shared_state;
#[cfg(test)]
mod tests;
mod write_queue;

pub use crate::disk_cache::disk_health::{FAILURES_IN_A_ROW, PAUSE};
pub use crate::disk_cache::disk_readers::{READ_TIMEOUT, READERS, WAITING_READS};
pub use crate::disk_cache::disk_room::MOST_PICTURES;
pub use crate::disk_cache::disk_writer::PARTS_FOR_ONE;
pub use crate::disk_cache::outcomes::{DiskCacheStats, GoneReason, OpenError, ReadMiss, ReadResult, SkipReason};
pub use crate::disk_cache::picture_files::SECRET_LENGTH;
pub use crate::disk_cache::picture_record::{ContentHash, Record, RecordKind};
pub use crate::disk_cache::shared_state::OnGone;
pub use crate::disk_cache::write_queue::QUEUE_BYTES;

/// Bytes that a record's key and what is said about its picture may have together: a prompt of 32,000 characters of four
/// bytes, twice.
pub const RECORD_BYTES: usize = 256 << 10;

/// How long the end of the last handle waits for what is being written. Whatever it is, it is whole or removed at the next
/// start.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// A directory of pictures. A clone is the same; with the last one it is closed.
#[derive(Clone)]
pub struct DiskCache(Arc<DiskHandle>);

struct DiskHandle {
    shared: Arc<SharedState>,
    secret: [u8; SECRET_LENGTH],
    /// The writer has ended.
    ended: watch::Receiver<()>,
    gone: Mutex<mpsc::Receiver<()>>,
}

impl DiskCache {
    /// Opens `dir`, made if it is not there, with room for `size` bytes, and returns every record that is not over, those of
    /// the least recently used pictures first. `on_gone` is told which pictures are gone, even before this returns: it is
    /// to pass over those that it does not know. Blocks.
    ///
    /// # Errors
    /// When the directory cannot be made, read or written, or is another process's. What is damaged in it is no error.
    pub fn open(dir: &Path, size: u64, clock: Clock, on_gone: OnGone) -> Result<(DiskCache, Vec<Record>), OpenError> {
        let opened = open_directory::open(dir, clock.now())?;
        let (cache, mut records, mut writer) = DiskCache::of(opened, size, clock, on_gone)?;
        // What is not used is removed, and there may be less room than before. A disk that is ill is no reason not to start.
        writer.0.turn(vec![WriteItem::Resize]);
        {
            let index = cache.0.shared.index();
            records.retain(|record| index.length(&record.picture).is_some());
        }
        cache.start(writer)?;
        Ok((cache, records))
    }

    fn of(
        opened: OpenedDirectory,
        size: u64,
        clock: Clock,
        on_gone: OnGone,
    ) -> Result<(DiskCache, Vec<Record>, Writing), OpenError> {
        let OpenedDirectory { files, lock, secret, database, database_file, index, dropped, records } = opened;
        let count = database.count().map_err(|why| OpenError::Database { file: files.dir().to_owned(), why })?;
        let shared = Arc::new(SharedState::new(files, database_file, index, size, clock, on_gone));
        shared.counters.records.store(count, Ordering::Relaxed);
        let writer = DiskWriter::new(shared.clone(), database, lock, dropped);
        let (end, ended) = watch::channel(());
        let (going, gone) = mpsc::channel();
        let handle = DiskHandle { shared, secret, ended, gone: Mutex::new(gone) };
        Ok((DiskCache(Arc::new(handle)), records, Writing(writer, EndSignal { _end: end, _going: going })))
    }

    fn start(&self, writing: Writing) -> Result<(), OpenError> {
        let spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name).spawn(work).map(drop).map_err(OpenError::NoThread)
        };
        for number in 0..READERS {
            let shared = self.0.shared.clone();
            spawn(format!("disk-read-{number}"), Box::new(move || shared.read_until_closed()))?;
        }
        let Writing(writer, last) = writing;
        spawn(
            "disk-write".to_owned(),
            Box::new(move || {
                // Dropped after the writer, whose database and lock are closed by then.
                let _last = last;
                writer.run();
            }),
        )
    }

    /// Keeps a picture on disk for what `record` says, as soon as the disk takes it; `bytes` are those that
    /// `record.picture` is the hash of. Never blocks. If it is not written after all, `on_gone` hears of it.
    ///
    /// # Errors
    /// When it is left out at once; why, which is counted.
    pub fn put(&self, record: Record, bytes: Bytes) -> Result<(), SkipReason> {
        let shared = &self.0.shared;
        let now = shared.clock.now();
        let largest = (shared.size() / PARTS_FOR_ONE).min(QUEUE_BYTES / 2);
        let put = if record.expires <= now {
            Err(SkipReason::Expired)
        } else if record.len() > RECORD_BYTES || bytes.len() as u64 > largest {
            Err(SkipReason::TooLarge)
        } else if !shared.write_health.may_try(now) {
            Err(SkipReason::Paused)
        } else {
            let is_on_disk = shared.index().length(&record.picture).is_some();
            shared.queue.put(record, bytes, is_on_disk)
        };
        if let Err(why) = put {
            shared.counters.skipped(why);
        }
        put
    }

    /// A picture was left out before it was handed in.
    pub fn skipped(&self, why: SkipReason) {
        self.0.shared.counters.skipped(why);
    }

    /// Keeps a picture no more for this; one that is kept for nothing else is removed. Takes effect after what was handed
    /// in before, and is tried again until the disk takes it.
    pub fn remove(&self, kind: RecordKind, key: &[u8], picture: &ContentHash) {
        self.0.shared.queue.push(WriteItem::Remove { kind, key: key.to_vec(), picture: *picture });
    }

    /// Keeps a picture no more for anything.
    pub fn remove_picture(&self, picture: &ContentHash) {
        self.0.shared.queue.push(WriteItem::RemovePicture(*picture));
    }

    /// Removes every record of which `matches` is true, and pictures that are kept for nothing else. It is asked on the
    /// writer's thread, of all records, and again if the disk does not take what it found.
    pub fn remove_where(&self, matches: impl FnMut(&Record) -> bool + Send + 'static) {
        self.0.shared.queue.push(WriteItem::RemoveWhere(Box::new(matches)));
    }

    /// Reads a picture, as soon as it was handed in. It counts as used.
    ///
    /// # Errors
    /// When there is none, or it cannot be had soon enough; why, which is counted.
    pub async fn read(&self, picture: &ContentHash) -> Result<Bytes, ReadMiss> {
        let read = self.look_for(picture).await;
        self.0.shared.counters.read(read.as_ref().map_or_else(|miss| miss.0, |_| ReadResult::Hit));
        read
    }

    async fn look_for(&self, picture: &ContentHash) -> Result<Bytes, ReadMiss> {
        let shared = &self.0.shared;
        if let Some(bytes) = shared.queue.picture(picture) {
            return Ok(bytes);
        }
        let length = shared.index().length(picture).ok_or(ReadMiss(ReadResult::Absent))?;
        if !shared.read_health.may_try(shared.clock.now()) {
            return Err(ReadMiss(ReadResult::Paused));
        }
        let (tell, told) = oneshot::channel();
        if !shared.reads.push(ReadJob { picture: *picture, length, tell }) {
            return Err(ReadMiss(ReadResult::Busy));
        }
        match timeout(READ_TIMEOUT, told).await {
            Ok(Ok(Ok(bytes))) => {
                shared.index().touch(picture);
                Ok(bytes)
            }
            Ok(Ok(Err(miss))) => Err(miss),
            // It was closed meanwhile.
            Ok(Err(_)) => Err(ReadMiss(ReadResult::Failed)),
            Err(_) => {
                shared.read_failed(&format_args!("a picture did not come within {READ_TIMEOUT:?}"));
                Err(ReadMiss(ReadResult::TimedOut))
            }
        }
    }

    /// A picture was served out of memory: it goes later when room is needed here.
    pub fn touch(&self, picture: &ContentHash) {
        self.0.shared.index().touch(picture);
    }

    /// Changes the bound. What is too much is removed by the writer.
    pub fn resize(&self, size: u64) {
        self.0.shared.size.store(size, Ordering::Relaxed);
        self.0.shared.queue.push(WriteItem::Resize);
    }

    /// How it does.
    pub fn stats(&self) -> DiskCacheStats {
        let shared = &self.0.shared;
        DiskCacheStats {
            files: shared.index().len() as u64,
            queued_bytes: shared.queue.bytes(),
            writable: shared.write_health.is_well(),
            ..shared.counters.stats()
        }
    }

    /// Random bytes that are the same as long as the directory lives: the deployment's hash seed and link secret, so that
    /// ids and links survive a restart.
    pub fn secret(&self) -> &[u8; SECRET_LENGTH] {
        &self.0.secret
    }

    /// Waits until all that was handed in before is on disk, or was left out.
    pub async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        self.0.shared.queue.push(WriteItem::Flush(tell));
        // After the end there is nothing to wait for.
        let _ = told.await;
    }

    /// Writes what waits, as long as `close_timeout` lasts, and ends; whether all was written. Nothing is taken and
    /// nothing read afterwards.
    pub async fn close(&self, close_timeout: Duration) -> bool {
        self.0.shared.queue.close(false);
        let mut ended = self.0.ended.clone();
        // The other end says nothing; it is dropped when the writer is.
        let end = async move { while ended.changed().await.is_ok() {} };
        let is_done = timeout(close_timeout, end).await.is_ok();
        if !is_done {
            self.0.give_up();
        }
        self.0.shared.reads.close();
        is_done
    }
}

impl DiskHandle {
    fn give_up(&self) {
        let left = self.shared.queue.close(true);
        for _ in 0..left {
            self.shared.counters.skipped(SkipReason::Closed);
        }
        if left > 0 {
            log::warn!("{left} pictures or records that waited for the cache's disk were not written");
        }
    }
}

impl Drop for DiskHandle {
    fn drop(&mut self) {
        self.give_up();
        self.shared.reads.close();
        let gone = self.gone.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: this ends when the writer does.
        let _ = gone.recv_timeout(LAST_WRITE);
    }
}

/// The writer, and what tells everybody that it has ended.
struct Writing(DiskWriter, EndSignal);

struct EndSignal {
    _end: watch::Sender<()>,
    _going: mpsc::Sender<()>,
}
