//! What one connection does, as far as it decides whether the connection may go.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::server::connections::eviction::Evictable;

/// What one connection does, as far as it decides whether it may go.
#[derive(Debug)]
pub struct ConnectionActivity {
    peer: IpAddr,
    doing: Mutex<WaitingOn>,
    leave: CancellationToken,
}

#[derive(Debug)]
struct WaitingOn {
    /// When it began to wait.
    since: Instant,
    /// Requests under way.
    serving: usize,
    /// Those among them whose bodies are being read.
    reading: usize,
    /// Whether somebody was served on it.
    known: bool,
    /// Whether all that is left to do is to close it.
    closing: bool,
}

impl ConnectionActivity {
    /// A connection from `peer` that waits.
    pub fn new(peer: IpAddr) -> ConnectionActivity {
        let doing = WaitingOn { since: Instant::now(), serving: 0, reading: 0, known: false, closing: false };
        ConnectionActivity { peer, doing: Mutex::new(doing), leave: CancellationToken::new() }
    }

    /// A request has begun to come.
    pub fn hears(&self) {
        self.doing().since = Instant::now();
    }

    /// Somebody was served here.
    pub fn knows(&self) {
        self.doing().known = true;
    }

    /// Its last answer is sent.
    pub fn closes(&self) {
        self.doing().closing = true;
    }

    /// A request is being served until what is given back is dropped. None when the connection has to go.
    pub fn serves(self: &Arc<Self>) -> Option<ServingGuard> {
        let mut doing = self.doing();
        if self.leave.is_cancelled() {
            return None;
        }
        doing.serving += 1;
        Some(ServingGuard(self.clone()))
    }

    /// A request's body is being read until what is given back is dropped.
    pub fn reads(self: &Arc<Self>) -> BodyReadGuard {
        let mut doing = self.doing();
        doing.reading += 1;
        if doing.reading == doing.serving {
            doing.since = Instant::now();
        }
        BodyReadGuard(self.clone())
    }

    /// Requests under way.
    pub fn serving(&self) -> usize {
        self.doing().serving
    }

    /// Since when no request is under way; none while one is.
    pub fn quiet_since(&self) -> Option<Instant> {
        let doing = self.doing();
        (doing.serving == 0).then_some(doing.since)
    }

    /// Whether it has to go.
    pub fn goes(&self) -> bool {
        self.leave.is_cancelled()
    }

    /// Waits until it has to go.
    pub fn told_to_go(&self) -> WaitForCancellationFuture<'_> {
        self.leave.cancelled()
    }

    /// Where it comes from.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// What decides whether it makes room; none while it must not go.
    pub(super) fn standing(&self, id: u64) -> Option<Evictable> {
        let doing = self.doing();
        doing.may_go().then(|| Evictable { id, peer: self.peer, known: doing.known, since: doing.since })
    }

    /// Makes it go, whatever it does.
    pub(super) fn end(&self) {
        self.leave.cancel();
    }

    /// Makes it go, unless it works by now.
    pub(super) fn go(&self) -> bool {
        let doing = self.doing();
        if doing.may_go() {
            self.leave.cancel();
        }
        doing.may_go()
    }

    fn doing(&self) -> MutexGuard<'_, WaitingOn> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingOn {
    fn may_go(&self) -> bool {
        self.closing || self.serving == self.reading
    }
}

/// A request that is being served on a connection.
pub struct ServingGuard(Arc<ConnectionActivity>);

impl Drop for ServingGuard {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.serving -= 1;
        doing.since = Instant::now();
    }
}

/// A request's body that is being read.
pub struct BodyReadGuard(Arc<ConnectionActivity>);

impl Drop for BodyReadGuard {
    fn drop(&mut self) {
        self.0.doing().reading -= 1;
    }
}
