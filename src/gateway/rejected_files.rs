//! Rejected pictures in a directory, for a look: each as it came, with a line of JSON beside it that says why.
//!
//! The directory is bounded in bytes, and the oldest files go first; no file that Easel has not named is ever touched. A disk
//! that is slow or full keeps no request waiting: what cannot be written at once is left out and counted.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounterVec;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::calendar::Moment;
use crate::config::plan::KeepRejected;
use crate::image::Picture;

/// Pictures that are being written at once; each is held in memory until it is.
const WRITES: usize = 4;
/// Digits of a file's name that say when it was written, in milliseconds. They keep names in the order of time until the
/// year 2286.
const DIGITS: usize = 13;
/// The endings of what is written here.
const ENDINGS: [&str; 4] = ["png", "jpeg", "webp", "json"];

/// One rejected picture.
pub struct RejectedFile {
    /// When it came.
    pub at: Moment,
    /// What it is called besides: route, offer, reason. Anything but letters, digits, `-` and `.` becomes `_`.
    pub about: String,
    /// The picture, as it is held: its file is made of it where that takes nobody's time.
    pub picture: Picture,
    /// Why it was rejected, and all that was measured.
    pub record: Value,
}

/// The directory, if there is one.
pub struct RejectedFiles {
    dir: Mutex<Option<Arc<Directory>>>,
    /// By what became of them: kept, skipped, failed.
    counted: IntCounterVec,
    writes: Arc<Semaphore>,
}

impl RejectedFiles {
    /// What is kept where, by the config.
    pub fn new(config: Option<KeepRejected>, counted: IntCounterVec) -> RejectedFiles {
        let files = RejectedFiles { dir: Mutex::default(), counted, writes: Arc::new(Semaphore::new(WRITES)) };
        files.follow(config);
        files
    }

    /// Keeps them as this config says from now on.
    pub fn follow(&self, config: Option<KeepRejected>) {
        let mut dir = self.dir.lock().unwrap_or_else(PoisonError::into_inner);
        if dir.as_deref().map(|dir| &dir.config) != config.as_ref() {
            *dir = config.map(|config| Arc::new(Directory { config, files: Mutex::default() }));
        }
    }

    /// Whether any are kept.
    pub fn is_on(&self) -> bool {
        self.dir.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps a picture, on a thread that may wait. Where as many are being written as may be, it is left out.
    pub fn keep(&self, file: RejectedFile) {
        let Some(dir) = self.dir.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let Ok(turn) = self.writes.clone().try_acquire_owned() else {
            self.counted.with_label_values(&["skipped"]).inc();
            return;
        };
        let counted = self.counted.clone();
        // It may end with the process: nobody waits for it.
        drop(spawn_blocking(move || {
            let _turn = turn;
            let word = match dir.write(&file) {
                Ok(true) => "kept",
                Ok(false) => "skipped",
                Err(error) => {
                    log::warn!("a rejected picture could not be kept in '{}': {error}", dir.config.dir.display());
                    "failed"
                }
            };
            counted.with_label_values(&[word]).inc();
        }));
    }
}

/// A directory and what is known of its files.
struct Directory {
    config: KeepRejected,
    /// `None` until it was read once.
    files: Mutex<Option<KnownFiles>>,
}

#[derive(Default)]
struct KnownFiles {
    /// By name, which is by time.
    oldest_first: VecDeque<(String, u64)>,
    bytes: u64,
}

impl Directory {
    /// Writes a picture and what is said of it; `false` where they are more than all there may be.
    fn write(&self, file: &RejectedFile) -> std::io::Result<bool> {
        let mut record = file.record.to_string();
        record.push('\n');
        let (ending, bytes) = (file.picture.format.as_str(), file.picture.raw());
        let needed = (bytes.len() + record.len()) as u64;
        if needed > self.config.at_most {
            return Ok(false);
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match &mut *files {
            Some(known) => known,
            unread => {
                std::fs::create_dir_all(&self.config.dir)?;
                unread.insert(KnownFiles::read(&self.config.dir)?)
            }
        };
        known.make_room(&self.config.dir, self.config.at_most - needed)?;
        let stem = format!("{:0DIGITS$}-{}", file.at.millis().max(0), plain(&file.about));
        for (ending, bytes) in [(ending, &bytes[..]), ("json", record.as_bytes())] {
            let name = format!("{stem}.{ending}");
            known.add(name.clone(), bytes.len() as u64);
            std::fs::write(self.config.dir.join(name), bytes)?;
        }
        Ok(true)
    }
}

impl KnownFiles {
    fn read(dir: &Path) -> std::io::Result<KnownFiles> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = entry.metadata()?;
            if metadata.is_file() && is_own(&name) {
                files.push((name, metadata.len()));
            }
        }
        files.sort_unstable();
        let bytes = files.iter().map(|(_, bytes)| bytes).sum();
        Ok(KnownFiles { oldest_first: files.into(), bytes })
    }

