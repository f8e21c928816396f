//! Which files the command line means.

use std::path::{Path, PathBuf};

/// The most files that are judged at once: a day's pictures of a busy route, and a page that a browser still opens.
const MOST_FILES: usize = 10_000;
/// The endings of the files that a directory stands for.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The files themselves, and those of each directory by name.
pub fn named_by(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in arguments {
        if path.is_dir() {
            files.extend(pictures_in(path)?);
        } else {
            files.push(path.clone());
        }
        if files.len() > MOST_FILES {
            return Err(format!("these are more than {MOST_FILES} files, name fewer"));
        }
    }
    Ok(files)
}

fn pictures_in(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        if ENDINGS.contains(&ending.as_str()) && !path.is_dir() {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            break;
        }
    }
    if files.is_empty() {
        return Err(format!("{} has no PNG, JPEG or WebP file in it", directory.display()));
    }
    files.sort();
    Ok(files)
}
