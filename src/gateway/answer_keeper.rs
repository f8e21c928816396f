//! Keeps answers for their idempotency keys: in files where there is a `state_dir`, else in memory.
//!
//! How much is kept, and what goes, is the table of keys' decision. An answer on disk that several clients ask for at
//! once is in memory once, for as long as one of them still gets it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::cache::GeneratedPicture;
use crate::calendar::Moment;
use crate::gateway::kept_answer::KeptAnswer;
use crate::idempotency::KeyName;
use crate::store::answer_files::AnswerFiles;

/// Files that are read at once. Each is as large as all pictures of one request.
const READERS: usize = 2;

/// Answers by key.
pub(super) enum AnswerKeeper {
    /// They end with the process.
    Memory(Mutex<HashMap<KeyName, KeptAnswer>>),
    /// They outlive it.
    Disk(DiskAnswers),
}

/// Answers in files.
pub(super) struct DiskAnswers {
    files: AnswerFiles,
    kept: Mutex<HashMap<KeyName, AnswerFile>>,
    readers: Semaphore,
}

/// An answer's file.
struct AnswerFile {
    begun: Moment,
    bytes: u64,
    checksum: [u8; 32],
    /// The answer without its pictures, and these for as long as somebody gets them.
    open: Option<(KeptAnswer, Vec<Weak<GeneratedPicture>>)>,
}

/// What is kept of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptBytes {
    pub(super) bytes: u64,
    /// `None` in memory.
    pub(super) checksum: Option<[u8; 32]>,
}

impl AnswerKeeper {
    /// Answers in memory.
    pub(super) fn in_memory() -> AnswerKeeper {
        AnswerKeeper::Memory(Mutex::default())
    }

    /// Answers in files, of which these are there already.
    pub(super) fn on_disk(files: AnswerFiles, there: impl Iterator<Item = (KeyName, Moment, u64, [u8; 32])>) -> Self {
        let kept =
            there.map(|(name, begun, bytes, checksum)| (name, AnswerFile { begun, bytes, checksum, open: None }));
        AnswerKeeper::Disk(DiskAnswers { files, kept: Mutex::new(kept.collect()), readers: Semaphore::new(READERS) })
    }

    /// Takes up an answer that another process has written.
    pub(super) fn take_up(&self, name: KeyName, begun: Moment, bytes: u64, checksum: [u8; 32]) {
        if let AnswerKeeper::Disk(disk) = self {
            lock(&disk.kept).insert(name, AnswerFile { begun, bytes, checksum, open: None });
        }
    }

    /// Whether keys are written into the ledger: where answers end with the process, so may they.
    pub(super) fn is_durable(&self) -> bool {
        matches!(self, AnswerKeeper::Disk(_))
    }

    /// Bytes that an answer takes here, of memory or of a file.
    pub(super) fn weigh(&self, answer: &KeptAnswer) -> u64 {
        match self {
            AnswerKeeper::Memory(_) => answer.weight(),
            AnswerKeeper::Disk(_) => answer.encode().iter().map(|part| part.len() as u64).sum(),
        }
    }

    /// Keeps an answer. On disk when it resolves.
    ///
    /// # Errors
    /// When it cannot be written; nothing is kept then.
    pub(super) async fn keep(&self, name: KeyName, begun: Moment, answer: KeptAnswer) -> io::Result<KeptBytes> {
        match self {
            AnswerKeeper::Memory(kept) => {
                let bytes = answer.weight();
                lock(kept).insert(name, answer);
                Ok(KeptBytes { bytes, checksum: None })
            }
            AnswerKeeper::Disk(disk) => {
                let (files, parts) = (disk.files.clone(), answer.encode());
                let bytes = parts.iter().map(|part| part.len() as u64).sum();
                let written = spawn_blocking(move || files.write(name, begun, &parts)).await;
                let checksum = written.map_err(io::Error::other)??;
                lock(&disk.kept).insert(name, AnswerFile { begun, bytes, checksum, open: None });
                Ok(KeptBytes { bytes, checksum: Some(checksum) })
            }
        }
    }

    /// The answer of a key that began then.
    ///
    /// # Errors
    /// When it is not there any more, or not as it was written.
    pub(super) async fn get(&self, name: KeyName, begun: Moment) -> io::Result<KeptAnswer> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "it is not kept any more");
        match self {
            AnswerKeeper::Memory(kept) => lock(kept).get(&name).cloned().ok_or_else(gone),
            AnswerKeeper::Disk(disk) => {
                // Who waits for a turn may find that the one before had the same to read.
                let _turn = disk.readers.acquire().await.map_err(io::Error::other)?;
                let (bytes, checksum) = {
                    let mut kept = lock(&disk.kept);
                    let file = kept.get_mut(&name).filter(|file| file.begun == begun).ok_or_else(gone)?;
                    if let Some(open) = file.open() {
                        return Ok(open);
                    }
                    (file.bytes, file.checksum)
                };
                let files = disk.files.clone();
                let read = spawn_blocking(move || files.read(name, begun, bytes, checksum)).await;
                let answer = KeptAnswer::decode(&read.map_err(io::Error::other)??).ok_or_else(gone)?;
                if let Some(file) = lock(&disk.kept).get_mut(&name).filter(|file| file.begun == begun) {
                    file.note_open(&answer);
                }
                Ok(answer)
            }
        }
    }

    /// Keeps the answer of a key that began then no longer; what is left to be done may block.
    pub(super) fn remove(&self, name: KeyName, begun: Moment) -> Option<impl FnOnce() + Send + use<>> {
        match self {
            AnswerKeeper::Memory(kept) => {
                lock(kept).remove(&name);
                None
            }
            AnswerKeeper::Disk(disk) => {
                let mut kept = lock(&disk.kept);
                if kept.get(&name).is_some_and(|file| file.begun == begun) {
                    kept.remove(&name);
                }
                let files = disk.files.clone();
                Some(move || files.remove(name, begun))
            }
        }
    }
}

impl AnswerFile {
    /// The answer, where all its pictures are in somebody's hands.
    fn open(&mut self) -> Option<KeptAnswer> {
        let (answer, pictures) = self.open.as_ref()?;
        let Some(pictures) = pictures.iter().map(Weak::upgrade).collect() else {
            self.open = None;
            return None;
        };
        Some(KeptAnswer { pictures, ..answer.clone() })
    }

    fn note_open(&mut self, answer: &KeptAnswer) {
        let pictures = answer.pictures.iter().map(Arc::downgrade).collect();
        self.open = Some((KeptAnswer { pictures: Vec::new(), ..answer.clone() }, pictures));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one, and each change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
