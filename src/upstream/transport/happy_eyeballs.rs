//! Which of a name's addresses answers first.
//!
//! Happy eyeballs (RFC 8305): the transport dials the addresses one after the other with a short head start for each,
//! and takes the first connection that stands. An address that is down, or a family that leads nowhere, costs the head
//! start and not the whole wait for a connection. Nothing is resolved or opened here: the caller passes the addresses,
//! which it has checked, and the function that dials one.
//!
//! This is our own code because a connection must come out of Pingora's connector, which takes one address at a time,
//! with TLS and its pool. The crate `happy-eyeballs` and hyper-util's `HttpConnector` resolve and dial themselves and
//! hand out a bare TCP stream; hyper-util races two families and not the addresses of one.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

/// The head start of an address before the next one is dialled as well (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses dialled for one connection.
const ADDRESSES: usize = 6;

/// The addresses in the order to dial them: the resolver's, with the two families taking turns.
pub fn in_turn(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = found.first() else { return Vec::new() };
    let (these, those): (Vec<_>, Vec<_>) = found.iter().partition(|address| address.is_ipv6() == first.is_ipv6());
    let rounds = these.len().max(those.len());
    let turns = (0..rounds).flat_map(|round| [these.get(round), those.get(round)]).flatten();
    turns.take(ADDRESSES).copied().collect()
}

/// The first of the addresses that is reached, or how the last one failed; `None` without any address. Those that are
/// still being dialled are given up.
pub async fn race<T, E, F>(addresses: &[SocketAddr], dial: impl Fn(SocketAddr) -> F) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = addresses.iter();
    let (mut dialling, mut last) = (FuturesUnordered::new(), None);
    loop {
        match waiting.next() {
            Some(address) => dialling.push(dial(*address)),
            None if dialling.is_empty() => return last,
            None => {}
        }
        tokio::select! {
            Some(reached) = dialling.next() => match reached {
                Ok(reached) => return Some(Ok(reached)),
                // The next one need not wait for the rest of the head start.
                Err(error) => last = Some(Err(error)),
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
            else => return last,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_resolvers_choice_is_first() {
        let found = addresses(&["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "192.0.2.1:1", "192.0.2.2:1"]);
        let turns = addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1", "[2001:db8::3]:1"]);
        assert_eq!(in_turn(&found), turns);
        assert_eq!(in_turn(&addresses(&["192.0.2.1:1", "[2001:db8::1]:1"]))[0], found[3]);
        assert!(in_turn(&[]).is_empty());
        assert_eq!(in_turn(&vec![found[0]; 40]).len(), ADDRESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_leads_nowhere_costs_its_head_start_and_one_that_refuses_costs_nothing() {
        let [hangs, refuses, slow, good] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"];
        let dial = |address: SocketAddr| async move {
            match address.to_string() {
                text if text == hangs => std::future::pending().await,
                text if text == refuses => Err("refused"),
                text if text == slow => {
                    sleep(Duration::from_secs(2)).await;
                    Ok(address)
                }
                _ => Ok(address),
            }
        };
        let reached = async |list: &[&str]| {
            let began = Instant::now();
            let reached = race(&addresses(list), dial).await;
            (reached.map(|reached| reached.map(|address| address.to_string())), began.elapsed())
        };
        assert_eq!(reached(&[hangs, hangs, good]).await, (Some(Ok(good.to_owned())), HEAD_START * 2));
        assert_eq!(reached(&[refuses, refuses, good]).await, (Some(Ok(good.to_owned())), Duration::ZERO));
        assert_eq!(reached(&[slow, hangs]).await, (Some(Ok(slow.to_owned())), Duration::from_secs(2)));
        assert_eq!(reached(&[refuses, refuses]).await, (Some(Err("refused")), Duration::ZERO));
        assert_eq!(reached(&[]).await, (None, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_is_dialled_once_one_answers() {
        let dialled = Mutex::new(Vec::new());
        let dial = |address: SocketAddr| {
            dialled.lock().unwrap().push(address);
            async move { Ok::<_, ()>(address) }
        };
        let list = addresses(&["192.0.2.1:1", "192.0.2.2:1"]);
        race(&list, dial).await;
        assert_eq!(*dialled.lock().unwrap(), list[..1]);
    }
}
