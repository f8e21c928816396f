//! The files of a directory: a file a picture, named by its hash, a lock, and the deployment's secret.
//!
//! A file is written whole under another name, synced and renamed, so that a name in the end is a whole picture. No file
//! that is not named as those here are is ever touched. Everything here blocks.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::disk_cache::outcomes::OpenError;
use crate::disk_cache::picture_index::on_disk;
use crate::disk_cache::picture_record::ContentHash;

/// How the name of a picture's file ends.
const PICTURE: &str = ".picture";

/// How the name of a file ends that is not whole yet.
const UNFINISHED: &str = ".new";

/// Held locked by the process whose pictures these are: an empty database, as the ledger has one, because SQLite's locks
/// end with their process and are not inherited by those that it starts.
pub(super) const LOCK: &str = "pictures.lock";

/// The deployment's secret.
const SECRET: &str = "secret";

/// The database of records, which `record_database` reads and writes.
pub(super) const DATABASE: &str = "pictures.db";

/// What SQLite keeps beside it while it is open.
pub(super) const BESIDE_DATABASE: [&str; 2] = ["pictures.db-wal", "pictures.db-shm"];

/// Bytes of the secret: 8 for a hash seed, 32 for a signing key.
pub const SECRET_LENGTH: usize = 40;

/// The files of one directory.
#[derive(Clone, Debug)]
pub(super) struct PictureFiles {
    dir: PathBuf,
}

impl PictureFiles {
    /// The directory `dir`, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub(super) fn open(dir: &Path) -> Result<PictureFiles, OpenError> {
        let cannot = |why| OpenError::Directory { dir: dir.to_owned(), why };
        make_private_dir(dir).map_err(cannot)?;
        // What SQLite keeps beside a file of its own is as private as the file.
        for name in [LOCK, DATABASE] {
            private().create(true).append(true).open(dir.join(name)).map_err(cannot)?;
        }
        Ok(PictureFiles { dir: dir.to_owned() })
    }

    /// Where they are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The deployment's secret, made at the first time. One that is damaged is replaced: links that were signed with it
    /// lead nowhere then, which they would do anyway.
    ///
    /// # Errors
    /// When it can neither be read nor made.
    pub(super) fn secret(&self) -> Result<[u8; SECRET_LENGTH], OpenError> {
        let cannot = |why| OpenError::Directory { dir: self.dir.clone(), why };
        let path = self.dir.join(SECRET);
        match fs::read(&path) {
            Ok(bytes) => match bytes.try_into() {
                Ok(secret) => return Ok(secret),
                Err(_) => log::warn!("'{}' is damaged and made anew; links handed out before are dead", path.display()),
            },
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(cannot(why)),
        }
        let mut secret = [0; SECRET_LENGTH];
        getrandom::fill(&mut secret)?;
        self.write_whole(&self.dir.join(format!("{SECRET}{UNFINISHED}")), &path, &secret).map_err(cannot)?;
        self.sync().map_err(cannot)?;
        Ok(secret)
    }

    /// Writes a picture. Its name is on disk for sure after [`PictureFiles::sync`].
    ///
    /// # Errors
    /// When the disk does not take it; nothing is left of it then.
    pub(super) fn write(&self, picture: &ContentHash, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.dir.join(format!("{picture}{UNFINISHED}"));
        let written = self.write_whole(&unfinished, &self.path(picture), bytes);
        if written.is_err() {
            // What a full disk took of it is given back.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_whole(&self, unfinished: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = private().create(true).write(true).truncate(true).open(unfinished)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        drop(file);
        fs::rename(unfinished, path)
    }

    /// Brings the names of what was written and removed to disk.
    ///
    /// # Errors
    /// When the disk says so.
    pub(super) fn sync(&self) -> io::Result<()> {
        match File::open(&self.dir) {
            Ok(dir) => dir.sync_all(),
            // Where a directory cannot be opened, the system sees to it.
            Err(_) if !cfg!(unix) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Reads a picture of `length` bytes; `None` when it is not as it was written.
    ///
    /// # Errors
    /// When it is not there, or the disk does not read it.
    pub(super) fn read(&self, picture: &ContentHash, length: u64) -> io::Result<Option<Vec<u8>>> {
        let file = File::open(self.path(picture))?;
        let mut bytes = Vec::new();
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(room.saturating_add(1))?;
        // One byte more tells a file that is longer.
        file.take(length.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() == room && ContentHash::of(&bytes) == *picture).then_some(bytes))
    }

    /// Removes a picture's file; one that is gone already is well.
    ///
    /// # Errors
    /// When it stays.
    pub(super) fn remove(&self, picture: &ContentHash) -> io::Result<()> {
        match fs::remove_file(self.path(picture)) {
            Err(why) if why.kind() != ErrorKind::NotFound => Err(why),
            _ => Ok(()),
        }
    }

    /// The pictures that are here, with their lengths. Files that were never finished are removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn list(&self) -> io::Result<HashMap<ContentHash, u64>> {
        let mut found = HashMap::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if let Some(picture) = name.strip_suffix(PICTURE).and_then(ContentHash::from_hex) {
                found.insert(picture, entry.metadata()?.len());
            } else if let Some(stem) = name.strip_suffix(UNFINISHED)
                && (stem == SECRET || ContentHash::from_hex(stem).is_some())
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(found)
    }

    /// What the directory takes besides pictures: the database, the lock, the secret, and its own list of names.
    pub(super) fn overhead(&self) -> u64 {
        let names = [DATABASE, LOCK, SECRET].into_iter().chain(BESIDE_DATABASE);
        let paths = names.map(|name| self.dir.join(name)).chain([self.dir.clone()]);
        paths.filter_map(|path| fs::metadata(path).ok()).map(|file| on_disk(file.len())).sum()
    }

    fn path(&self, picture: &ContentHash) -> PathBuf {
        self.dir.join(format!("{picture}{PICTURE}"))
    }
}

