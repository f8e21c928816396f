//! Identifies the caller of a request by its key.
//!
//! A key is compared by its SHA-256 in constant time with every client's, so that neither the time nor an error tells
//! how near a guess came. A key that was sent goes nowhere from here: not into a log, not to a provider.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pingora::proxy::Session;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::plan::{Client, Plan};
use crate::error::{Error, ErrorKind};
use crate::gateway::caller::Caller;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::{Priority, Rate};
    use crate::gateway::config_loader::{ProcessEnv, check};
    use std::num::NonZeroU32;

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
            priority: Priority::Live,
            cache_share_ppm: None,
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
                assert_eq!((error.kind.status(), error.kind.as_str()), (403, "not_of_this_machine"));
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
}
