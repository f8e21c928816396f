//! How a call ended, as the gateway tells the machine.

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
    /// Whether pictures came that are not delivered: broken ones, or others than were asked for.
    pub rejected: bool,
    /// What went wrong, if pictures are missing because of it.
    pub failure: Option<Failure>,
    /// Whether it may have been carried out and charged, so that the same must not be bought there again.
    pub open: bool,
    /// The pause that its end brought.
    pub paused_until: Option<PausedUntil>,
}
