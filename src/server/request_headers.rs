//! What the headers of an image request say to the gateway: which route it matches, whether the cache may serve it, what
//! the caller is willing to pay, how long it waits, and its idempotency key.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::time::Duration;

use http::HeaderName;
use http::HeaderValue;
use pingora::proxy::Session;

use crate::config::plan::Priority;
use crate::error::Error;
use crate::gateway::gateway_request::CacheWish;
use crate::gateway::snapshot::Snapshot;
use crate::idempotency::{BadKey, IdempotencyKey};
use crate::money::Usd;

/// The headers of a request that routes match by. The session cannot be asked for them while it is served.
pub struct RoutedHeaders<'l>(HashMap<&'l str, HeaderValue>);

impl RoutedHeaders<'_> {
    /// The value of this header, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

/// The headers that any route matches by.
pub fn routed_headers<'l>(session: &Session, snapshot: &'l Snapshot) -> RoutedHeaders<'l> {
    let names = snapshot.plan.routes.iter().flat_map(|route| &route.headers).map(|(name, _)| name.as_str());
    RoutedHeaders(names.filter_map(|name| Some((name, session.get_header(name)?.clone()))).collect())
}

/// `cache-control` of the request; of several wishes the strictest counts.
pub fn cache_wish(session: &Session) -> CacheWish {
    let told = session.req_header().headers.get_all(http::header::CACHE_CONTROL);
    let words: Vec<String> = told
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
        .collect();
    if words.iter().any(|word| word == "no-store") {
        CacheWish::Skip
    } else if words.iter().any(|word| word == "no-cache" || word == "max-age=0") {
        CacheWish::Fresh
    } else {
        CacheWish::Use
    }
}

/// Stands for a request, so that it may be sent again and is paid for once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The caller's idempotency key.
pub fn idempotency_key(session: &Session) -> Result<Option<IdempotencyKey>, Error> {
    let mut told = session.req_header().headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = told.next() else { return Ok(None) };
    let key = if told.next().is_some() { Err(BadKey::Several) } else { IdempotencyKey::parse(value.as_bytes()) };
    let wrong = |why| Error::invalid(IDEMPOTENCY_KEY.as_str(), format!("'{IDEMPOTENCY_KEY}' is no key: {why}."));
    key.map(Some).map_err(wrong)
}

/// The most a caller is willing to pay for a request.
const MAX_USD: HeaderName = HeaderName::from_static("x-easel-max-usd");

/// What the caller is willing to pay.
pub fn max_usd(session: &Session) -> Result<Option<Usd>, Error> {
    let Some(value) = session.get_header(MAX_USD) else { return Ok(None) };
    let wrong = || Error::invalid(MAX_USD.as_str(), format!("'{MAX_USD}' is an amount of dollars, like 0.25."));
    let usd: Usd = value.to_str().map_err(|_| wrong())?.parse().map_err(|_| wrong())?;
    if usd < Usd::ZERO { Err(wrong()) } else { Ok(Some(usd)) }
}

/// How long a caller waits for a request.
const DEADLINE: HeaderName = HeaderName::from_static("x-easel-deadline-ms");

/// How long the caller waits, where that is less than the route says.
pub fn deadline_after(session: &Session) -> Result<Option<Duration>, Error> {
    let Some(value) = session.get_header(DEADLINE) else { return Ok(None) };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok()).map(NonZeroU64::get);
    let wrong = || format!("'{DEADLINE}' is a whole number of milliseconds, from 1.");
    millis.map(Duration::from_millis).map(Some).ok_or_else(|| Error::invalid(DEADLINE.as_str(), wrong()))
}

/// Whether somebody waits for the pictures of a request. A caller may lower its request to `batch`; `live` asks for
/// nothing more than the config gives.
const PRIORITY: HeaderName = HeaderName::from_static("x-easel-priority");

/// The class that the caller wishes to wait in; live where it says nothing.
pub fn priority(session: &Session) -> Result<Priority, Error> {
    let Some(value) = session.get_header(PRIORITY) else { return Ok(Priority::Live) };
    let known = value.to_str().ok().and_then(|word| Priority::ALL.into_iter().find(|known| known.as_str() == word));
    known.ok_or_else(|| {
        let message = format!("'{PRIORITY}' is 'batch' for a request that may wait, or 'live'.");
        Error::invalid(PRIORITY.as_str(), message)
    })
}
