//! The cache for operators: what it holds, and what is to go out of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cache::{PurgeSelector, Shareholder};
use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;

/// Bytes of a purge's body.
pub const MOST_BODY: usize = 16 * 1024;

/// The body of a purge. A picture goes that is all of what is given here.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Purge {
    key: Option<String>,
    tenant: Option<String>,
    route: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    image: Option<String>,
    older_than: Option<String>,
    all: Option<bool>,
}

/// What the cache holds. Blocks.
pub fn contents(gateway: &Gateway) -> Value {
    let (size, contents) = (gateway.shared.cache.size(), gateway.shared.cache.contents());
    let snapshot = gateway.snapshot();
    let bounds = &snapshot.plan.cache;
    let (mut tenants, mut routes) = (BTreeMap::new(), BTreeMap::new());
    for (holder, bytes) in contents.holders.iter().filter(|(_, bytes)| *bytes > 0) {
        match holder {
            Shareholder::Tenant(name) => tenants.insert(name.to_string(), bytes),
            Shareholder::Route(name) => routes.insert(name.to_string(), bytes),
        };
    }
    json!({
        "memory": {"bytes": size.pictures, "limit": bounds.memory},
        "requests": contents.requests,
        "pictures": contents.pictures,
        "near": {"requests": contents.indexed, "bytes": size.near_index, "refused": contents.not_indexed},
        "embeddings": {"requests": contents.embedded, "bytes": size.embeddings, "given_up": contents.embeddings_given_up},
        "links": {"bytes": size.links, "limit": bounds.links, "given_up": size.links_given_up},
        "disk": disk(gateway),
        "prompts": {"bytes": size.prompts, "limit": bounds.prompts},
        "bytes_by_tenant": tenants,
        "bytes_by_route": routes,
    })
}

/// What is on disk, where there is one.
fn disk(gateway: &Gateway) -> Value {
    let Some(disk) = &gateway.shared.disk else { return Value::Null };
    let (stats, limit) = (disk.disk().stats(), gateway.snapshot().plan.disk_cache.as_ref().map(|disk| disk.size));
    json!({
        "bytes": stats.bytes, "limit": limit, "pictures": stats.files, "records": stats.records,
        "queued_bytes": stats.queued_bytes, "written": stats.written, "writable": stats.writable,
    })
}

/// Takes out what the body selects, and tells how much it was. Blocks.
///
/// # Errors
/// When the body selects nothing, or means nothing.
pub fn purge(gateway: &Gateway, body: &[u8]) -> Result<Value, Error> {
    let selector = selector(body)?;
    let purged = gateway.shared.cache.purge(&selector, Instant::now());
    log::info!("purged {} pictures, {} bytes, from the cache", purged.pictures, purged.bytes);
    Ok(json!({"pictures": purged.pictures, "bytes": purged.bytes}))
}

fn selector(body: &[u8]) -> Result<PurgeSelector, Error> {
    const FIELDS: &str = "key, tenant, route, provider, model, image, older_than, or all alone";
    let purge: Purge = serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, format!("the body is no purge: {error}; send JSON with {FIELDS}"))
    })?;
    let Purge { key, tenant, route, provider, model, image, older_than, all } = purge;
    let selector = PurgeSelector {
        key: key.map(|key| read_key(&key)).transpose()?,
        tenant,
        route,
        provider,
        model,
        image,
        older_than: older_than.map(|age| read_age(&age)).transpose()?,
    };
    match (selector == PurgeSelector::default(), all == Some(true)) {
        (true, false) => {
            let message = format!("say which pictures are to go, with {FIELDS}: true for every one");
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
        (false, true) => Err(Error::invalid("all", "'all' is every picture: send it alone, or leave it out")),
        _ => Ok(selector),
    }
}

fn read_key(key: &str) -> Result<u128, Error> {
    let read = Some(key)
        .filter(|key| key.len() == 32 && !key.starts_with('+'))
        .and_then(|key| u128::from_str_radix(key, 16).ok());
    read.ok_or_else(|| {
        let message = "'key' is the 32 hex digits that `easel explain` and POST /admin/explain tell as cache_key";
        Error::invalid("key", message)
    })
}

fn read_age(age: &str) -> Result<Duration, Error> {
    humantime::parse_duration(age).map_err(|_| {
        let message = format!("older_than '{age}' is no time, write it like 36h or 7d");
        Error::invalid("older_than", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_says_what_is_to_go_or_that_all_is() {
        let read = |body: Value| selector(body.to_string().as_bytes());
        let told = |body: Value| read(body).unwrap_err();
        assert_eq!(read(json!({"all": true})).unwrap(), PurgeSelector::default());
        let of = read(json!({"tenant": "web", "older_than": "7d", "key": "0000000000000000000000000000002a"})).unwrap();
        let week = Duration::from_secs(7 * 86_400);
        let expected =
            PurgeSelector { tenant: Some("web".into()), older_than: Some(week), key: Some(42), ..Default::default() };
        assert_eq!(of, expected);
        assert!(told(json!({})).message.starts_with("say which pictures are to go"));
        assert!(told(json!({"all": false})).message.starts_with("say which pictures are to go"));
        assert!(told(json!({"tennant": "web"})).message.contains("unknown field `tennant`"));
        for (body, param) in [
            (json!({"all": true, "route": "r"}), "all"),
            (json!({"older_than": "soon"}), "older_than"),
            (json!({"key": "2a"}), "key"),
            (json!({"key": "+000000000000000000000000000002a"}), "key"),
        ] {
            assert_eq!(told(body.clone()).param.as_deref(), Some(param), "{body}");
        }
    }
}
