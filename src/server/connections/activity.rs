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
    state: Mutex<ActivityState>,
    close_token: CancellationToken,
}

#[derive(Debug)]
struct ActivityState {
    /// When it began to wait.
    since: Instant,
    /// Requests under way.
    serving: usize,
    /// Those among them whose bodies are being read.
    reading: usize,
    /// Whether somebody was served on it.
    served: bool,
    /// Whether all that is left to do is to close it.
    closing: bool,
}

impl ConnectionActivity {
    /// A connection from `peer` that waits.
    pub fn new(peer: IpAddr) -> ConnectionActivity {
        let state = ActivityState { since: Instant::now(), serving: 0, reading: 0, served: false, closing: false };
        ConnectionActivity { peer, state: Mutex::new(state), close_token: CancellationToken::new() }
    }

    /// A request has begun to come.
    pub fn mark_request_started(&self) {
        self.state().since = Instant::now();
    }

    /// Somebody was served here.
    pub fn mark_served(&self) {
        self.state().served = true;
    }

    /// Its last answer is sent.
    pub fn mark_closing(&self) {
        self.state().closing = true;
    }

    /// A request is being served until what is given back is dropped. None when the connection has to go.
    pub fn begin_serving(self: &Arc<Self>) -> Option<ServingGuard> {
        let mut state = self.state();
        if self.close_token.is_cancelled() {
            return None;
        }
        state.serving += 1;
        Some(ServingGuard(self.clone()))
    }

    /// A request's body is being read until what is given back is dropped.
    pub fn reads(self: &Arc<Self>) -> BodyReadGuard {
        let mut state = self.state();
        state.reading += 1;
        if state.reading == state.serving {
            state.since = Instant::now();
        }
        BodyReadGuard(self.clone())
    }

    /// Requests under way.
    pub fn serving(&self) -> usize {
        self.state().serving
    }

    /// Since when no request is under way; none while one is.
    pub fn quiet_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.serving == 0).then_some(state.since)
    }

    /// Whether it has to go.
    pub fn must_close(&self) -> bool {
        self.close_token.is_cancelled()
    }

    /// Waits until it has to go.
    pub fn closing_requested(&self) -> WaitForCancellationFuture<'_> {
        self.close_token.cancelled()
    }

    /// Where it comes from.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// What decides whether it makes room; none while it must not go.
    pub(super) fn evictable(&self, id: u64) -> Option<Evictable> {
        let state = self.state();
        state.is_evictable().then(|| Evictable { id, peer: self.peer, served: state.served, since: state.since })
    }

    /// Makes it go, whatever it does.
    pub(super) fn end(&self) {
        self.close_token.cancel();
    }

    /// Makes it go, unless it works by now.
    pub(super) fn evict(&self) -> bool {
        let state = self.state();
        if state.is_evictable() {
            self.close_token.cancel();
        }
        state.is_evictable()
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActivityState {
    fn is_evictable(&self) -> bool {
        self.closing || self.serving == self.reading
    }
}

/// A request that is being served on a connection.
pub struct ServingGuard(Arc<ConnectionActivity>);

impl Drop for ServingGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.serving -= 1;
        state.since = Instant::now();
    }
}

/// A request's body that is being read.
pub struct BodyReadGuard(Arc<ConnectionActivity>);

impl Drop for BodyReadGuard {
    fn drop(&mut self) {
        self.0.state().reading -= 1;
    }
}
