//! Headers that several vendors share. Every header that carries a key is marked sensitive.

use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};

use crate::config::plan::Account;
use crate::failure::{Class, Failure};
use crate::secret::{Secret, Zeroizing};

/// The headers of every call: JSON wanted back, and the account's key in `header` behind `prefix`.
pub fn call_headers(account: &Account, header: &str, prefix: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(key) = &account.api_key {
        let name = HeaderName::from_bytes(header.as_bytes())
            .map_err(|_| Failure::new(Class::AdapterBug, format!("'{header}' cannot be the name of a header")))?;
        let written = Zeroizing::new(format!("{prefix}{}", key.reveal()));
        let mut value = HeaderValue::from_str(&written)
            .map_err(|_| Failure::new(Class::Auth, "the API key has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// `headers` with the token that stands in a key's place, where there is one.
pub fn with_token(mut headers: HeaderMap, token: Option<&Secret>) -> Result<HeaderMap, Failure> {
    if let Some(token) = token {
        let written = Zeroizing::new(format!("Bearer {}", token.reveal()));
        let mut value = HeaderValue::from_str(&written)
            .map_err(|_| Failure::new(Class::Auth, "the access token has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Adds a header unless its value has characters that no header can carry.
pub fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// A header's value shorter than this is a word, not a secret, and blotting it out would make messages unreadable.
const SHORTEST_SECRET: usize = 8;

/// `text` with the account's key redacted, and what else might be secret of its headers; a vendor may quote it in an
/// error. Text that was cut off may end in the first part of a key, which is redacted too.
pub fn without_key(account: &Account, text: &str) -> String {
    let values = account.dialect.headers.iter().map(|(_, value)| value.reveal());
    let secrets = values.filter(|value| value.len() >= SHORTEST_SECRET);
    let text = &secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
    let Some(key) = account.api_key.as_ref().map(Secret::reveal).filter(|key| !key.is_empty()) else {
        return text.to_owned();
    };
    let text = text.replace(key, "***");
    let parts = key.char_indices().rev().map(|(end, _)| &key[..end]).filter(|part| part.len() >= 4);
    match parts.filter_map(|part| text.strip_suffix(part)).next() {
        Some(rest) => format!("{rest}***"),
        None => text,
    }
}

/// Whether a reply's body is a stream of events.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let told = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::account;

    #[test]
    fn a_key_travels_in_a_header_that_no_debug_print_shows() {
        let made = call_headers(&account("https://host/", "sk-live"), "authorization", "Bearer ").unwrap();
        assert_eq!(made["authorization"], "Bearer sk-live");
        assert!(!format!("{made:?}").contains("sk-live"));
        let broken = call_headers(&account("https://host/", "sk\nlive"), "authorization", "Bearer ").unwrap_err();
        assert_eq!(broken.class, Class::Auth);
        assert!(!broken.to_string().contains("live"));
        assert_eq!(without_key(&account("https://host/", "sk-live"), "bad key sk-live."), "bad key ***.");
        assert_eq!(without_key(&account("https://host/", "sk-live"), "cut off: sk-li"), "cut off: ***");
        let mut account = account("https://host/", "sk-live");
        for value in ["2", "tenant-secret"] {
            account.dialect.headers.push(("x-of-theirs".to_owned(), Secret::new(value)));
        }
        assert_eq!(without_key(&account, "version 2 of tenant-secret"), "version 2 of ***");
    }
}