    fn add(&mut self, name: String, bytes: u64) {
        self.bytes += bytes;
        // Those of one moment may come in any order.
        let at = self.oldest_first.partition_point(|(known, _)| *known < name);
        self.oldest_first.insert(at, (name, bytes));
    }

    /// Deletes the oldest until no more than `most` bytes are left.
    fn make_room(&mut self, dir: &Path, most: u64) -> std::io::Result<()> {
        while self.bytes > most {
            let Some((name, bytes)) = self.oldest_first.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes);
            match std::fs::remove_file(dir.join(&name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    self.add(name, bytes);
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a file is named as those are that were written here.
fn is_own(name: &str) -> bool {
    let dated = name.as_bytes().get(..DIGITS).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    let ending = PathBuf::from(name).extension().and_then(|ending| ending.to_str().map(str::to_owned));
    dated && name.as_bytes().get(DIGITS) == Some(&b'-') && ending.is_some_and(|ending| ENDINGS.contains(&&*ending))
}

fn plain(text: &str) -> String {
    /// Shorter than the 255 bytes that a file's name may have, with time and ending.
    const LONGEST: usize = 200;
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    text.chars().map(fit).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Format, Size};

    fn file(at: i64, bytes: usize) -> RejectedFile {
        RejectedFile {
            at: Moment::from_millis(at),
            about: "all-../p/m-blank".to_owned(),
            picture: Picture {
                encoded: Encoded::Raw(vec![7; bytes].into()),
                format: Format::Png,
                size: Size::new(1, 1),
                revised_prompt: None,
            },
            record: Value::from(1),
        }
    }

    fn directory(dir: &Path, at_most: u64) -> Directory {
        Directory { config: KeepRejected { dir: dir.join("rejected"), at_most }, files: Mutex::default() }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir.join("rejected")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_picture_and_its_record_stay_in_the_directory_whatever_its_offer_is_called() {
        let dir = tempfile::tempdir().unwrap();
        assert!(directory(dir.path(), 1000).write(&file(1_700_000_000_000, 100)).unwrap());
        assert_eq!(names(dir.path()), ["1700000000000-all-.._p_m-blank.json", "1700000000000-all-.._p_m-blank.png"]);
        let written = std::fs::read(dir.path().join("rejected/1700000000000-all-.._p_m-blank.png")).unwrap();
        assert_eq!(written, [7; 100]);
    }

    #[test]
    fn the_oldest_go_first_over_a_restart_too_and_nobody_elses_files_ever() {
        let dir = tempfile::tempdir().unwrap();
        let first = directory(dir.path(), 250);
        for at in [3_000, 1_000, 2_000] {
            assert!(first.write(&file(at, 98)).unwrap(), "of 100 bytes with their records");
        }
        for others in ["notes.png", "0000000000001-x.txt", "0000000000001.png"] {
            std::fs::write(dir.path().join("rejected").join(others), [0; 500]).unwrap();
        }
        assert_eq!(names(dir.path()).iter().filter(|name| name.ends_with("blank.png")).count(), 2);
        let again = directory(dir.path(), 250);
        assert!(again.write(&file(4_000, 98)).unwrap());
        let kept: Vec<_> = names(dir.path()).into_iter().filter(|name| name.ends_with("blank.png")).collect();
        assert_eq!(kept, ["0000000003000-all-.._p_m-blank.png", "0000000004000-all-.._p_m-blank.png"]);
        assert_eq!(names(dir.path()).len(), 7);
        assert!(!again.write(&file(5_000, 249)).unwrap(), "more than all there may be");
    }

    #[test]
    fn a_disk_that_takes_nothing_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rejected"), "a file").unwrap();
        assert!(directory(dir.path(), 1000).write(&file(1, 10)).is_err());
    }
}
