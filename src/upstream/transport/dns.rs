//! Resolves names to addresses, by the system's resolver.
//!
//! A question to the system (`getaddrinfo`) cannot be called off: it keeps a thread of the runtime until the system
//! gives up, which takes half a minute when no nameserver answers. So whoever wants the same name at the same time
//! waits for one question, no caller waits longer than [`TIMEOUT`], and an answer that comes too late for those who
//! waited serves the next caller. A name's addresses are remembered for a moment, failures are not.
//!
//! `hickory-resolver` is maintained and could be called off, but it reads `resolv.conf` and `hosts` once when it is
//! made and `nsswitch.conf` never, so that a sidecar would go on asking the nameserver of the network its machine has
//! left; and it brings sixteen crates.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dashmap::{DashMap, Entry};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use crate::upstream::transport::error::TransportError;

/// Longest wait for a name's addresses, whatever else the caller has time for. The system's resolver asks its second
/// nameserver after five seconds, which must still have time to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a name's addresses are believed, counted from the question.
const TTL: Duration = Duration::from_secs(30);
/// Names remembered; link hosts are partly the provider's choice, so the table is bounded.
const NAMES: usize = 1024;

/// The addresses of a name, or the system's words.
type DnsAnswer = Result<Arc<[SocketAddr]>, Arc<str>>;

/// A question to the system, with its answer once that is there.
struct DnsLookup {
    asked: Instant,
    answer: Shared<BoxFuture<'static, DnsAnswer>>,
}

impl DnsLookup {
    fn new(question: impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static) -> DnsLookup {
        let answer = question.map(|found| match found {
            Ok(addresses) => Ok(addresses.into()),
            Err(error) => Err(error.to_string().into()),
        });
        DnsLookup { asked: Instant::now(), answer: answer.boxed().shared() }
    }

    /// Whether it may serve one more caller: its answer is on the way, or good and not too old.
    fn serves(&self) -> bool {
        self.asked.elapsed() < TTL && !matches!(self.answer.peek(), Some(Err(_)))
    }
}

/// Every name that was looked up lately.
#[derive(Default)]
pub struct Resolver {
    lookups: DashMap<(String, u16), DnsLookup>,
}

impl Resolver {
    /// The addresses of the URL's host, as the system orders them.
    pub async fn addresses(&self, url: &Url) -> Result<Arc<[SocketAddr]>, TransportError> {
        let port = url.port_or_known_default().unwrap_or(443);
        match url.host() {
            Some(Host::Ipv4(ip)) => Ok(Arc::new([SocketAddr::new(IpAddr::V4(ip), port)])),
            Some(Host::Ipv6(ip)) => Ok(Arc::new([SocketAddr::new(IpAddr::V6(ip), port)])),
            Some(Host::Domain(name)) => self.look_up(name, port, ask_system).await,
            None => Err(TransportError::Unreachable("the address names no host".to_owned())),
        }
    }

    async fn look_up<F>(
        &self,
        name: &str,
        port: u16,
        ask: impl FnOnce(String, u16) -> F,
    ) -> Result<Arc<[SocketAddr]>, TransportError>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        match timeout(TIMEOUT, self.answer((name.to_owned(), port), ask)).await {
            Ok(answer) => answer.map_err(|why| TransportError::Unreachable(format!("{name}: {why}"))),
            Err(_) => Err(TransportError::Unreachable("the name was not resolved in time".to_owned())),
        }
    }

    /// The answer to the question that is under way or was answered lately, or else to a new one.
    fn answer<F>(&self, key: (String, u16), ask: impl FnOnce(String, u16) -> F) -> Shared<BoxFuture<'static, DnsAnswer>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        if let Some(lookup) = self.lookups.get(&key).filter(|lookup| lookup.serves()) {
            return lookup.answer.clone();
        }
        if self.lookups.len() >= NAMES {
            self.lookups.clear();
        }
        let (name, port) = key.clone();
        let new = || DnsLookup::new(ask(name, port));
        match self.lookups.entry(key) {
            // Another caller may have asked meanwhile.
            Entry::Occupied(other) if other.get().serves() => other.get().answer.clone(),
            entry => entry.insert(new()).answer.clone(),
        }
    }
}

async fn ask_system(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::oneshot;
    use tokio::time::{advance, sleep};

    use super::*;

    fn one() -> Vec<SocketAddr> {
        vec![([192, 0, 2, 1], 443).into()]
    }

    #[tokio::test(start_paused = true)]
    async fn equal_names_share_one_question_and_its_answer_is_kept_for_a_moment() {
        let (resolver, asked) = (Resolver::default(), Cell::new(0));
        let look_up = async |name: &str| {
            let ask = |_, _| {
                asked.set(asked.get() + 1);
                async {
                    sleep(Duration::from_secs(1)).await;
                    Ok(one())
                }
            };
            resolver.look_up(name, 443, ask).await.unwrap()
        };
        let (first, second) = tokio::join!(look_up("a.example"), look_up("a.example"));
        assert_eq!((&*first, &*second, asked.get()), (&*one(), &*one(), 1));
        look_up("a.example").await;
        assert_eq!(asked.get(), 1);
        look_up("b.example").await;
        assert_eq!(asked.get(), 2);
        advance(TTL).await;
        look_up("a.example").await;
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_is_waited_for_no_longer_than_its_own_time_and_a_late_answer_serves_the_next_caller()
    {
        let (resolver, (answer, late)) = (Resolver::default(), oneshot::channel());
        let began = Instant::now();
        let hangs = |_, _| async { Ok(late.await.unwrap()) };
        let in_vain = resolver.look_up("a.example", 443, hangs).await.unwrap_err();
        assert_eq!(in_vain, TransportError::Unreachable("the name was not resolved in time".to_owned()));
        assert_eq!(began.elapsed(), TIMEOUT);
        answer.send(one()).unwrap();
        let found = resolver.look_up("a.example", 443, |_, _| async { panic!("the question is under way") }).await;
        assert_eq!(*found.unwrap(), *one());
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_asked_for_again() {
        let resolver = Resolver::default();
        let missing = resolver.look_up("a.example", 443, |_, _| async { Err(io::Error::other("no such name")) }).await;
        assert_eq!(missing.unwrap_err(), TransportError::Unreachable("a.example: no such name".to_owned()));
        assert_eq!(*resolver.look_up("a.example", 443, |_, _| async { Ok(one()) }).await.unwrap(), *one());
    }

    #[tokio::test]
    async fn an_address_stands_for_itself_and_the_system_is_asked_for_names() {
        let resolver = Resolver::default();
        let addresses = async |url: &str| resolver.addresses(&url.parse().unwrap()).await.unwrap();
        assert_eq!(*addresses("https://192.0.2.1/").await, *one());
        assert_eq!(*addresses("http://[2001:db8::1]:81/").await, ["[2001:db8::1]:81".parse().unwrap()]);
        assert!(
            addresses("http://localhost:81/").await.iter().all(|found| found.ip().is_loopback() && found.port() == 81)
        );
    }
}
