//! Where in the file something stands, and how messages quote what stands there.

use std::ops::Range;

/// Bytes from the start of the file.
pub(super) type Span = Range<usize>;

/// A piece of the file on one line and in back quotes, cut when it is long.
pub(super) fn quoted(written: &str) -> String {
    const LONGEST: usize = 60;
    let mut chars = written.chars();
    let short: String = chars.by_ref().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let dots = if chars.next().is_some() { "..." } else { "" };
    format!("`{short}{dots}`")
}
