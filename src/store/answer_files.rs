//! Answers kept beside the ledger, a file each, so that a request with an idempotency key can be answered again after a
//! restart.
//!
//! They are no part of the ledger's own file: some hundred megabytes of pictures that come and go would make every
//! backup and every checkpoint of what was paid as large. A file is written whole under another name, synced and
//! renamed, and only then does the ledger say that it is there; what a crash leaves without a row is removed at the next
//! start. Whoever reads one holds it against the ledger's checksum.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::calendar::Moment;
use crate::idempotency::KeyName;

/// The directory in the state directory.
const DIR: &str = "answers";

/// How the name of a file ends that is not whole yet.
const UNFINISHED: &str = ".new";

/// The answers of one state directory.
#[derive(Clone, Debug)]
pub struct AnswerFiles {
    dir: PathBuf,
}

impl AnswerFiles {
    /// The answers in `state_dir`.
    pub fn of(state_dir: &Path) -> AnswerFiles {
        AnswerFiles { dir: state_dir.join(DIR) }
    }

    /// Writes an answer and returns its SHA-256. Blocks until it is on disk.
    ///
    /// # Errors
    /// When it is not.
    pub fn write(&self, name: KeyName, begun: Moment, parts: &[Bytes]) -> io::Result<[u8; 32]> {
        fs::create_dir_all(&self.dir)?;
        let path = self.path(name, begun);
        let unfinished = path.with_extension(UNFINISHED.trim_start_matches('.'));
        let written = self.write_whole(&unfinished, &path, parts);
        if written.is_err() {
            // What a full disk took of it is given back.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_whole(&self, unfinished: &Path, path: &Path, parts: &[Bytes]) -> io::Result<[u8; 32]> {
        let (mut file, mut hash) = (File::create(unfinished)?, Sha256::new());
        for part in parts {
            file.write_all(part)?;
            hash.update(part);
        }
        file.sync_all()?;
        drop(file);
        fs::rename(unfinished, path)?;
        // A name is on disk when its directory is; where a directory cannot be opened, the system sees to it.
        if let Ok(dir) = File::open(&self.dir) {
            dir.sync_all()?;
        }
        Ok(hash.finalize().into())
    }

    /// Reads an answer of `bytes` bytes. Blocks.
    ///
    /// # Errors
    /// When it is not there, or not as it was written.
    pub fn read(&self, name: KeyName, begun: Moment, bytes: u64, checksum: [u8; 32]) -> io::Result<Bytes> {
        let file = File::open(self.path(name, begun))?;
        let mut whole = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        // One byte more tells a file that is longer.
        file.take(bytes.saturating_add(1)).read_to_end(&mut whole)?;
        let found: [u8; 32] = Sha256::digest(&whole).into();
        if found != checksum {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not as it was written"));
        }
        Ok(whole.into())
    }

    /// Removes an answer, if it is there. Blocks.
    pub fn remove(&self, name: KeyName, begun: Moment) {
        let path = self.path(name, begun);
        if let Err(why) = fs::remove_file(&path)
            && why.kind() != io::ErrorKind::NotFound
        {
            log::warn!("{} stays: {why}", path.display());
        }
    }

    /// Which of `kept` are missing or of another length. Removes nothing: what else is there is another process's. Blocks.
    pub fn missing(&self, kept: &[(KeyName, Moment, u64)]) -> Vec<KeyName> {
        let there = |(name, begun, bytes): &&(KeyName, Moment, u64)| {
            fs::metadata(self.path(*name, *begun)).is_ok_and(|file| file.len() == *bytes)
        };
        kept.iter().filter(|kept| !there(kept)).map(|(name, ..)| *name).collect()
    }

    /// Removes every file that is none of `kept`, and returns which of these are missing or of another length. Blocks.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn sweep(&self, kept: &[(KeyName, Moment, u64)]) -> io::Result<Vec<KeyName>> {
        let mut missing: HashMap<PathBuf, (KeyName, u64)> =
            kept.iter().map(|(name, begun, bytes)| (self.path(*name, *begun), (*name, *bytes))).collect();
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Ok(missing.into_values().map(|(name, _)| name).collect());
            }
            Err(why) => return Err(why),
        };
        for entry in entries {
            let entry = entry?;
            let (path, length) = (entry.path(), entry.metadata()?.len());
            match missing.get(&path) {
                Some((_, bytes)) if *bytes == length => drop(missing.remove(&path)),
                Some(_) => {}
                None => fs::remove_file(&path)?,
            }
        }
        Ok(missing.into_values().map(|(name, _)| name).collect())
    }

    /// A key that is used anew has another file: the removal of the old one may come late.
    fn path(&self, name: KeyName, begun: Moment) -> PathBuf {
        self.dir.join(format!("{name}-{:x}", begun.millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment::from_millis(1_800_000_000_000);

    #[test]
    fn an_answer_is_read_as_it_was_written_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (files, name) = (AnswerFiles::of(folder.path()), KeyName([7; 32]));
        let checksum = files.write(name, AT, &[Bytes::from_static(b"one"), Bytes::from_static(b"two")]).unwrap();
        assert_eq!(files.read(name, AT, 6, checksum).unwrap(), "onetwo");
        assert!(files.read(name, AT.after(std::time::Duration::from_secs(1)), 6, checksum).is_err());
        for other in ["onetw", "onetwo!", "onetwO"] {
            fs::write(files.path(name, AT), other).unwrap();
            assert!(files.read(name, AT, 6, checksum).is_err(), "{other}");
        }
        files.remove(name, AT);
        files.remove(name, AT);
        assert!(files.read(name, AT, 6, checksum).is_err());
    }

    #[test]
    fn a_sweep_removes_what_no_row_speaks_of_and_tells_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let files = AnswerFiles::of(folder.path());
        let [kept, orphan, cut, gone] = [1, 2, 3, 4].map(|tag| KeyName([tag; 32]));
        assert_eq!(files.sweep(&[(gone, AT, 3)]).unwrap(), [gone], "without a directory");
        for name in [kept, orphan, cut] {
            files.write(name, AT, &[Bytes::from_static(b"abc")]).unwrap();
        }
        fs::write(folder.path().join(DIR).join("half.new"), "ab").unwrap();
        let mut missing = files.sweep(&[(kept, AT, 3), (cut, AT, 4), (gone, AT, 3)]).unwrap();
        missing.sort();
        assert_eq!(missing, [cut, gone]);
        assert_eq!(fs::read_dir(folder.path().join(DIR)).unwrap().count(), 2, "the kept one and the cut one");
    }
}
