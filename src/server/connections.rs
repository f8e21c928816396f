//! The connections that are open at one listener, and which of them goes when there are as many as there may be.
//!
//! Whoever can connect can hold connections. A newcomer is therefore not refused: one that has nothing under way makes
//! room for it, first those on which nobody was served yet, of them first those of the address that holds the most, and
//! of these the one that has waited the longest. A connection whose request is being served never makes room, but for
//! one whose body is still being read, and one that has its last answer and is only closed gently.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{AtomicI64, GenericGauge};
use prometheus::{IntCounterVec, IntGauge};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::metrics::Metrics;

/// A full listener makes room for this part of its connections more than it has to: whom to take is worked out over all
/// of them, which must not be done for each newcomer.
const SPARE: usize = 128;

/// Why Easel closed a connection that no answer had closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its TLS handshake, or the head of its request, was not there in time.
    HeaderTimeout,
    /// The TLS handshake failed.
    Handshake,
    /// The head of its request is longer than this server reads.
    HeaderTooLarge,
    /// The head of its request cannot be read.
    Malformed,
    /// No request came for as long as a connection is kept.
    Idle,
    /// It had nothing under way and made room for another.
    MadeRoom,
    /// It came when no other could make room.
    Full,
}

impl Closed {
    /// The word in logs, metrics and, where there is an answer, its `code`.
    pub fn word(self) -> &'static str {
        match self {
            Closed::HeaderTimeout => "header_timeout",
            Closed::Handshake => "handshake",
            Closed::HeaderTooLarge => "header_too_large",
            Closed::Malformed => "malformed_request",
            Closed::Idle => "idle",
            Closed::MadeRoom => "made_room",
            Closed::Full => "connections_full",
        }
    }
}

/// All connections of a listener.
pub struct Connections {
    listener: &'static str,
    table: Mutex<Table>,
    gauge: IntGauge,
    closed: IntCounterVec,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Presence>>,
    peers: HashMap<IpAddr, usize>,
}

impl Connections {
    /// None yet, of the listener with this name in the metrics.
    pub fn new(listener: &'static str, metrics: &Metrics) -> Arc<Connections> {
        let gauge: GenericGauge<AtomicI64> = metrics.connections.with_label_values(&[listener]);
        Arc::new(Connections { listener, table: Mutex::default(), gauge, closed: metrics.connections_closed.clone() })
    }

