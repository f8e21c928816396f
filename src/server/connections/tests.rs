//! Whose connection goes when a listener is full.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::ledger::Ledger;
use crate::server::connections::eviction::Evictable;

fn listener() -> (Arc<Connections>, Metrics) {
    let metrics = Metrics::new(&Arc::<Ledger>::default()).unwrap();
    (Connections::new("clients", &metrics), metrics)
}

fn from(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn gone(guards: &[ConnectionGuard]) -> Vec<usize> {
    (0..guards.len()).filter(|nth| guards[*nth].must_close()).collect()
}

#[test]
fn connections_that_served_nobody_close_before_others_the_largest_share_before_others_and_the_longest_wait_first() {
    let now = Instant::now();
    let one =
        |id, last, served, waited| Evictable { id, peer: from(last), served, since: now - Duration::from_secs(waited) };
    let evictable = vec![
        one(0, 1, true, 900),
        one(1, 2, false, 1),
        one(2, 3, false, 5),
        one(3, 3, false, 50),
        one(4, 4, false, 700),
    ];
    let peers = HashMap::from([(from(1), 9), (from(2), 1), (from(3), 2), (from(4), 1)]);
    assert_eq!(select_victims(evictable.clone(), &peers, 5), [3, 2, 4, 1, 0]);
    assert_eq!(select_victims(evictable, &peers, 1), [3]);
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_one_that_waits_and_never_of_one_that_works() {
    let (connections, metrics) = listener();
    let mut guards: Vec<ConnectionGuard> = (0..3).map(|nth| connections.admit(from(nth), 3).unwrap()).collect();
    let work = guards[0].presence().begin_serving().unwrap();
    let (begun, body) = (guards[1].presence().begin_serving().unwrap(), guards[1].presence().reads());
    guards.push(connections.admit(from(9), 3).unwrap());
    assert_eq!((gone(&guards), connections.open()), (vec![2], 3));
    guards.push(connections.admit(from(10), 3).unwrap());
    assert_eq!(gone(&guards), [1, 2], "a body that is read waits, too");
    assert!(guards[1].presence().begin_serving().is_none(), "who has to go begins nothing");
    drop((begun, body));
    let _busy: Vec<ServingGuard> =
        guards[3..].iter().map(|connection| connection.presence().begin_serving().unwrap()).collect();
    assert!(connections.admit(from(11), 3).is_none());
    drop(work);
    assert!(connections.admit(from(11), 3).is_some());
    let count = |closed: CloseReason| metrics.connections_closed.with_label_values(&["clients", closed.as_str()]).get();
    assert_eq!((count(CloseReason::MadeRoom), count(CloseReason::Full)), (3, 1));
    drop((guards, _busy));
    assert_eq!((connections.open(), metrics.connections.with_label_values(&["clients"]).get()), (0, 0));
    assert!(connections.table().peers.is_empty());
}

#[test]
fn a_network_of_ipv6_counts_as_one_address() {
    let of = |text: &str| ip_prefix(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.1"), from(1));
}
