//! Which connections make room for a new one.
//!
//! First go those on which nobody was served yet, of them first those of the address that holds the most, and of these
//! the one that has waited the longest.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::Instant;

/// What counts as one address: of IPv6 the network, since one machine has as many addresses of it as it likes.
pub fn ip_prefix(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// A connection that may go, and what decides whether it does.
#[derive(Clone, Copy, Debug)]
pub struct Evictable {
    /// The connection.
    pub id: u64,
    /// Where it comes from; of IPv6 the network.
    pub peer: IpAddr,
    /// Whether somebody was served on it.
    pub served: bool,
    /// When it began to wait.
    pub since: Instant,
}

/// The connections that go first, at most `wanted` of them. `peers` tells how many connections an address holds.
pub fn select_victims(mut evictable: Vec<Evictable>, peers: &HashMap<IpAddr, usize>, wanted: usize) -> Vec<u64> {
    let held = |peer: &IpAddr| peers.get(peer).copied().unwrap_or_default();
    evictable.sort_by_cached_key(|one| (one.served, Reverse(held(&one.peer)), one.since));
    evictable.into_iter().take(wanted).map(|one| one.id).collect()
}
