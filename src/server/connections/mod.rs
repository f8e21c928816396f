//! The connections that are open at one listener, and which of them goes when there are as many as there may be.
//!
//! Anybody who can connect can hold connections. A new connection is therefore not refused: a connection that has nothing
//! under way makes room for it (`eviction` says which one). A connection whose request is being served never makes
//! room, except one whose body is still being read, and one that has its last answer and is only closed gently
//! (`activity`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{AtomicI64, GenericGauge};
use prometheus::{IntCounterVec, IntGauge};

use crate::metrics::Metrics;
pub use crate::server::connections::activity::{BodyReadGuard, ConnectionActivity, ServingGuard};
pub use crate::server::connections::close_reason::CloseReason;
use crate::server::connections::eviction::{ip_prefix, select_victims};

mod activity;
mod close_reason;
mod eviction;

/// A full listener makes room for this part of its connections more than it has to: whom to take is worked out over all
/// of them, which must not be done for each new connection.
const SPARE: usize = 128;

/// All connections of a listener.
pub struct Connections {
    listener: &'static str,
    table: Mutex<ConnectionTable>,
    gauge: IntGauge,
    closed: IntCounterVec,
}

#[derive(Default)]
struct ConnectionTable {
    next: u64,
    open: HashMap<u64, Arc<ConnectionActivity>>,
    peers: HashMap<IpAddr, usize>,
}

impl Connections {
    /// None yet, of the listener with this name in the metrics.
    pub fn new(listener: &'static str, metrics: &Metrics) -> Arc<Connections> {
        let gauge: GenericGauge<AtomicI64> = metrics.connections.with_label_values(&[listener]);
        Arc::new(Connections { listener, table: Mutex::default(), gauge, closed: metrics.connections_closed.clone() })
    }

    /// Takes a connection from `peer` in, where there may be `most`. None when nobody can make room for it.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, most: usize) -> Option<ConnectionGuard> {
        let (peer, mut table) = (ip_prefix(peer), self.table());
        if table.open.len() >= most {
            self.make_room(&mut table, most);
        }
        if table.open.len() >= most {
            drop(table);
            self.count(CloseReason::Full);
            return None;
        }
        let (id, presence) = (table.next, Arc::new(ConnectionActivity::new(peer)));
        table.next += 1;
        table.open.insert(id, presence.clone());
        *table.peers.entry(peer).or_default() += 1;
        self.gauge.inc();
        Some(ConnectionGuard { connections: self.clone(), id, presence })
    }

    /// Lets some go so that fewer than `most` are left, if so many can go.
    pub fn make_room_below(&self, most: usize) {
        self.make_room(&mut self.table(), most);
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.table().open.len()
    }

    /// Ends all there are, whatever they do.
    pub fn end(&self) {
        for presence in self.table().open.values() {
            presence.end();
        }
    }

    /// Counts a connection that Easel closes.
    pub fn count(&self, closed: CloseReason) {
        log::debug!("a connection of {} was closed: {}", self.listener, closed.as_str());
        self.closed.with_label_values(&[self.listener, closed.as_str()]).inc();
    }

    fn make_room(&self, table: &mut ConnectionTable, most: usize) {
        let wanted = (table.open.len() + 1).saturating_sub(most) + most / SPARE;
        let evictable = table.open.iter().filter_map(|(id, presence)| presence.evictable(*id)).collect();
        for id in select_victims(evictable, &table.peers, wanted) {
            if table.open.get(&id).is_some_and(|presence| presence.evict()) {
                self.forget(table, id);
                self.count(CloseReason::MadeRoom);
            }
        }
    }

    fn forget(&self, table: &mut ConnectionTable, id: u64) {
        let Some(presence) = table.open.remove(&id) else { return };
        self.gauge.dec();
        if let Some(count) = table.peers.get_mut(&presence.peer()) {
            *count -= 1;
            if *count == 0 {
                table.peers.remove(&presence.peer());
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was taken in; it is not open any more when this is dropped.
pub struct ConnectionGuard {
    connections: Arc<Connections>,
    id: u64,
    presence: Arc<ConnectionActivity>,
}

impl ConnectionGuard {
    /// What the connection does.
    pub fn presence(&self) -> &Arc<ConnectionActivity> {
        &self.presence
    }
}

impl Deref for ConnectionGuard {
    type Target = ConnectionActivity;

    fn deref(&self) -> &ConnectionActivity {
        &self.presence
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.forget(&mut self.connections.table(), self.id);
    }
}

#[cfg(test)]
mod tests;
