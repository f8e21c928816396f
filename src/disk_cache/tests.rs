use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::calendar::Moment;
use crate::clock::ManualClock;

mod bounds;
mod failing_disk;
mod processes;
mod restart;

const NOW: Moment = Moment::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1 << 20;

/// A directory, a clock that stands still, and what was told to be gone.
struct Folder {
    dir: TempDir,
    clock: ManualClock,
    gone: Arc<Mutex<Vec<(ContentHash, GoneReason)>>>,
}

impl Folder {
    fn new() -> Folder {
        Folder { dir: tempfile::tempdir().unwrap(), clock: ManualClock::at(NOW), gone: Arc::default() }
    }

    /// Where the pictures are, which nobody has made yet.
    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("pictures")
    }

    fn open(&self, size: u64) -> (DiskCache, Vec<Record>) {
        DiskCache::open(&self.path(), size, Clock::Manual(self.clock.clone()), self.on_gone()).unwrap()
    }

    fn on_gone(&self) -> OnGone {
        let gone = self.gone.clone();
        Arc::new(move |picture, why| gone.lock().unwrap().push((*picture, why)))
    }

    /// What was told to be gone since this was asked last.
    fn gone(&self) -> Vec<(ContentHash, GoneReason)> {
        std::mem::take(&mut self.gone.lock().unwrap())
    }

    fn file(&self, picture: &ContentHash) -> std::path::PathBuf {
        self.path().join(format!("{picture}.picture"))
    }

    /// Another directory with the same files, as they are at this moment.
    fn as_a_crash_leaves_it(&self) -> Folder {
        let copy = Folder::new();
        copy.clock.set(Clock::Manual(self.clock.clone()).now());
        std::fs::create_dir(copy.path()).unwrap();
        for name in self.names() {
            std::fs::copy(self.path().join(&name), copy.path().join(&name)).unwrap();
        }
        copy
    }

    /// The files there, without their directory.
    fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// So many bytes that no other tag has.
fn bytes(tag: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(tag).fill(&mut bytes);
    bytes.into()
}

fn record(kind: RecordKind, key: u64, bytes: &[u8], expires: Moment) -> Record {
    let (key, about) = (key.to_le_bytes().to_vec(), format!("about {key}").into_bytes());
    Record { kind, key, picture: ContentHash::of(bytes), expires, about }
}

/// Keeps a picture for an hour and returns which it is.
fn put(cache: &DiskCache, kind: RecordKind, tag: u64, length: usize) -> ContentHash {
    let bytes = bytes(tag, length);
    cache.put(record(kind, tag, &bytes, NOW.after(HOUR)), bytes.clone()).unwrap();
    ContentHash::of(&bytes)
}

/// How often one of these words was counted.
fn count<W: Copy + PartialEq>(counts: &[(W, u64)], word: W) -> u64 {
    counts.iter().find(|(counted, _)| *counted == word).unwrap().1
}

fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
