//! The bounds of one exchange (time, size, addresses), and the type of who watches its reply.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// How much earlier than its deadline a reply is given up, so that what has come of it is still looked at.
const BEFORE_THE_DEADLINE: Duration = Duration::from_millis(20);

/// Bounds of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When to give up.
    pub deadline: Instant,
    /// Longest wait for a connection, the look-up of the name included.
    pub connect: Duration,
    /// Longest silence once the request is sent; `None` is up to the deadline, as a picture is drawn in silence.
    pub silence: Option<Duration>,
    /// How long the connection may be kept for the next exchange.
    pub idle: Duration,
    /// Largest reply body in bytes, as it comes and unpacked.
    pub body: usize,
    /// Whether addresses outside the open internet may be connected to.
    pub reach: AllowedTargets,
}

impl Bounds {
    /// When to make do with what has come of a reply.
    pub(super) fn give_up(&self) -> Instant {
        self.deadline.checked_sub(BEFORE_THE_DEADLINE).unwrap_or(self.deadline)
    }
}

/// Where a call may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedTargets {
    /// Anywhere: the operator wrote the address.
    Anywhere,
    /// To addresses of the open internet only: a reply named it.
    Open,
}

/// Is shown the data of an event, a large one on a thread of its own.
pub type Watcher = Arc<dyn Fn(&str) -> EventRole + Send + Sync>;

/// What a watcher makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRole {
    /// That was all it was good for.
    Shown,
    /// It belongs to the reply.
    Kept,
    /// The same, and nothing is waited for behind it.
    Last,
}
