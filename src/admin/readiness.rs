//! Whether Easel takes requests, as `/readyz` tells it, and why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why it is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReady {
    /// It was told to stop, and serves on until `server.drain_delay` is over.
    DrainDelay,
    /// It takes no connections any more.
    Draining,
}

impl NotReady {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            NotReady::DrainDelay => "drain_delay",
            NotReady::Draining => "draining",
        }
    }
}

/// Whether the listener of clients takes requests.
pub struct Readiness {
    leaving: Arc<AtomicBool>,
    delayed: Arc<AtomicBool>,
}

impl Readiness {
    /// Not any more from when `leaving` is set: [`Easel::draining`](crate::Easel::draining), which asks clients to leave.
    pub fn until(leaving: Arc<AtomicBool>) -> Readiness {
        Readiness { leaving, delayed: Arc::default() }
    }

    /// Set while clients are asked to leave and are served all the same.
    pub(crate) fn delayed(&self) -> Arc<AtomicBool> {
        self.delayed.clone()
    }

    /// Why it takes none; `None` while it does.
    pub(super) fn refusal(&self) -> Option<NotReady> {
        let why = if self.delayed.load(Ordering::Acquire) { NotReady::DrainDelay } else { NotReady::Draining };
        self.leaving.load(Ordering::Acquire).then_some(why)
    }
}
