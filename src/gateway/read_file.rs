//! Files that an operator names: the config, what it refers to, certificates. Regular files alone, read to a bound.
//!
//! A device never ends and a pipe lets its reader wait for ever, so neither is read, and opening one waits for nobody.
//! Links are followed: Kubernetes mounts its secrets behind them. What a file says is not looked at here.

use std::fs::{File, FileType, OpenOptions};
use std::io::Read;
use std::path::Path;

/// The largest config, in bytes.
pub const CONFIG: u64 = 4 << 20;

/// The largest file that a config refers to: a key, credentials, a chain of certificates.
pub const REFERRED: u64 = 1 << 20;

/// The text of the file at `path`, of at most `most` bytes, or in a few words why there is none. The words hold nothing
/// of its text.
pub fn text(path: &Path, most: u64) -> Result<String, String> {
    String::from_utf8(bytes(path, most)?).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line_start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        // What stands before is text, so its characters can be counted.
        let column = String::from_utf8_lossy(good.get(line_start..).unwrap_or_default()).chars().count() + 1;
        format!("it is not UTF-8 text from line {line}, column {column} on")
    })
}

/// The same of a file that need not be text.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| error.to_string();
    let file = open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        return Err(format!("it is {}, and only regular files are read", name_of(kind)));
    }
    // With room for all of it from the start, a key in it is not left behind where it was read to first.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(most) + 1).unwrap_or_default());
    let read = file.take(most + 1).read_to_end(&mut bytes).map_err(told)?;
    if read as u64 > most {
        return Err(format!("it is larger than {}, which is the most that is read", bytesize::ByteSize::b(most)));
    }
    Ok(bytes)
}

/// Opens a file without waiting for the other end of a pipe.
#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Elsewhere pipes have names of their own.
#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
fn name_of(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() { "a directory" } else { "something else" }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_regular_file_is_read_to_its_bound_also_behind_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, dangling) = (dir.path().join("key"), dir.path().join("link"), dir.path().join("dangling"));
        std::fs::write(&file, "sk-hush").unwrap();
        // As Kubernetes mounts it: the file behind a link to a directory.
        std::os::unix::fs::symlink(dir.path(), dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/key", &link).unwrap();
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        assert_eq!(text(&file, 7).as_deref(), Ok("sk-hush"));
        assert_eq!(text(&link, 7).as_deref(), Ok("sk-hush"));
        let why = text(&file, 6).unwrap_err();
        assert!(why.contains("larger than 6 B") && !why.contains("hush"), "{why}");
        assert!(text(&dangling, 7).is_err());
        std::fs::write(&file, b"a\n\xc3\xa9\xff").unwrap();
        assert_eq!(text(&file, 7).unwrap_err(), "it is not UTF-8 text from line 2, column 2 on");
    }

    #[test]
    fn what_never_ends_or_lets_wait_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, socket) = (dir.path().join("pipe"), dir.path().join("socket"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, is) in [(Path::new("/dev/zero"), "a device"), (&pipe, "a pipe"), (dir.path(), "a directory")] {
            let why = text(path, REFERRED).unwrap_err();
            assert_eq!(why, format!("it is {is}, and only regular files are read"), "{}", path.display());
        }
        assert!(text(&socket, REFERRED).is_err());
    }
}
