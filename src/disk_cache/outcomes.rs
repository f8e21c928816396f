//! How things go: why a picture is not kept, not read, or gone, in words that log and metric share, and how often.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made, read or written.
    #[error("the cache's directory '{}' cannot be used: {why}", .dir.display())]
    Directory {
        /// Which.
        dir: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// Another process keeps its pictures there.
    #[error("the cache's directory '{}' belongs to another Easel that runs; each needs one of its own", .dir.display())]
    Taken {
        /// Which.
        dir: PathBuf,
    },
    /// The database is there and the system does not let it be read or written.
    #[error("the cache's database '{}' cannot be used: {why}", .file.display())]
    Database {
        /// Which.
        file: PathBuf,
        /// What SQLite says.
        why: rusqlite::Error,
    },
    /// The system gives no random numbers for the secret.
    #[error("the operating system gave no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The system gives no thread.
    #[error("no thread for the cache's disk: {0}")]
    NoThread(std::io::Error),
}

/// An enum whose values are words, and how often each was said.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$of])* $value,)* }

        impl $name {
            /// All of them.
            pub const ALL: [$name; [$($name::$value),*].len()] = [$($name::$value),*];

            /// The word for log and metric.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$value => $word,)* }
            }
        }
    };
}

words! {
    /// Why a picture or a record was not written to disk.
    SkipReason {
        /// More waits for the disk than may.
        QueueFull = "queue_full",
        /// The picture, or what is said about it, is larger than one may be.
        TooLarge = "too_large",
        /// Its time was over before it was written.
        Expired = "expired",
        /// The disk failed three times in a row, and is left alone for a while.
        Paused = "paused",
        /// The disk did not take it.
        WriteFailed = "write_failed",
        /// The picture, which was there already, went before the record was written.
        PictureGone = "picture_gone",
        /// The cache is closed.
        Closed = "closed",
    }
}

words! {
    /// What became of a look for a picture on disk.
    ReadResult {
        /// It is whole, and what its hash says.
        Hit = "hit",
        /// It is not on disk.
        Absent = "absent",
        /// Its file is gone, and nobody here has removed it.
        Missing = "missing",
        /// Its file is not what was written.
        Corrupted = "corrupted",
        /// The disk does not read it.
        Failed = "failed",
        /// The disk takes too long.
        TimedOut = "timeout",
        /// As many wait for the disk as may.
        Busy = "busy",
        /// The disk failed three times in a row, and is left alone for a while.
        Paused = "paused",
    }
}

/// Why a picture was not read: any [`ReadResult`] but a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", .0.as_str())]
pub struct ReadMiss(pub ReadResult);

words! {
    /// Why a picture is on disk no more, or never came there.
    GoneReason {
        /// The time of its last record is over.
        Expired = "expired",
        /// Room was needed.
        Evicted = "evicted",
        /// Its last record was removed.
        Removed = "removed",
        /// Its file is gone, and nobody here has removed it.
        Missing = "missing",
        /// Its file is not what was written.
        Corrupted = "corrupted",
        /// It was taken, and then could not be written; a [`SkipReason`] is counted.
        NotWritten = "not_written",
    }
}

/// How a cache does. What is counted is counted since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskCacheStats {
    /// Pictures on disk.
    pub files: u64,
    /// What the directory takes: pictures rounded up to blocks of 4096 bytes, and the database.
    pub bytes: u64,
    /// Records of the pictures.
    pub records: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: u64,
    /// Pictures that were written.
    pub written: u64,
    /// Pictures and records that were not, by why.
    pub skipped: Vec<(SkipReason, u64)>,
    /// Reads, by what became of them.
    pub reads: Vec<(ReadResult, u64)>,
    /// Pictures that went, by why.
    pub gone: Vec<(GoneReason, u64)>,
    /// Whether the disk took what was written last.
    pub writable: bool,
}

/// What is counted, without a lock.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) written: AtomicU64,
    skipped: [AtomicU64; SkipReason::ALL.len()],
    reads: [AtomicU64; ReadResult::ALL.len()],
    gone: [AtomicU64; GoneReason::ALL.len()],
}

impl Counters {
    pub(super) fn skipped(&self, why: SkipReason) {
        add_one(self.skipped.get(why as usize));
    }

    pub(super) fn read(&self, result: ReadResult) {
        add_one(self.reads.get(result as usize));
    }

    pub(super) fn gone(&self, why: GoneReason) {
        add_one(self.gone.get(why as usize));
    }

    /// What is counted here; the rest is zero.
    pub(super) fn stats(&self) -> DiskCacheStats {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        DiskCacheStats {
            files: 0,
            bytes: of(&self.bytes),
            records: of(&self.records),
            queued_bytes: 0,
            written: of(&self.written),
            skipped: SkipReason::ALL.into_iter().zip(self.skipped.iter().map(of)).collect(),
            reads: ReadResult::ALL.into_iter().zip(self.reads.iter().map(of)).collect(),
            gone: GoneReason::ALL.into_iter().zip(self.gone.iter().map(of)).collect(),
            writable: true,
        }
    }
}

fn add_one(number: Option<&AtomicU64>) {
    if let Some(number) = number {
        number.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_counted_by_itself() {
        let counters = Counters::default();
        for (times, why) in SkipReason::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.skipped(why));
        }
        for (times, result) in ReadResult::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.read(result));
        }
        for (times, why) in GoneReason::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.gone(why));
        }
        let stats = counters.stats();
        let counts = [
            stats.skipped.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
            stats.reads.iter().map(|(_, count)| *count).collect(),
            stats.gone.iter().map(|(_, count)| *count).collect(),
        ];
        for counts in counts {
            assert!(counts.iter().copied().eq(0..counts.len() as u64), "{counts:?}");
        }
        assert_eq!(ReadMiss(ReadResult::Corrupted).to_string(), "corrupted");
    }
}
