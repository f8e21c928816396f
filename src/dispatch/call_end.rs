//! How a call ended, and what becomes of its pictures.

use crate::breaker::PausedUntil;
use crate::failure::Failure;
use crate::money::Usd;

/// How a call ended.
#[derive(Debug, Default)]
pub struct CallEnd {
    /// Which one of the answer's pictures each of those is that can be delivered, counted from 0.
    pub at: Vec<u8>,
    /// What it costs, paid for in advance or not.
    pub promised: Usd,
    /// What it may have cost besides.
    pub uncertain: Usd,
    /// Whether pictures were withheld for their content.
    pub refused: bool,
    /// What went wrong, if pictures are missing because of it.
    pub failure: Option<Failure>,
    /// Whether it may have been carried out and charged, so that the same must not be bought there again.
    pub open: bool,
    /// The pause that its end brought.
    pub cooling: Option<PausedUntil>,
}

/// What becomes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is delivered in this place, and kept.
    Deliver(u8),
    /// No request waits for it; it is kept for the next one.
    Keep,
    /// No place is known that it is right for.
    Discard,
}

/// What becomes of a call's pictures.
#[derive(Debug, PartialEq, Eq)]
pub struct PictureDispositions {
    /// The candidate that drew them.
    pub candidate: usize,
    /// What becomes of each, in the order of [`CallEnd::at`].
    pub dispositions: Vec<Disposition>,
}
