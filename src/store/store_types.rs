//! The store's words: what it is opened with, what it is given, and what it answers. Nothing here does anything.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::calendar::Moment;
use crate::config::plan::OnLedgerError;
use crate::equivalences::Equivalence;
use crate::idempotency::{KeyName, KeyState};
use crate::ledger::entry::{Entry, Owner, Settlement, Verdict};
use crate::money::Usd;
use crate::prompt_match::WordPair;
use crate::store::request_lines::RequestLine;

/// Where a ledger lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Nowhere: it ends with the process.
    Memory,
    /// In this directory, which is made where it is missing.
    Dir(PathBuf),
    /// In this directory, where another process may write it. It is only read; what is written ends with this process and is
    /// not read again.
    ReadOnly(PathBuf),
}

impl Location {
    /// The directory that it is read from.
    pub(super) fn dir(&self) -> Option<&PathBuf> {
        match self {
            Location::Memory => None,
            Location::Dir(dir) | Location::ReadOnly(dir) => Some(dir),
        }
    }
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an attempt is kept as a row of its own; later it is part of a sum.
    pub retention: Duration,
    /// What happens while nothing can be written.
    pub on_error: OnLedgerError,
    /// Changes that may wait for the writer. Beyond, the oldest settlements are lost, and counted.
    pub backlog: usize,
    /// How long a write waits for its commit before it is answered as if nothing could be written.
    pub commit_timeout: Duration,
    /// Rows kept in [`Location::Memory`]; older ones become part of a sum.
    pub memory_rows: usize,
    /// Whether another process that hands over to this one still writes what it has under way.
    pub beside_predecessor: bool,
}

impl Options {
    /// The usual bounds. A disk that takes longer than 250 ms delays nobody who goes on anyhow; who would be refused is
    /// given five seconds.
    pub fn new(retention: Duration, on_error: OnLedgerError) -> Options {
        let commit_timeout = match on_error {
            OnLedgerError::Refuse => Duration::from_secs(5),
            OnLedgerError::Continue => Duration::from_millis(250),
        };
        Options {
            retention,
            on_error,
            backlog: 100_000,
            commit_timeout,
            memory_rows: 100_000,
            beside_predecessor: false,
        }
    }
}

/// Why there is no store, or no answer from it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The directory cannot be made.
    #[error("the ledger's directory {dir} cannot be made: {why}")]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// Somebody else writes it.
    #[error("{file} is being written by another easel: one state_dir serves one process")]
    Taken {
        /// The ledger.
        file: PathBuf,
    },
    /// There is none to read.
    #[error("there is no ledger at {file}")]
    Missing {
        /// Where it would be.
        file: PathBuf,
    },
    /// It was written by a newer Easel.
    #[error("the ledger is of version {found}, this easel knows versions up to {known}: use a newer one")]
    TooNew {
        /// Its version.
        found: usize,
        /// The newest known.
        known: usize,
    },
    /// It is to be read, but only a writer may make it newer.
    #[error("the ledger is of version {found}, not {known}: easel serve makes it newer when it starts")]
    TooOld {
        /// Its version.
        found: usize,
        /// The present one.
        known: usize,
    },
    /// A sum is beyond 64 bits of nano-dollars.
    #[error("a sum in the ledger does not fit")]
    TooMuch,
    /// What came before cannot be written, so no answer would be true.
    #[error("the ledger cannot be written at present")]
    Unwritten,
    /// The thread that writes cannot be started.
    #[error("no thread for the ledger: {0}")]
    NoThread(std::io::Error),
    /// Anything else.
    #[error("the ledger: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        // SQLite has no code of its own for it.
        match error.to_string().contains("integer overflow") {
            true => StoreError::TooMuch,
            false => StoreError::Sqlite(error),
        }
    }
}

/// It is not on disk, and the policy is to say so.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the ledger cannot be written")]
pub struct Unwritten;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// An attempt begins.
    Open(Entry),
    /// An attempt ended.
    Settle {
        /// Which.
        id: i64,
        /// How.
        settlement: Settlement,
    },
    /// Nothing was sent: the attempt was none.
    Release {
        /// Which.
        id: i64,
    },
    /// Pictures came from the cache.
    Saved {
        /// When; its UTC day counts.
        at: Moment,
        /// For whom.
        tenant: Arc<str>,
        /// On which route.
        route: Arc<str>,
        /// From which part of the cache.
        tier: &'static str,
        /// How many.
        pictures: u32,
        /// What they would have cost.
        usd: Usd,
    },
    /// A client's idempotency key changed.
    Key(KeyWrite),
    /// A pair of words that mean the same, or do not, changed.
    Equivalence(EquivalenceWrite),
    /// A request was answered. Nobody waits for that, and it is the first to be left out when the disk is slow.
    Request(RequestLine),
}

/// What became of a pair of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EquivalenceWrite {
    /// How it stands.
    Known(Equivalence),
    /// Nothing is known of it any more.
    Forgotten {
        /// Whose it was.
        tenant: Arc<str>,
        /// The words.
        pair: WordPair,
    },
}

/// A key whose first request came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// What stands for it.
    pub name: KeyName,
    /// When.
    pub begun: Moment,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// The key as the client sent it.
    pub key: Arc<str>,
    /// The digest of the request.
    pub digest: [u8; 32],
    /// The request's own id, by which its attempts are found.
    pub request: Arc<str>,
}

/// What became of an idempotency key. `begun` tells a key from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWrite {
    /// Its first request came.
    Begun(KeyClaim),
    /// Its first request ended.
    Ended {
        /// Which.
        name: KeyName,
        /// When it began.
        begun: Moment,
        /// How it stands now.
        state: KeyState,
        /// Bytes that are kept of its answer.
        bytes: u64,
        /// Their SHA-256.
        checksum: Option<[u8; 32]>,
    },
    /// Nothing is known of it any more.
    Forgotten {
        /// Which.
        name: KeyName,
        /// When it began.
        begun: Moment,
    },
}

/// A verdict that is handed in.
#[derive(Clone, Debug)]
pub(crate) struct VerdictWrite {
    pub(super) image: String,
    pub(super) tenant: String,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) now: Moment,
}

/// What a verdict did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictEffect {
    /// Whose attempt delivered the picture.
    pub owner: Owner,
    /// When that attempt was settled.
    pub entry_at: Moment,
    /// What the picture cost.
    pub usd: Usd,
    /// What was said of it before.
    pub before: Verdict,
    /// Whether this verdict says something else.
    pub changed: bool,
}

/// How the store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the last attempt to write succeeded.
    pub writable: bool,
    /// Changes that wait for the writer.
    pub waiting: usize,
    /// Changes given up since the start.
    pub lost: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Transactions that were committed.
    pub batches: u64,
    /// Changes in them.
    pub rows: u64,
    /// How long the last one took.
    pub last_commit: Duration,
    /// How long the longest one took.
    pub longest_commit: Duration,
    /// What the ledger took at the last one, in its file or in memory.
    pub bytes: u64,
}
