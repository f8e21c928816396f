//! Identifies the caller of a request, reads the price it is willing to pay, and holds it to its rate.
//!
//! A key is compared by its SHA-256 in constant time with every client's, so that neither the time nor an error tells
//! how near a guess came. A key that was sent goes nowhere from here: not into a log, not to a provider.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderName;
use pingora::proxy::Session;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::plan::{Client, Plan};
use crate::error::{Error, ErrorKind};
use crate::gateway::caller::Caller;
use crate::gateway::outcome::Outcome;
use crate::money::Usd;
use crate::rate_limit::{RateCharge, RateExceeded, RateLimiter, RateUnit};

/// The most a caller is willing to pay for a request.
const MAX_USD: HeaderName = HeaderName::from_static("x-easel-max-usd");

/// How OpenAI begins the sentence, by which LiteLLM knows what it means. OpenAI repeats most of the key; not here.
const UNKNOWN: &str = "Incorrect API key provided: this server knows no client with the key in 'authorization'.";

/// Whose key came with the request; anybody's where the config lists no clients, of this machine or of any.
pub fn identify(session: &Session, plan: &Plan) -> Result<Caller, Error> {
    if plan.clients.is_empty() {
        let address = session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip);
        return anybody(address, plan);
    }
    let told = session.get_header(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = told.and_then(bearer).ok_or_else(|| {
        Error::new(ErrorKind::Unauthorized, "No key was sent. Send 'authorization: Bearer KEY' with this client's key.")
    })?;
    client(&plan.clients, key).map(Caller::client).ok_or_else(|| Error::new(ErrorKind::Unauthorized, UNKNOWN))
}

/// The caller where no client has a key: one of this machine, or any if the config says so. What the config says of
/// `listen` does not count: a reload may change it while the socket stays where it is. A socket that has no IP address
/// is a file of this machine.
fn anybody(address: Option<IpAddr>, plan: &Plan) -> Result<Caller, Error> {
    let is_local = address.is_none_or(|address| address.to_canonical().is_loopback());
    if plan.anyone || is_local {
        return Ok(Caller::anybody());
    }
    let message = "This server asks nobody for a key, so it serves its own machine only. Its config can list 'clients', or \
                   say 'clients: anyone' to serve whoever reaches it.";
    Err(Error::new(ErrorKind::NotOfThisMachine, message))
}

/// The key after the word `Bearer`, which may be written in any case.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.trim().split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The client with this key. Every hash is looked at, whichever fits.
fn client(clients: &[Arc<Client>], key: &str) -> Option<Arc<Client>> {
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut found = None;
    for client in clients {
        let fits = client.keys.iter().fold(Choice::from(0), |fits, known| fits | known.ct_eq(&hash));
        if bool::from(fits) {
            found = Some(client.clone());
        }
    }
    found
}

/// What the caller is willing to pay.
pub fn max_usd(session: &Session) -> Result<Option<Usd>, Error> {
    let Some(value) = session.get_header(MAX_USD) else { return Ok(None) };
    let wrong = || Error::invalid(MAX_USD.as_str(), format!("'{MAX_USD}' is an amount of dollars, like 0.25."));
    let usd: Usd = value.to_str().map_err(|_| wrong())?.parse().map_err(|_| wrong())?;
    if usd < Usd::ZERO { Err(wrong()) } else { Ok(Some(usd)) }
}

/// What a request used of its client's rate; given back unless the request came to something. Of what vendors refused
/// not all is given back.
pub struct Allowance<'a> {
    rates: &'a RateLimiter,
    client: Option<Arc<Client>>,
    taken: Vec<RateCharge>,
}

impl<'a> Allowance<'a> {
    /// Uses one request and `pictures` of what `caller` may ask for in a minute.
    pub fn take(rates: &'a RateLimiter, caller: &Caller, pictures: u8, now: Instant) -> Result<Allowance<'a>, Error> {
        let mut allowance = Allowance { rates, client: caller.client.clone(), taken: Vec::new() };
        let Some(client) = &caller.client else { return Ok(allowance) };
        let limits = [
            (RateUnit::Requests, client.rate.requests_per_minute, 1),
            (RateUnit::Images, client.rate.images_per_minute, u32::from(pictures)),
        ];
        for (what, per_minute, count) in limits {
            let Some(per_minute) = per_minute else { continue };
            // What was taken before is given back when the allowance is dropped.
            rates.take(&client.name, what, per_minute, count, now).map_err(|wait| too_much(what, per_minute, wait))?;
            allowance.taken.push(RateCharge { what, per_minute, count, at: now });
        }
        Ok(allowance)
    }

    /// Keeps what was taken for a request that brought pictures, or gives it back.
    pub fn settle(mut self, outcome: &Outcome) {
        let refused = |error: &Error| matches!(error.kind, ErrorKind::Refused | ErrorKind::InvalidRequest);
        match &outcome.result {
            Ok(_) => self.taken.clear(),
            Err(error) if outcome.attempts > 0 && refused(error) => self.give_back(RateLimiter::forgive),
            Err(_) => {}
        }
    }

    fn give_back(&mut self, how: impl Fn(&RateLimiter, &str, RateCharge, Instant)) {
        let Some(client) = &self.client else { return };
        let now = Instant::now();
        self.taken.drain(..).for_each(|taken| how(self.rates, &client.name, taken, now));
    }
}

impl Drop for Allowance<'_> {
    fn drop(&mut self) {
        self.give_back(RateLimiter::give_back);
    }
}