    /// Takes a connection from `peer` in, where there may be `most`. None when nobody can make room for it.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, most: usize) -> Option<Guest> {
        let (peer, mut table) = (neighbourhood(peer), self.table());
        if table.open.len() >= most {
            self.make_room(&mut table, most);
        }
        if table.open.len() >= most {
            drop(table);
            self.count(Closed::Full);
            return None;
        }
        let (id, presence) = (table.next, Arc::new(Presence::new(peer)));
        table.next += 1;
        table.open.insert(id, presence.clone());
        *table.peers.entry(peer).or_default() += 1;
        self.gauge.inc();
        Some(Guest { connections: self.clone(), id, presence })
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
            presence.leave.cancel();
        }
    }

    /// Counts a connection that Easel closes.
    pub fn count(&self, closed: Closed) {
        log::debug!("a connection of {} was closed: {}", self.listener, closed.word());
        self.closed.with_label_values(&[self.listener, closed.word()]).inc();
    }

    fn make_room(&self, table: &mut Table, most: usize) {
        let wanted = (table.open.len() + 1).saturating_sub(most) + most / SPARE;
        let standing = table.open.iter().filter_map(|(id, presence)| presence.standing(*id)).collect();
        for id in who_goes(standing, &table.peers, wanted) {
            if table.open.get(&id).is_some_and(|presence| presence.go()) {
                self.forget(table, id);
                self.count(Closed::MadeRoom);
            }
        }
    }

    fn forget(&self, table: &mut Table, id: u64) {
        let Some(presence) = table.open.remove(&id) else { return };
        self.gauge.dec();
        if let Some(count) = table.peers.get_mut(&presence.peer) {
            *count -= 1;
            if *count == 0 {
                table.peers.remove(&presence.peer);
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: of IPv6 the network, since one machine has as many addresses of it as it likes.
fn neighbourhood(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// What counts of a connection that may go.
#[derive(Clone, Copy, Debug)]
struct Standing {
    id: u64,
    peer: IpAddr,
    known: bool,
    since: Instant,
}

/// Who goes first, at most `wanted` of them. `peers` tells how many connections an address holds.
fn who_goes(mut standing: Vec<Standing>, peers: &HashMap<IpAddr, usize>, wanted: usize) -> Vec<u64> {
    let held = |peer: &IpAddr| peers.get(peer).copied().unwrap_or_default();
    standing.sort_by_cached_key(|one| (one.known, Reverse(held(&one.peer)), one.since));
    standing.into_iter().take(wanted).map(|one| one.id).collect()
}

/// A connection that was taken in; it is not open any more when this is dropped.
pub struct Guest {
    connections: Arc<Connections>,
    id: u64,
    presence: Arc<Presence>,
}

impl Guest {
    /// What the connection does.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }
}

impl Deref for Guest {
    type Target = Presence;

    fn deref(&self) -> &Presence {
        &self.presence
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.connections.forget(&mut self.connections.table(), self.id);
    }
}

/// What one connection does, as far as it decides whether it may go.
#[derive(Debug)]
pub struct Presence {
    peer: IpAddr,
    doing: Mutex<Doing>,
    leave: CancellationToken,
}

#[derive(Debug)]
struct Doing {
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

impl Presence {
    /// A connection from `peer` that waits.
    pub fn new(peer: IpAddr) -> Presence {
        let doing = Doing { since: Instant::now(), serving: 0, reading: 0, known: false, closing: false };
        Presence { peer, doing: Mutex::new(doing), leave: CancellationToken::new() }
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
    pub fn serves(self: &Arc<Self>) -> Option<Serving> {
        let mut doing = self.doing();
        if self.leave.is_cancelled() {
            return None;
        }
        doing.serving += 1;
        Some(Serving(self.clone()))
    }

    /// A request's body is being read until what is given back is dropped.
    pub fn reads(self: &Arc<Self>) -> Reading {
        let mut doing = self.doing();
        doing.reading += 1;
        if doing.reading == doing.serving {
            doing.since = Instant::now();
        }
        Reading(self.clone())
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

    fn standing(&self, id: u64) -> Option<Standing> {
        let doing = self.doing();
        doing.may_go().then(|| Standing { id, peer: self.peer, known: doing.known, since: doing.since })
    }

    /// Makes it go, unless it works by now.
    fn go(&self) -> bool {
        let doing = self.doing();
        if doing.may_go() {
            self.leave.cancel();
        }
        doing.may_go()
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doing {
    fn may_go(&self) -> bool {
        self.closing || self.serving == self.reading
    }
}

/// A request that is being served on a connection.
pub struct Serving(Arc<Presence>);

impl Drop for Serving {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.serving -= 1;
        doing.since = Instant::now();
    }
}

/// A request's body that is being read.
pub struct Reading(Arc<Presence>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.doing().reading -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::Ledger;

    fn listener() -> (Arc<Connections>, Metrics) {
        let metrics = Metrics::new(&Arc::<Ledger>::default()).unwrap();
        (Connections::new("clients", &metrics), metrics)
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn gone(guests: &[Guest]) -> Vec<usize> {
        (0..guests.len()).filter(|nth| guests[*nth].goes()).collect()
    }

    #[test]
    fn strangers_go_before_who_was_served_the_largest_share_before_others_and_the_longest_wait_first() {
        let now = Instant::now();
        let one = |id, last, known, waited| Standing {
            id,
            peer: from(last),
            known,
            since: now - Duration::from_secs(waited),
        };
        let standing = vec![
            one(0, 1, true, 900),
            one(1, 2, false, 1),
            one(2, 3, false, 5),
            one(3, 3, false, 50),
            one(4, 4, false, 700),
        ];
        let peers = HashMap::from([(from(1), 9), (from(2), 1), (from(3), 2), (from(4), 1)]);
        assert_eq!(who_goes(standing.clone(), &peers, 5), [3, 2, 4, 1, 0]);
        assert_eq!(who_goes(standing, &peers, 1), [3]);
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_one_that_waits_and_never_of_one_that_works() {
        let (connections, metrics) = listener();
        let mut guests: Vec<Guest> = (0..3).map(|nth| connections.admit(from(nth), 3).unwrap()).collect();
        let work = guests[0].presence().serves().unwrap();
        let (begun, body) = (guests[1].presence().serves().unwrap(), guests[1].presence().reads());
        guests.push(connections.admit(from(9), 3).unwrap());
        assert_eq!((gone(&guests), connections.open()), (vec![2], 3));
        guests.push(connections.admit(from(10), 3).unwrap());
        assert_eq!(gone(&guests), [1, 2], "a body that is read waits, too");
        assert!(guests[1].presence().serves().is_none(), "who has to go begins nothing");
        drop((begun, body));
        let _busy: Vec<Serving> = guests[3..].iter().map(|guest| guest.presence().serves().unwrap()).collect();
        assert!(connections.admit(from(11), 3).is_none());
        drop(work);
        assert!(connections.admit(from(11), 3).is_some());
        let count = |closed: Closed| metrics.connections_closed.with_label_values(&["clients", closed.word()]).get();
        assert_eq!((count(Closed::MadeRoom), count(Closed::Full)), (3, 1));
        drop((guests, _busy));
        assert_eq!((connections.open(), metrics.connections.with_label_values(&["clients"]).get()), (0, 0));
        assert!(connections.table().peers.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), from(1));
    }
}
