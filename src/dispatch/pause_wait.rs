//! What one request waits for while its offers are paused, and since when.

use std::time::Instant;

/// What an idle request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reopening {
    /// When.
    pub at: Instant,
    /// Who can be asked then.
    pub candidate: usize,
}

/// The waits of one request for the end of pauses.
#[derive(Debug, Default)]
pub struct PauseWait {
    /// What it waits for, and does nothing else.
    pub idle_for: Option<usize>,
    /// Since when. A call that starts begins a new wait.
    pub since: Option<Instant>,
    /// As many requests wait already as may.
    pub refused: bool,
}
