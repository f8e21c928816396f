//! Access tokens: signed for, fetched, kept until shortly before they end, and forgotten when a vendor refuses them.
//!
//! Tokens outlive a config, because they go by the credentials and not by a provider's name. Nothing here logs. A
//! failure quotes OAuth's words for it and nothing else of the endpoint's answer, and never a secret that was sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::provider::common::token_source::TokenSource;
use crate::secret::Secret;
use crate::upstream::token::fetch::fetch;
use crate::upstream::token::token_slot::TokenSlot;
use crate::upstream::transport::{AllowedTargets, Bounds, IDLE, Transport};

mod fetch;
mod jwt;
mod redact;
mod reply;
mod request;
mod token_slot;

/// Longest wait for a token; a call has its own deadline besides.
const WAIT: Duration = Duration::from_secs(20);
/// Largest answer of a token endpoint.
const BODY: usize = 64 * 1024;
/// Sources remembered; every reload with other credentials brings a new one.
const SOURCES: usize = 64;

/// The tokens of all sources.
#[derive(Default)]
pub struct AccessTokens {
    slots: Mutex<Vec<(TokenSource, Arc<TokenSlot>)>>,
}

impl AccessTokens {
    /// A token of `source` that has some life left, fetched unless there is one. `clock` says when that is.
    pub async fn get(
        &self,
        transport: &Arc<Transport>,
        source: &TokenSource,
        clock: &Clock,
        deadline: Instant,
        connect: Duration,
    ) -> Result<Arc<Secret>, Failure> {
        let fetch = || {
            let (transport, source, now) = (transport.clone(), source.clone(), clock.now());
            async move {
                // The operator names the place, and a metadata server is link-local by design.
                let (deadline, reach) = (Instant::now() + WAIT, AllowedTargets::Anywhere);
                let bounds = Bounds { deadline, connect, silence: None, idle: IDLE, body: BODY, reach };
                fetch(&transport, &source, bounds, now).await
            }
        };
        self.slot(source).get(deadline.min(Instant::now() + WAIT), fetch).await
    }

    /// Forgets a token that a vendor did not accept, unless it was replaced since.
    pub fn forget(&self, source: &TokenSource, refused: &Secret) {
        self.slot(source).forget(refused);
    }

    fn slot(&self, source: &TokenSource) -> Arc<TokenSlot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = slots.iter().find(|(known, _)| known == source) {
            return slot.clone();
        }
        if slots.len() >= SOURCES {
            slots.remove(0);
        }
        let slot = Arc::<TokenSlot>::default();
        slots.push((source.clone(), slot.clone()));
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::net::SocketAddr;

    use base64_simd::URL_SAFE_NO_PAD;
    use bytes::Bytes;
    use futures_util::future::BoxFuture;
    use prometheus::IntGauge;
    use serde_json::Value;
    use url::Url;

    use super::*;
    use crate::calendar::Moment;
    use crate::clock::ManualClock;
    use crate::provider::Call;
    use crate::upstream::transport::reply_memory::CallReservation;
    use crate::upstream::transport::{HeldReply, HttpClient, TransportError, Watcher};

    /// Keeps the bodies of calls and answers none.
    struct SilentClient(Arc<Mutex<Vec<Bytes>>>);

    impl HttpClient for SilentClient {
        fn send<'a>(
            &'a self,
            call: &'a Call,
            _bounds: Bounds,
            _tab: &'a Arc<CallReservation>,
            _watcher: Option<&'a Watcher>,
        ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
            self.0.lock().unwrap().push(call.body.clone());
            Box::pin(ready(Err(TransportError::Lost("no answer".to_owned()))))
        }

        fn addresses<'a>(&'a self, _url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
            Box::pin(ready(Err(TransportError::Private)))
        }
    }

    #[tokio::test]
    async fn a_statement_begins_at_the_time_of_the_clock_that_is_given() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let client = Box::new(SilentClient(sent.clone()));
        let transport = Arc::new(Transport::new(client, BODY, IntGauge::new("replies", "x").unwrap()));
        let clock = Clock::Manual(ManualClock::at(Moment::from_millis(1_000_999)));
        let source = request::tests::source(request::tests::KEY);
        let deadline = Instant::now() + WAIT;
        AccessTokens::default().get(&transport, &source, &clock, deadline, WAIT).await.unwrap_err();
        let body = sent.lock().unwrap().pop().unwrap();
        let (_, statement) = url::form_urlencoded::parse(&body).find(|(name, _)| name == "assertion").unwrap();
        let claims = statement.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(claims).unwrap()).unwrap();
        assert_eq!((&claims["iat"], &claims["exp"]), (&Value::from(1_000), &Value::from(4_600)));
    }

    #[tokio::test]
    async fn only_the_token_that_was_refused_is_forgotten() {
        let tokens = AccessTokens::default();
        let source = TokenSource::Metadata { url: "http://metadata.example".parse().unwrap(), header: ("a", "b") };
        let slot = tokens.slot(&source);
        let get = async |text: &'static str| {
            let fetch = || async move { Ok(token_slot::tests::token(text)) };
            slot.get(Instant::now() + WAIT, fetch).await.unwrap().reveal().to_owned()
        };
        assert_eq!(get("new").await, "new");
        tokens.forget(&source, &Secret::new("old"));
        assert_eq!(get("newer").await, "new", "another call has replaced it already");
        tokens.forget(&source, &Secret::new("new"));
        assert_eq!(get("newer").await, "newer");
    }
}
