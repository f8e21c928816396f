//! The database of records: why each picture is kept, and when it was used last.
//!
//! SQLite in WAL mode; a transaction that is committed is on disk, and one that is not has changed nothing. A database
//! that makes no sense is begun anew: what it said can be drawn again, and a server that does not start cannot. Each row
//! has a checksum, because SQLite notices a damaged tree and not a damaged value.
//! Nothing is written to open it, so that a full disk is no reason not to start; and nobody else reads it meanwhile.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi, params};
use xxhash_rust::xxh3::xxh3_64;

use crate::calendar::Moment;
use crate::disk_cache::outcomes::OpenError;
use crate::disk_cache::picture_files::{BESIDE_DATABASE, DATABASE, LOCK};
use crate::disk_cache::picture_index::PictureLife;
use crate::disk_cache::picture_record::{ContentHash, Record, RecordKind};
use crate::store::file_identity::FileIdentity;

/// Counted up when a table changes; a database of another number is begun anew.
const VERSION: i64 = 1;

/// Times are milliseconds since 1970, UTC; `used` counts uses of the directory; `checksum` is over the rest of its row.
const TABLES: &str = "
CREATE TABLE pictures (
    hash BLOB PRIMARY KEY,
    bytes INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE records (
    picture BLOB NOT NULL,
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    expires INTEGER NOT NULL,
    about BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (picture, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_expires ON records (expires);
";

/// How long the writer waits for somebody who looks into the file, before it says that it cannot be written.
const WAIT: Duration = Duration::from_secs(1);

/// Pages of the WAL after which they go into the database: a MiB.
const CHECKPOINT_PAGES: i64 = 256;

/// Free pages after which the file is made smaller, and how many at once: a MiB, and four.
const FREE_PAGES: (i64, i64) = (256, 1024);

/// The connection of the one writer.
pub(super) struct RecordDatabase {
    connection: Connection,
}

/// A picture as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredPicture {
    pub(super) bytes: u64,
    pub(super) used: u64,
}

/// All that the database knows: pictures, and their records that are not over, in no order. `damaged` are the pictures of
/// records that are not as they were written.
#[derive(Debug, Default)]
pub(super) struct StoredRecords {
    pub(super) pictures: HashMap<ContentHash, StoredPicture>,
    pub(super) records: Vec<Record>,
    pub(super) damaged: HashSet<ContentHash>,
}

/// Keeps other processes out of `dir` until it is dropped.
///
/// # Errors
/// When one is in.
pub(super) fn lock(dir: &Path) -> Result<Connection, OpenError> {
    let lock = Connection::open(dir.join(LOCK)).and_then(|lock| {
        lock.busy_timeout(Duration::ZERO)?;
        // To lock an empty database SQLite would write, which a full disk does not allow.
        let pages: i64 = lock.pragma_query_value(None, "page_count", |row| row.get(0))?;
        if pages == 0 {
            lock.pragma_update(None, "user_version", VERSION)?;
        }
        lock.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(lock)
    });
    lock.map_err(|why| match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => OpenError::Taken { dir: dir.to_owned() },
        _ => OpenError::Database { file: dir.join(LOCK), why },
    })
}

impl RecordDatabase {
    /// Opens the database in `dir`, or begins one, and reads it.
    ///
    /// # Errors
    /// When the system does not let it be read or written. One that is damaged is begun anew, with a warning.
    pub(super) fn open(dir: &Path, now: Moment) -> Result<(RecordDatabase, StoredRecords), OpenError> {
        let file = dir.join(DATABASE);
        let first = Self::open_once(&file, now);
        let opened = match first {
            Err(why) if is_damage(&why) => {
                log::warn!("'{}' is damaged ({why}); the cache on disk begins anew", file.display());
                for name in BESIDE_DATABASE {
                    let _ = std::fs::remove_file(dir.join(name));
                }
                // An empty file is a new database, and as private as it was.
                let _ = std::fs::File::create(&file);
                Self::open_once(&file, now)
            }
            opened => opened,
        };
        opened.map_err(|why| OpenError::Database { file, why })
    }

    fn open_once(file: &Path, now: Moment) -> rusqlite::Result<(RecordDatabase, StoredRecords)> {
        let mut connection = Connection::open(file)?;
        connection.busy_timeout(WAIT)?;
        // So that the index of the WAL is in memory, and a full disk need not take a file for it.
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        if pages == 0 {
            // It can be said of an empty one only, and is written whenever it is said.
            connection.pragma_update(None, "auto_vacuum", "incremental")?;
        }
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", CHECKPOINT_PAGES * 4096)?;
        let begin = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = begin.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            VERSION => {}
            0 => {
                begin.execute_batch(TABLES)?;
                begin.pragma_update(None, "user_version", VERSION)?;
            }
            // To be begun anew; the words go to the log.
            other => {
                let words = format!("version {other} is not {VERSION}");
                return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), Some(words)));
            }
        }
        begin.commit()?;
        let database = RecordDatabase { connection };
        let stored = database.read(now)?;
        Ok((database, stored))
    }

    fn read(&self, now: Moment) -> rusqlite::Result<StoredRecords> {
        let mut stored = StoredRecords::default();
        let mut pictures = self.connection.prepare("SELECT hash, bytes, used FROM pictures")?;
        let mut rows = pictures.query([])?;
        while let Some(row) = rows.next()? {
            let (bytes, used): (i64, i64) = (row.get(1)?, row.get(2)?);
            let (Ok(bytes), Ok(used)) = (u64::try_from(bytes), u64::try_from(used)) else { continue };
            stored.pictures.insert(ContentHash(row.get(0)?), StoredPicture { bytes, used });
        }
        each_record(&self.connection, |record| match record {
            Ok(record) if record.expires > now => stored.records.push(record),
            Ok(_) => {}
            Err(picture) => {
                stored.damaged.insert(picture);
            }
        })?;
        Ok(stored)
    }

    /// Makes changes, all of them or, on an error, none, and returns what is said of them when they are on disk.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn change<T>(
        &mut self,
        make: impl FnOnce(&DatabaseChange<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let said = make(&DatabaseChange(&transaction))?;
        transaction.commit()?;
        if let Err(why) = self.shrink() {
            // What was committed is. Whatever is wrong with the disk, the next change meets it too.
            log::debug!("free pages of the cache's database stay: {why}");
        }
        Ok(said)
    }

    /// Whether the time of a record is over.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn has_expired(&self, now: Moment) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM records WHERE expires <= ?1")?.exists([now.millis()])
    }

    /// How many records there are.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn count(&self) -> rusqlite::Result<u64> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM records", [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Gives pages back that hold nothing: without that, a directory that is given less room would have none for pictures.
    fn shrink(&self) -> rusqlite::Result<()> {
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let (most, step) = FREE_PAGES;
        if free > most {
            let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({step})"))?;
            let mut pages = vacuum.query([])?;
            // Each step frees one page.
            while pages.next()?.is_some() {}
        }
        Ok(())
    }

    /// Puts the WAL into the file and closes it.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.connection.close().map_err(|(_, why)| why)
    }

    /// The connection, for a test that makes its disk small.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Whether a database makes no sense, and not the system that it lies on.
