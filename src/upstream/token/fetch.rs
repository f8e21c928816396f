//! One request for a token to its endpoint.

use tokio::time::Instant;

use crate::calendar::Moment;
use crate::failure::{Class, Failure};
use crate::provider::common::token_source::TokenSource;
use crate::upstream::token::redact::secrets;
use crate::upstream::token::reply::read;
use crate::upstream::token::request::request;
use crate::upstream::token::token_slot::Token;
use crate::upstream::transport::{Bounds, Transport, TransportError};

/// Asks the source's endpoint for a token; `now` is the wall time that a signed statement begins at.
pub async fn fetch(transport: &Transport, source: &TokenSource, bounds: Bounds, now: Moment) -> Result<Token, Failure> {
    let asked = Instant::now();
    let call = request(source, u64::try_from(now.millis() / 1000).unwrap_or(0))?;
    let received = transport.send(&call, bounds).await.map_err(|trouble| {
        let why = match trouble {
            TransportError::Unreachable(why) | TransportError::Lost(why) | TransportError::Unreadable(why) => why,
            TransportError::TimedOut { .. } => "no answer in time".to_owned(),
            TransportError::TooLarge => "its answer is too large".to_owned(),
            TransportError::Private => "its address is not followed".to_owned(),
        };
        let host = call.url.host_str().unwrap_or("?");
        Failure::new(Class::Unreachable, format!("no access token from {host}: {why}"))
    })?;
    read(&received.reply, asked, &secrets(&call))
}
