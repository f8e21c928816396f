//! Looks at files on as many threads as there are cores, and hands on what was found in the order of the files.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, available_parallelism};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cli::contact_sheet::FileVerdict;
use crate::cli::judge::chosen_gate::ChosenGate;
use crate::gateway::read_file;
use crate::image::{Encoded, Format, Picture};
use crate::quality::{Examination, Fingerprint, QualityFinding, examine};

/// The largest file that is read: the pixels of the largest picture that is decoded by default, as they are.
const MOST_BYTES: u64 = 256 << 20;
/// Files that are judged and wait to be shown, besides those that wait for a slower one before them.
const WAITING: usize = 16;

/// What was found out about a file.
pub struct JudgedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What was found, or why nothing could be.
    pub found: Result<Found, String>,
}

/// What was found out about a file that could be read.
pub struct Found {
    /// Its length.
    pub bytes: u64,
    /// Its format; `None` is nothing that the gateway takes for a picture.
    pub format: Option<Format>,
    /// What was measured.
    pub examination: Examination,
    /// Why it is rejected.
    pub rejected: Vec<&'static str>,
    /// What is told of it.
    pub flagged: Vec<&'static str>,
    /// How long the look at it took.
    pub took: Duration,
}

impl JudgedFile {
    /// What becomes of it.
    pub fn verdict(&self) -> FileVerdict {
        match &self.found {
            Err(_) => FileVerdict::Unreadable,
            Ok(found) if !found.rejected.is_empty() => FileVerdict::Rejected,
            Ok(found) if !found.flagged.is_empty() => FileVerdict::Flagged,
            Ok(_) => FileVerdict::Accepted,
        }
    }
}

/// How many files there are of each verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Accepted without a word.
    pub accepted: usize,
    /// Accepted and told.
    pub flagged: usize,
    /// Not accepted.
    pub rejected: usize,
    /// Not judged.
    pub unreadable: usize,
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, judged: &JudgedFile) {
        *match judged.verdict() {
            FileVerdict::Accepted => &mut self.accepted,
            FileVerdict::Flagged => &mut self.flagged,
            FileVerdict::Rejected => &mut self.rejected,
            FileVerdict::Unreadable => &mut self.unreadable,
        } += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { accepted, flagged, rejected, unreadable } = self;
        write!(f, "{accepted} accepted, {flagged} flagged, {rejected} rejected")?;
        if *unreadable > 0 { write!(f, ", {unreadable} unreadable") } else { Ok(()) }
    }
}

/// Judges the files and hands each to `take`, in their order, until it breaks off.
pub fn in_order(
    files: &[PathBuf],
    gate: &ChosenGate,
    mut take: impl FnMut(JudgedFile) -> ControlFlow<()>,
) -> Result<(), String> {
    let threads = available_parallelism().map_or(1, usize::from).min(files.len());
    let next = AtomicUsize::new(0);
    let (tell, told) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        for nth in 0..threads {
            let (tell, next) = (tell.clone(), &next);
            let work = move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = files.get(at) else { return };
                    // Whoever was to be told may have left.
                    if tell.send((at, judge(path, gate))).is_err() {
                        return;
                    }
                }
            };
            match Builder::new().name("easel-judge".to_owned()).spawn_scoped(scope, work) {
                Ok(_) => {}
                // Those that there are do all of it.
                Err(_) if nth > 0 => break,
                Err(error) => return Err(format!("no thread to look at pictures: {error}")),
            }
        }
        drop(tell);
        let (mut early, mut due, mut known) = (BTreeMap::new(), 0, Vec::new());
        for (at, judged) in told {
            early.insert(at, judged);
            while let Some(mut judged) = early.remove(&due) {
                due += 1;
                hold_against_others(&mut judged, gate, &mut known);
                if take(judged).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

fn judge(path: &Path, gate: &ChosenGate) -> JudgedFile {
    // What a decoder cannot take costs one file and not all of them.
    let found = catch_unwind(AssertUnwindSafe(|| look_at(path, gate)));
    let found = found.unwrap_or_else(|_| Err("looking at it failed, which is a mistake in Easel".to_owned()));
    JudgedFile { path: path.to_owned(), found }
}

fn look_at(path: &Path, gate: &ChosenGate) -> Result<Found, String> {
    let file = Bytes::from(read_file::bytes(path, MOST_BYTES)?);
    let began = Instant::now();
    let bytes = file.len() as u64;
    let mut found = match Picture::inspect(Encoded::Raw(file.clone())) {
        Err(fault) => Found {
            bytes,
            format: None,
            examination: Examination::default(),
            rejected: vec![fault.as_str()],
            flagged: Vec::new(),
            took: Duration::ZERO,
        },
        Ok(picture) => {
            let examination = examine(&file, picture.format, &gate.gate, &gate.expected, gate.max_pixels);
            let mut found = Found {
                bytes,
                format: Some(picture.format),
                examination,
                rejected: Vec::new(),
                flagged: Vec::new(),
                took: Duration::ZERO,
            };
            found.conclude(gate);
            found
        }
    };
    found.took = began.elapsed();
    Ok(found)
}

impl Found {
    fn conclude(&mut self, gate: &ChosenGate) {
        let verdict = self.examination.verdict(&gate.gate);
        self.rejected = verdict.rejected.into_iter().map(|check| check.as_str()).collect();
        self.flagged = verdict.flagged.into_iter().map(|check| check.as_str()).collect();
    }

    /// What failed, with what was measured.
    pub fn findings(&self) -> &[QualityFinding] {
        &self.examination.findings
    }
}

/// Looks for a duplicate among the files before this one, where they are of one request.
fn hold_against_others(judged: &mut JudgedFile, gate: &ChosenGate, known: &mut Vec<Fingerprint>) {
    let Ok(found) = &mut judged.found else { return };
    if found.format.is_some() && gate.together {
        found.examination.compare(&gate.gate, &*known);
        found.conclude(gate);
        if found.rejected.is_empty() {
            known.extend(found.examination.fingerprint.clone());
        }
    }
    found.examination.fingerprint = None;
}
