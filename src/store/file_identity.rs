//! Which file lies at a path. SQLite goes on to write a database whose file was removed, and nobody will ever read what is in
//! it.

use std::path::{Path, PathBuf};

/// A file, and where it lay when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    path: PathBuf,
    number: (u64, u64),
}

impl FileIdentity {
    /// The file at `path`.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(path: PathBuf) -> std::io::Result<FileIdentity> {
        let number = number(&path)?;
        Ok(FileIdentity { path, number })
    }

    /// Why what is written would be lost: another file lies there now, or none.
    pub fn is_lost(&self) -> Option<String> {
        let file = self.path.display();
        match number(&self.path) {
            Ok(number) if number == self.number => None,
            Ok(_) => Some(format!("{file} was replaced by another file; start Easel anew to go on with that one")),
            Err(why) => Some(format!("{file} is gone ({why}); put it back, or start Easel anew to begin another")),
        }
    }
}

/// What tells a file from every other: its device and its number there.
#[cfg(unix)]
fn number(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Elsewhere an open file can't be removed.
#[cfg(not(unix))]
fn number(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|_| (0, 0))
}