fn is_damage(why: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(error, _) = why else { return true };
    match error.code {
        ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::DiskFull
        | ErrorCode::OutOfMemory
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked => false,
        ErrorCode::SystemIoFailure => error.extended_code == ffi::SQLITE_IOERR_SHORT_READ,
        _ => true,
    }
}

/// Reads every record; of one that is not as it was written, the picture that it names.
fn each_record(connection: &Connection, mut tell: impl FnMut(Result<Record, ContentHash>)) -> rusqlite::Result<()> {
    let mut find = connection.prepare("SELECT picture, kind, key, expires, about, checksum FROM records")?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        let (picture, kind, key, expires, about): ([u8; 32], i64, Vec<u8>, i64, Vec<u8>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        let record = RecordKind::from_number(kind).map(|kind| Record {
            kind,
            key,
            picture: ContentHash(picture),
            expires: Moment::from_millis(expires),
            about,
        });
        let checksum: i64 = row.get(5)?;
        tell(record.filter(|record| self::checksum(record) == checksum).ok_or(ContentHash(picture)));
    }
    Ok(())
}

/// What a row is held against. Whoever can write the file can write this too: it tells damage, not forgery.
fn checksum(record: &Record) -> i64 {
    let mut row = Vec::with_capacity(record.len() + 64);
    row.extend_from_slice(&record.picture.0);
    row.extend_from_slice(&record.kind.number().to_le_bytes());
    row.extend_from_slice(&(record.key.len() as u64).to_le_bytes());
    row.extend_from_slice(&record.key);
    row.extend_from_slice(&record.expires.millis().to_le_bytes());
    row.extend_from_slice(&record.about);
    xxh3_64(&row).cast_signed()
}

