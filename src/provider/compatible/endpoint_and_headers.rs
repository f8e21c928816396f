//! Where an OpenAI-compatible server is called, and with which headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::config::plan::Account;
use crate::failure::{Class, Failure};
use crate::provider::common::addresses;
use crate::provider::common::headers;

/// The headers of every call: the key, and what the dialect adds. Any of them may be a secret.
pub fn headers(account: &Account) -> Result<HeaderMap, Failure> {
    let dialect = &account.dialect;
    let mut headers = headers::call_headers(account, &dialect.auth.0, &dialect.auth.1)?;
    for (name, value) in &dialect.headers {
        let unsendable = || Failure::new(Class::AdapterBug, format!("the header '{name}' cannot be sent"));
        let read = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable())?;
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| unsendable())?;
        value.set_sensitive(true);
        headers.insert(read, value);
    }
    Ok(headers)
}

/// The dialect's path below `base`; what follows a question mark is added to the query.
pub fn endpoint(base: &Url, path: &str) -> Result<Url, Failure> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut url = addresses::address(base, path.split('/'))?;
    if !query.is_empty() {
        let query = url.query().map_or(query.to_owned(), |first| format!("{first}&{query}"));
        url.set_query(Some(&query));
    }
    Ok(url)
}
