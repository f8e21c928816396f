//! A directory that is opened: what a crash, a full disk or somebody's hands left there is brought in order.
//!
//! A picture is used when its file is as long as the database says and a record of it is not over. Everything else is
//! removed: files that nobody speaks of, records of files that are not there. No picture is read for this; each is held
//! against its hash when it is.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::Connection;

use crate::calendar::Moment;
use crate::disk_cache::outcomes::OpenError;
use crate::disk_cache::picture_files::{PictureFiles, SECRET_LENGTH};
use crate::disk_cache::picture_index::{PictureIndex, PictureLife};
use crate::disk_cache::picture_record::{ContentHash, Record};
use crate::disk_cache::record_database::{self, RecordDatabase, StoredRecords};
use crate::store::file_identity::FileIdentity;

/// A directory in order.
pub(super) struct OpenedDirectory {
    pub(super) files: PictureFiles,
    pub(super) lock: Connection,
    pub(super) secret: [u8; SECRET_LENGTH],
    pub(super) database: RecordDatabase,
    pub(super) database_file: FileIdentity,
    pub(super) index: PictureIndex,
    /// Pictures that are not used, whose rows are still to be removed: a disk that is full may be read all the same.
    pub(super) dropped: HashSet<ContentHash>,
    /// Those of the pictures in the index, the least recently used first.
    pub(super) records: Vec<Record>,
}

/// Opens `dir`, or makes it.
///
/// # Errors
/// When it cannot be made, read or written, or is another process's.
pub(super) fn open(dir: &Path, now: Moment) -> Result<OpenedDirectory, OpenError> {
    let cannot = |why| OpenError::Directory { dir: dir.to_owned(), why };
    let files = PictureFiles::open(dir)?;
    let lock = record_database::lock(dir)?;
    let secret = files.secret()?;
    let (database, stored) = RecordDatabase::open(dir, now)?;
    let found = files.list().map_err(cannot)?;
    let lives = lives(&stored, &found);
    for picture in found.keys().filter(|picture| !lives.contains_key(picture)) {
        files.remove(picture).map_err(cannot)?;
    }
    let named = stored.pictures.keys().chain(stored.records.iter().map(|record| &record.picture));
    let dropped: HashSet<ContentHash> =
        named.chain(&stored.damaged).filter(|picture| !lives.contains_key(picture)).copied().collect();
    tell(dir, &stored, &found, &lives);
    let mut index = PictureIndex::default();
    for (picture, life) in &lives {
        if let Some(known) = stored.pictures.get(picture) {
            index.restore(*picture, known.bytes, known.used, *life, now);
        }
    }
    let mut records = stored.records;
    records.retain(|record| lives.contains_key(&record.picture));
    records.sort_by_cached_key(|record| index.length_and_use(&record.picture).map(|(_, used)| used));
    let database_file = record_database::identity(dir)?;
    Ok(OpenedDirectory { files, lock, secret, database, database_file, index, dropped, records })
}

/// The pictures that are used, with the lives of their records.
fn lives(stored: &StoredRecords, found: &HashMap<ContentHash, u64>) -> HashMap<ContentHash, PictureLife> {
    let mut lives: HashMap<ContentHash, PictureLife> = HashMap::new();
    for record in &stored.records {
        let known = stored.pictures.get(&record.picture).map(|known| known.bytes);
        if known.is_some() && known == found.get(&record.picture).copied() {
            let life = lives.entry(record.picture).or_insert(PictureLife::NONE);
            *life = life.and(record.kind, record.expires);
        }
    }
    // Which of its records is damaged is not known for sure.
    lives.retain(|picture, _| !stored.damaged.contains(picture));
    lives
}

/// Says what is not used that should be: a crash leaves a file or two, anything else is worth a look.
fn tell(
    dir: &Path,
    stored: &StoredRecords,
    found: &HashMap<ContentHash, u64>,
    lives: &HashMap<ContentHash, PictureLife>,
) {
    let alive: HashSet<_> = stored.records.iter().map(|record| &record.picture).collect();
    let missing = alive.iter().filter(|picture| !lives.contains_key(picture)).count();
    let unnamed = found.keys().filter(|picture| !stored.pictures.contains_key(picture)).count();
    let damaged = stored.damaged.len();
    if missing + unnamed + damaged > 0 {
        log::warn!(
            "the cache's directory '{}' was not closed well: {missing} pictures are missing or of another length, \
             {unnamed} files had no record, {damaged} records are damaged; none of them is used",
            dir.display()
        );
    }
}