fn too_much(what: RateUnit, per_minute: NonZeroU32, wait: RateExceeded) -> Error {
    let what = match what {
        RateUnit::Images => "pictures",
        RateUnit::Requests => "requests",
    };
    match wait {
        RateExceeded::RetryAfter(time) => {
            let message = format!("This client may ask for {per_minute} {what} a minute, and has done so.");
            // A fraction of a second is no time to name.
            Error::new(ErrorKind::RateLimited, message).with_retry_after(time.max(Duration::from_secs(1)))
        }
        RateExceeded::TooMuch => {
            let message = format!("This client may ask for {per_minute} {what} a minute: ask for fewer at once.");
            Error::invalid("n", message).with_code("client_rate_limit")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Rate;
    use crate::gateway::config_watcher::{ProcessEnv, check};

    fn named(name: &str, keys: &[&str]) -> Arc<Client> {
        let keys = keys.iter().map(|key| Sha256::digest(key.as_bytes()).into()).collect();
        Arc::new(Client {
            name: name.to_owned(),
            keys,
            routes: None,
            budgets: Vec::new(),
            max_usd_per_image: None,
            max_usd_per_request: None,
            rate: Rate { images_per_minute: NonZeroU32::new(4), requests_per_minute: NonZeroU32::new(2) },
        })
    }

    #[test]
    fn a_client_is_known_by_any_of_its_keys_and_by_no_other() {
        let clients = [named("web", &["one", "two"]), named("batch", &["three"])];
        let name = |key| client(&clients, key).map(|client| client.name.clone());
        assert_eq!(name("two").as_deref(), Some("web"));
        assert_eq!(name("three").as_deref(), Some("batch"));
        assert_eq!([name("four"), name(""), name("One")], [None, None, None]);
    }

    #[test]
    fn where_nobody_has_a_key_another_machine_is_served_only_if_the_config_says_so() {
        let plan = |listen: &str, more: &str| {
            let text = format!(
                "{more}\nserver: {{listen: \"{listen}\"}}\n\
                 providers: {{v: {{kind: openai, api_key: any, models: {{m: {{price: 0.01}}}}}}}}\n\
                 routes: [{{name: r, offers: [v/m]}}]\n"
            );
            check("test.yaml", &text, &ProcessEnv).unwrap()
        };
        let served = |plan: &Plan, address: &str| match anybody(address.parse().ok(), plan) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!((error.kind.status(), error.kind.word()), (403, "not_of_this_machine"));
                false
            }
        };
        // The last is what the file says after a reload; the socket is bound where it was.
        for listen in ["0.0.0.0:80", "[::]:80", "192.0.2.7:80", "127.0.0.1:80"] {
            let (shut, open) = (plan(listen, ""), plan(listen, "clients: anyone"));
            for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "a socket's file"] {
                assert!(served(&shut, own) && served(&open, own), "{listen} {own}");
            }
            for other in ["192.0.2.9", "10.0.0.1", "fe80::1", "::ffff:10.0.0.1", "2001:db8::1"] {
                assert!(!served(&shut, other) && served(&open, other), "{listen} {other}");
            }
        }
    }

    #[test]
    fn a_key_follows_the_word_bearer() {
        assert_eq!(bearer("Bearer sk-1"), Some("sk-1"));
        assert_eq!(bearer("bearer  sk-1 "), Some("sk-1"));
        assert_eq!([bearer("Basic sk-1"), bearer("Bearer "), bearer("sk-1")], [None, None, None]);
    }

    #[test]
    fn what_comes_to_nothing_uses_up_no_rate() {
        let (rates, caller) = (RateLimiter::default(), Caller::client(named("web", &["one"])));
        for _ in 0..5 {
            drop(Allowance::take(&rates, &caller, 4, Instant::now()).unwrap());
        }
        let too_many = Allowance::take(&rates, &caller, 5, Instant::now());
        assert_eq!(too_many.err().unwrap().param.as_deref(), Some("n"));
        let now = Instant::now();
        let served = Outcome { result: Ok(Vec::new()), ..Outcome::failed(1, Error::new(ErrorKind::Busy, "")) };
        Allowance::take(&rates, &caller, 4, now).unwrap().settle(&served);
        let error = Allowance::take(&rates, &caller, 1, now).err().unwrap();
        assert_eq!((error.kind, error.retry_after), (ErrorKind::RateLimited, Some(Duration::from_secs(15))));
    }

    #[test]
    fn what_vendors_refuse_again_and_again_uses_up_the_rate_in_the_end() {
        let (rates, caller) = (RateLimiter::default(), Caller::client(named("web", &["one"])));
        let ask = |attempts| {
            let allowance = Allowance::take(&rates, &caller, 1, Instant::now()).map_err(|error| error.kind)?;
            let refused = Outcome::failed(1, Error::new(ErrorKind::Refused, ""));
            allowance.settle(&Outcome { attempts, ..refused });
            Ok(())
        };
        for _ in 0..50 {
            assert_eq!(ask(0), Ok(()), "nobody was asked");
        }
        // Two requests a minute: two are given back, two are not.
        assert_eq!([ask(1), ask(1), ask(1), ask(1)], [Ok(()); 4]);
        assert_eq!(ask(1), Err(ErrorKind::RateLimited));
    }
}
