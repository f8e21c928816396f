//! What changes of the breakers, for a log and a page: what is paused, why and for how long, and what is asked again.

use std::time::Duration;

use crate::breaker::pause::Pause;
use crate::breaker::target::CircuitName;

/// Changes that wait to be told. Whoever makes one tells all of them at once, so that more than a few never wait.
const UNTOLD: usize = 64;

/// One change of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerChange {
    /// What is paused or comes back: `stability`, `stability/core`, `stability/core (edit)`.
    pub target: String,
    /// What happened to it.
    pub event: BreakerEvent,
}

/// What happens to what a breaker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerEvent {
    /// It is not asked for so long.
    Paused {
        /// Why.
        pause: Pause,
        /// For how long, as it is told.
        length: Duration,
    },
    /// It has answered again.
    Back {
        /// Why it was paused.
        pause: Pause,
        /// How long that is ago.
        after: Duration,
    },
}

/// The changes that nobody was told of yet.
#[derive(Debug, Default)]
pub(super) struct UntoldChanges(Vec<BreakerChange>);

impl UntoldChanges {
    pub(super) fn note(&mut self, name: &CircuitName, event: Option<BreakerEvent>) {
        if let Some(event) = event.filter(|_| self.0.len() < UNTOLD) {
            self.0.push(BreakerChange { target: name.to_string(), event });
        }
    }

    pub(super) fn take(&mut self) -> Vec<BreakerChange> {
        std::mem::take(&mut self.0)
    }
}
