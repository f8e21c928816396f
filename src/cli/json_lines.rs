//! Lines in and lines of JSON out, for the commands that read prompts.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

use serde::Serialize;

/// The lines of a file or of standard input, numbered from 1, without empty ones.
pub(super) fn lines(path: &Path) -> Result<impl Iterator<Item = Result<(usize, String), String>>, String> {
    let name = path.display().to_string();
    let failed = |name: &str, error: io::Error| format!("{name} cannot be read: {error}");
    let reader: Box<dyn BufRead> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(path).map_err(|error| failed(&name, error))?)),
    };
    let lines = reader.lines().enumerate().map(move |(at, line)| match line {
        Ok(line) => Ok((at + 1, line)),
        Err(error) => Err(failed(&format!("{name}, line {}", at + 1), error)),
    });
    Ok(lines.filter(|line| !matches!(line, Ok((_, line)) if line.trim().is_empty())))
}

/// Whether somebody still reads: whoever reads only the beginning has what he wants.
pub(super) fn heard(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("the output was not written: {error}")),
    }
}

/// A line of JSON.
pub(super) fn line(told: &impl Serialize, out: &mut impl Write) -> Result<bool, String> {
    heard(serde_json::to_writer(&mut *out, told).map_err(io::Error::from).and_then(|()| writeln!(out)))
}
