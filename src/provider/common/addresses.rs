//! Addresses that vendors are called at, always built below the account's own base, so that a key can go nowhere else.

use url::Url;

use crate::config::plan::{Account, HostRule};
use crate::failure::{Class, Failure};

/// An address below `base`: its host, its whole path, then `segments`, each percent-encoded. Empty segments and dots
/// are left out, so nothing climbs above the base.
pub fn address<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, Failure> {
    let mut url = base.clone();
    url.set_fragment(None);
    let no_path = || Failure::new(Class::AdapterBug, "base_url is not an address that paths can be added to");
    url.path_segments_mut()
        .map_err(|()| no_path())?
        .pop_if_empty()
        .extend(segments.into_iter().filter(|segment| !segment.is_empty()));
    Ok(url)
}

/// Whether the account's key may be sent to an address that a reply gives: at the account's own origin, or at
/// `domain` and below over TLS, and at the hosts that the config names. An address that names a user of its own is nobody's.
pub fn may_have_the_key(account: &Account, url: &Url, domain: &str) -> bool {
    let below = |host: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let theirs = url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(below);
    (theirs && names_nobody(url)) || may_be_asked(account, url, &account.poll_hosts)
}

/// The same by the hosts that the config names.
pub fn may_be_asked(account: &Account, url: &Url, hosts: &[HostRule]) -> bool {
    let theirs = url.origin() == account.base_url.origin() || hosts.iter().any(|rule| rule.allows_with_key(url));
    theirs && names_nobody(url)
}

/// Whether an address has no user of its own.
fn names_nobody(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Whether a job's id from a reply may become part of an address.
pub fn is_plain_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= 128 && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::account;

    #[test]
    fn an_address_keeps_the_prefix_and_the_host() {
        let base: Url = "https://host/deep/prefix/?api-version=1".parse().unwrap();
        let at = |segments: &[&str]| address(&base, segments.iter().copied()).unwrap().to_string();
        assert_eq!(at(&["images", "generations"]), "https://host/deep/prefix/images/generations?api-version=1");
        assert_eq!(at(&["..", "", "a/b?c#d"]), "https://host/deep/prefix/a%2Fb%3Fc%23d?api-version=1");
        let bare: Url = "https://host".parse().unwrap();
        assert_eq!(address(&bare, ["x"]).unwrap().as_str(), "https://host/x");
        assert_eq!(address(&"mailto:x@y".parse().unwrap(), ["x"]).unwrap_err().class, Class::AdapterBug);
    }

    #[test]
    fn the_key_goes_to_the_accounts_own_origin_and_to_the_vendors_hosts_over_tls() {
        let account = account("http://127.0.0.1:9/bfl/", "sk-live");
        for (url, may) in [
            ("http://127.0.0.1:9/poll", true),
            ("https://vendor.example/x", true),
            ("https://api.us1.vendor.example/x", true),
            ("http://127.0.0.1:8/poll", false),
            ("https://127.0.0.1:9/poll", false),
            ("http://api.vendor.example/x", false),
            ("https://api.vendor.example:8443/x", false),
            ("https://evilvendor.example/x", false),
            ("https://vendor.example.evil.example/x", false),
            ("https://user@vendor.example/x", false),
            ("https://:password@vendor.example/x", false),
            ("http://user:password@127.0.0.1:9/poll", false),
        ] {
            assert_eq!(may_have_the_key(&account, &url.parse().unwrap(), "vendor.example"), may, "{url}");
        }
        assert!(is_plain_id("gm3q-7") && !is_plain_id("") && !is_plain_id("a/b") && !is_plain_id(&"a".repeat(129)));
    }
}
