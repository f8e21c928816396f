//! Which addresses in a vendor's reply may be called with the account's key.

use url::Url;

use crate::config::plan::{Account, HostRule};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::account;

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
    }
}
