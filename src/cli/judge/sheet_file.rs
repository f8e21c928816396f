//! The contact sheet as a file. Pictures are read again one by one as it is written, so that it holds one at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use base64_simd::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::cli::contact_sheet::{self, FileVerdict, SheetCard, SheetCount, SheetHead, SheetNumber, SheetPicture};
use crate::cli::judge::chosen_gate::ChosenGate;
use crate::cli::judge::look::{JudgedFile, Tally};
use crate::cli::judge::printed;
use crate::gateway::read_file;
use crate::quality::{CheckLimit, CheckOutcome};

/// Bytes of pictures that are within the page. What comes after is linked: browsers take a page of a hundred megabytes, and
/// not one of a gigabyte.
const EMBEDDED: u64 = 64 << 20;
/// What stands in a link as it is.
const IN_LINKS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A page that was begun.
pub struct SheetFile {
    path: PathBuf,
    file: File,
}

impl SheetFile {
    /// Begins it, before any file is judged, so that a place where it cannot be is told at once.
    pub fn create(path: &Path, pictures: &[PathBuf]) -> Result<SheetFile, String> {
        if let Ok(own) = path.canonicalize()
            && pictures.iter().any(|picture| picture.canonicalize().is_ok_and(|picture| picture == own))
        {
            return Err(format!("--sheet {} is one of the files to judge", path.display()));
        }
        let file = File::create(path).map_err(|error| not_written(path, &error))?;
        Ok(SheetFile { path: path.to_owned(), file })
    }

    /// Writes it: what is rejected first, then what is flagged, then what is accepted.
    pub fn write(self, gate: &ChosenGate, tally: &Tally, mut files: Vec<JudgedFile>) -> Result<(), String> {
        // Equal verdicts stay in the order of the files.
        files.sort_by_key(JudgedFile::verdict);
        let mut out = BufWriter::new(self.file);
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let written = write_page(&mut out, gate, tally, &files, &folder);
        written.and_then(|()| out.flush()).map_err(|error| not_written(&self.path, &error))
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> String {
    format!("the sheet cannot be written to '{}': {error}", path.display())
}

fn write_page(
    out: &mut impl Write,
    gate: &ChosenGate,
    tally: &Tally,
    files: &[JudgedFile],
    folder: &Path,
) -> std::io::Result<()> {
    let head = SheetHead {
        title: &format!("Judged by {}", gate.from),
        counts: &[
            SheetCount { verdict: FileVerdict::Unreadable, files: tally.unreadable },
            SheetCount { verdict: FileVerdict::Rejected, files: tally.rejected },
            SheetCount { verdict: FileVerdict::Flagged, files: tally.flagged },
            SheetCount { verdict: FileVerdict::Accepted, files: tally.accepted },
        ],
        notes: &notes(gate),
        limits: &gate.limits.iter().map(|limit| sheet_number(limit, None, false)).collect::<Vec<_>>(),
    };
    out.write_all(contact_sheet::head(&head).as_bytes())?;
    let mut embedded = 0;
    for judged in files {
        out.write_all(card(judged, gate, folder, &mut embedded).as_bytes())?;
    }
    out.write_all(contact_sheet::END.as_bytes())
}

/// What a reader of the numbers has to know besides.
fn notes(gate: &ChosenGate) -> Vec<String> {
    let mut notes = vec!["A check fails where each of its numbers is beyond its limit.".to_owned()];
    let not_made = gate.not_made();
    if !not_made.is_empty() {
        notes.push(format!("Not made: {}.", not_made.join(", ")));
    }
    if gate.has_judge() {
        notes.push("The judge of the route was not asked.".to_owned());
    }
    notes
}

fn card(judged: &JudgedFile, gate: &ChosenGate, folder: &Path, embedded: &mut u64) -> String {
    let mut numbers = Vec::new();
    let about = match &judged.found {
        Err(why) => why.clone(),
        Ok(found) => {
            for report in printed::reports(found, gate) {
                let fails = matches!(report.outcome, CheckOutcome::Rejects | CheckOutcome::Flags);
                numbers.extend(report.numbers.iter().map(|(limit, measured)| sheet_number(limit, *measured, fails)));
            }
            printed::about(found).trim_matches(['(', ')']).to_owned()
        }
    };
    contact_sheet::card(&SheetCard {
        name: &judged.path.to_string_lossy(),
        picture: picture(judged, folder, embedded),
        about: &about,
        verdict: judged.verdict(),
        said: &printed::verdict(judged),
        numbers: &numbers,
    })
}

fn sheet_number(limit: &CheckLimit, measured: Option<f64>, fails: bool) -> SheetNumber {
    let besides = limit.besides.map(|besides| format!(", {besides}")).unwrap_or_default();
    SheetNumber {
        check: limit.check.as_str(),
        metric: limit.metric,
        measured: measured.map(printed::digits),
        fails_where: format!("{} {}{besides}", printed::words(limit.fails), printed::digits(limit.limit)),
        setting: limit.setting.unwrap_or("fixed"),
        fails,
    }
}

/// The picture within the page, or a link to it.
fn picture(judged: &JudgedFile, folder: &Path, embedded: &mut u64) -> SheetPicture {
    let Some((found, format)) = judged.found.as_ref().ok().and_then(|found| Some((found, found.format?))) else {
        return SheetPicture::None;
    };
    let after = embedded.saturating_add(found.bytes);
    if after > EMBEDDED {
        return link(&judged.path, folder).map_or(SheetPicture::None, SheetPicture::Linked);
    }
    // It may have been changed or taken away since it was judged.
    match read_file::bytes(&judged.path, found.bytes) {
        Err(_) => SheetPicture::None,
        Ok(bytes) => {
            *embedded = after;
            SheetPicture::Embedded { media_type: format.media_type(), base64: STANDARD.encode_to_string(bytes) }
        }
    }
}

/// The way from the page to a file.
fn link(file: &Path, folder: &Path) -> Option<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let (file, folder) = (file.canonicalize().ok()?, folder.canonicalize().ok()?);
    let [to, from] = [&file, &folder].map(|path| path.components().collect::<Vec<Component<'_>>>());
    let shared = to.iter().zip(&from).take_while(|(one, other)| one == other).count();
    let up = from[shared..].iter().map(|_| "..".to_owned());
    let down =
        to[shared..].iter().map(|part| percent_encode(part.as_os_str().as_encoded_bytes(), IN_LINKS).to_string());
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_the_page_to_the_file_whatever_their_names_are() {
        let folder = tempfile::tempdir().unwrap();
        let (pictures, pages) = (folder.path().join("pic tures"), folder.path().join("pages"));
        for folder in [&pictures, &pages] {
            std::fs::create_dir(folder).unwrap();
        }
        let file = pictures.join("javascript:a\"#?%.png");
        std::fs::write(&file, "").unwrap();
        assert_eq!(link(&file, &pages).as_deref(), Some("../pic%20tures/javascript%3Aa%22%23%3F%25.png"));
        assert_eq!(link(&file, &pictures).as_deref(), Some("javascript%3Aa%22%23%3F%25.png"));
        assert_eq!(link(&pictures.join("gone.png"), &pages), None);
    }
}
