//! The ledger's file: where it lies, how its one writer and its many readers open it, and how a second writer is kept
//! out.
//!
//! Nothing here knows what the rows mean.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::file_identity::FileIdentity;
use crate::store::schema::{STEPS, migrate, version};
use crate::store::store_types::{Location, StoreError};

/// The ledger's file in the state directory.
pub const FILE: &str = "ledger.sqlite3";

/// Held locked by the process that writes; an empty database, because SQLite's own locks die with their process.
const LOCK: &str = "ledger.lock";

/// How long opening waits for somebody who looks into the file.
const OPENING: Duration = Duration::from_secs(5);

/// How long the writer waits inside SQLite for a lock, before it says that the file cannot be written.
const WRITING: Duration = Duration::from_millis(100);

/// How long a reader waits for a lock, which in WAL mode only a checkpoint at closing holds.
const READING: Duration = Duration::from_secs(2);

/// The writer's connections.
pub(super) struct StoreConnections {
    /// To the ledger.
    pub(super) ledger: Connection,
    /// Keeps other writers out; held by nobody in memory.
    pub(super) lock: WriterLock,
    /// Which file it is; `None` in memory.
    pub(super) file: Option<FileIdentity>,
}

/// What keeps other writers out for as long as it is held.
#[derive(Clone, Default)]
pub(super) struct WriterLock(Arc<Mutex<Option<Connection>>>);

impl WriterLock {
    /// Takes the lock of the ledger in `dir`.
    ///
    /// # Errors
    /// When another process holds it, or the disk's words.
    pub(super) fn take(&self, dir: &Path) -> Result<(), StoreError> {
        *lock(&self.0) = Some(take_lock(dir)?);
        Ok(())
    }

    /// Lets others write.
    pub(super) fn release(&self) {
        *lock(&self.0) = None;
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A connection is as whole after a panic as before: SQLite's own state is what counts.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the ledger takes: all its pages, those included that hold nothing at present.
///
/// # Errors
/// What the disk says.
pub(super) fn bytes(ledger: &Connection) -> rusqlite::Result<u64> {
    let text = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes: i64 = ledger.prepare_cached(text)?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Opens the ledger to write, brings it to the present version, and keeps every other writer out.
///
/// # Errors
/// When the directory or the file cannot be made or read, another process writes it, or it is of a newer version.
pub(super) fn open(place: &Location) -> Result<StoreConnections, StoreError> {
    let lock = WriterLock::default();
    let (mut ledger, path) = match place {
        Location::Memory => (Connection::open_in_memory()?, None),
        Location::ReadOnly(dir) => {
            // What is wrong with it is told now, and not by whoever reads first.
            drop(read(dir)?);
            (Connection::open_in_memory()?, None)
        }
        Location::Dir(dir) => {
            let why = |why| StoreError::NoDirectory { dir: dir.clone(), why };
            std::fs::create_dir_all(dir).map_err(why)?;
            lock.take(dir)?;
            (Connection::open(dir.join(FILE))?, Some((dir, dir.join(FILE))))
        }
    };
    ledger.busy_timeout(OPENING)?;
    ledger.pragma_update(None, "journal_mode", "wal")?;
    ledger.pragma_update(None, "synchronous", "full")?;
    ledger.pragma_update(None, "temp_store", "memory")?;
    // What a long night without a checkpoint made of the WAL is given back.
    ledger.pragma_update(None, "journal_size_limit", 64 << 20)?;
    migrate(&mut ledger, STEPS)?;
    ledger.busy_timeout(WRITING)?;
    ledger.set_prepared_statement_cache_capacity(64);
    let file = match path {
        None => None,
        Some((dir, path)) => {
            let why = |why| StoreError::NoDirectory { dir: dir.clone(), why };
            Some(FileIdentity::of(path).map_err(why)?)
        }
    };
    Ok(StoreConnections { ledger, lock, file })
}

fn take_lock(dir: &Path) -> Result<Connection, StoreError> {
    let lock = Connection::open(dir.join(LOCK))?;
    lock.busy_timeout(Duration::ZERO)?;
    match lock.execute_batch("BEGIN EXCLUSIVE") {
        Ok(()) => Ok(lock),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Err(StoreError::Taken { file: dir.join(FILE) })
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the ledger in `dir` to read. Serving goes on beside it.
///
/// # Errors
/// When there is none, it cannot be read, or it is of another version than this Easel's.
pub(super) fn read(dir: &Path) -> Result<Connection, StoreError> {
    let file: PathBuf = dir.join(FILE);
    if !file.exists() {
        return Err(StoreError::Missing { file });
    }
    let ledger = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    ledger.busy_timeout(READING)?;
    let (found, known) = (version(&ledger)?, STEPS.len());
    match found {
        found if found > known => Err(StoreError::TooNew { found, known }),
        found if found < known => Err(StoreError::TooOld { found, known }),
        _ => Ok(ledger),
    }
}

/// The same, and what is read is what was committed by now, whatever is committed afterwards.
///
/// # Errors
/// As [`read`].
pub(super) fn as_it_stands(dir: &Path) -> Result<Connection, StoreError> {
    let ledger = read(dir)?;
    ledger.execute_batch("BEGIN")?;
    // In WAL mode a transaction sees what was there at its first look.
    ledger.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    Ok(ledger)
}