/// A change under way.
pub(super) struct DatabaseChange<'a>(&'a Transaction<'a>);

impl DatabaseChange<'_> {
    /// Says why a picture is kept; whether that is one record more.
    pub(super) fn put(&self, record: &Record, bytes: u64, used: u64) -> rusqlite::Result<bool> {
        let picture = record.picture.0;
        let mut insert = self
            .0
            .prepare_cached("INSERT INTO pictures (hash, bytes, used) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
        insert.execute(params![picture, bytes.cast_signed(), used.cast_signed()])?;
        let row =
            params![picture, record.kind.number(), record.key, record.expires.millis(), record.about, checksum(record)];
        let mut insert = self.0.prepare_cached(
            "INSERT INTO records (picture, kind, key, expires, about, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
        )?;
        if insert.execute(row)? == 1 {
            return Ok(true);
        }
        let mut update = self.0.prepare_cached(
            "UPDATE records SET expires = ?4, about = ?5, checksum = ?6 WHERE picture = ?1 AND kind = ?2 AND key = ?3",
        )?;
        update.execute(row)?;
        Ok(false)
    }

    /// Removes a record; how many there were.
    pub(super) fn remove(&self, kind: RecordKind, key: &[u8], picture: &ContentHash) -> rusqlite::Result<usize> {
        let mut remove = self.0.prepare_cached("DELETE FROM records WHERE picture = ?1 AND kind = ?2 AND key = ?3")?;
        remove.execute(params![picture.0, kind.number(), key])
    }

    /// Removes a picture with all its records; how many these were.
    pub(super) fn remove_picture(&self, picture: &ContentHash) -> rusqlite::Result<usize> {
        self.0.prepare_cached("DELETE FROM pictures WHERE hash = ?1")?.execute([picture.0])?;
        self.0.prepare_cached("DELETE FROM records WHERE picture = ?1")?.execute([picture.0])
    }

    /// Removes every record that `matches`, and returns the pictures that they were of.
    pub(super) fn remove_where(&self, matches: &mut dyn FnMut(&Record) -> bool) -> rusqlite::Result<Vec<ContentHash>> {
        let mut found = Vec::new();
        each_record(self.0, |record| {
            if let Ok(record) = record
                && matches(&record)
            {
                found.push((record.kind, record.key, record.picture));
            }
        })?;
        for (kind, key, picture) in &found {
            self.remove(*kind, key, picture)?;
        }
        Ok(found.into_iter().map(|(_, _, picture)| picture).collect())
    }

    /// Removes everything; how many records there were.
    pub(super) fn clear(&self) -> rusqlite::Result<usize> {
        self.0.execute("DELETE FROM pictures", [])?;
        self.0.execute("DELETE FROM records", [])
    }

    /// Removes the records whose time is over; how many there were.
    pub(super) fn remove_expired(&self, now: Moment) -> rusqlite::Result<usize> {
        self.0.prepare_cached("DELETE FROM records WHERE expires <= ?1")?.execute([now.millis()])
    }

    /// When a picture was used last.
    pub(super) fn set_used(&self, picture: &ContentHash, used: u64) -> rusqlite::Result<()> {
        let mut update = self.0.prepare_cached("UPDATE pictures SET used = ?2 WHERE hash = ?1")?;
        update.execute(params![picture.0, used.cast_signed()]).map(drop)
    }

    /// Until when a picture's records last.
    pub(super) fn life(&self, picture: &ContentHash) -> rusqlite::Result<PictureLife> {
        let mut find =
            self.0.prepare_cached("SELECT kind, max(expires) FROM records WHERE picture = ?1 GROUP BY kind")?;
        let mut rows = find.query([picture.0])?;
        let mut life = PictureLife::NONE;
        while let Some(row) = rows.next()? {
            let expires = Moment::from_millis(row.get(1)?);
            life = RecordKind::from_number(row.get(0)?).map_or(life, |kind| life.and(kind, expires));
        }
        Ok(life)
    }
}

/// Which file the database in `dir` is, which is open.
///
/// # Errors
/// When it is not there.
pub(super) fn identity(dir: &Path) -> Result<FileIdentity, OpenError> {
    FileIdentity::of(dir.join(DATABASE)).map_err(|why| OpenError::Directory { dir: dir.to_owned(), why })
}