/// What is made here is for its owner alone: pictures are somebody's, and the secret signs links.
#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_as_it_was_written_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let files = PictureFiles::open(folder.path()).unwrap();
        let picture = ContentHash::of(b"abc");
        files.write(&picture, b"abc").unwrap();
        assert_eq!(files.read(&picture, 3).unwrap().unwrap(), b"abc");
        for other in ["ab", "abcd", "abC", ""] {
            fs::write(files.path(&picture), other).unwrap();
            assert_eq!(files.read(&picture, 3).unwrap(), None, "{other}");
        }
        files.remove(&picture).unwrap();
        files.remove(&picture).unwrap();
        assert_eq!(files.read(&picture, 3).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_not_whole_is_removed_and_what_is_somebody_elses_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = PictureFiles::open(folder.path()).unwrap();
        let picture = ContentHash::of(b"abc");
        files.write(&picture, b"abc").unwrap();
        let others = ["notes.new", "notes.picture", "x.png"];
        for name in others.into_iter().map(str::to_owned).chain([format!("{picture}.new"), "secret.new".to_owned()]) {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(files.list().unwrap(), HashMap::from([(picture, 3)]));
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
        assert!(!folder.path().join(format!("{picture}.new")).exists() && !folder.path().join("secret.new").exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_secret_stays_the_same_and_all_that_is_made_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        let files = PictureFiles::open(&dir).unwrap();
        let secret = files.secret().unwrap();
        assert_ne!(secret, [0; SECRET_LENGTH]);
        assert_eq!(files.secret().unwrap(), secret);
        let picture = ContentHash::of(b"abc");
        files.write(&picture, b"abc").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&dir), mode(&dir.join(SECRET)), mode(&files.path(&picture))], [0o700, 0o600, 0o600]);
        fs::write(dir.join(SECRET), "short").unwrap();
        let anew = files.secret().unwrap();
        assert!(anew != secret && files.secret().unwrap() == anew);
    }
}
