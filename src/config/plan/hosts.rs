//! Hosts that the config allows besides a vendor's own.

use std::net::Ipv6Addr;
use std::str::FromStr;

use url::Url;

/// A host as the config names it: `cdn.example.com`, `*.example.com` for any below, `[2001:db8::1]`, each with or
/// without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// Lower-case; an IPv6 address in its brackets.
    host: String,
    /// Any host below is meant, and not this one.
    below: bool,
    port: Option<u16>,
}

/// What is written is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

impl HostRule {
    /// Whether `url` is at this host, at the rule's port or, where it names none, at any.
    pub fn allows(&self, url: &Url) -> bool {
        let same_port = self.port.is_none() || self.port == url.port_or_known_default();
        same_port && url.host_str().is_some_and(|host| self.names(host))
    }

    /// The same for an address that is to get a key: without a port in the rule, only at HTTPS' own.
    pub fn allows_with_key(&self, url: &Url) -> bool {
        url.scheme() == "https" && self.allows(url) && (self.port.is_some() || url.port().is_none())
    }

    fn names(&self, host: &str) -> bool {
        match self.below {
            true => host.strip_suffix(self.host.as_str()).is_some_and(|rest| rest.ends_with('.')),
            false => host == self.host,
        }
    }
}

impl FromStr for HostRule {
    type Err = NoHost;

    fn from_str(written: &str) -> Result<HostRule, NoHost> {
        let below = written.starts_with("*.");
        let text = written.strip_prefix("*.").unwrap_or(written);
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address are its own, unless they follow its brackets.
            Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(port.parse().map_err(|_| NoHost)?)),
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = match bare.parse::<Ipv6Addr>() {
            Ok(ip) if !below => format!("[{ip}]"),
            _ => {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
                Some(host).filter(|host| !host.is_empty() && host.chars().all(plain)).ok_or(NoHost)?.to_lowercase()
            }
        };
        Ok(HostRule { host, below, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_by_its_name_and_its_port_where_one_is_written() {
        for (rule, url, allows, with_key) in [
            ("cdn.example", "https://cdn.example/a.png", true, true),
            ("CDN.Example", "https://cdn.example/a.png", true, true),
            ("cdn.example", "https://cdn.example:9000/a.png", true, false),
            ("cdn.example", "http://cdn.example/a.png", true, false),
            ("cdn.example:8443", "https://cdn.example:8443/a.png", true, true),
            ("cdn.example:8443", "https://cdn.example/a.png", false, false),
            ("cdn.example:443", "https://cdn.example/a.png", true, true),
            ("cdn.example", "https://evil.cdn.example/", false, false),
            ("cdn.example", "https://evilcdn.example/", false, false),
            ("*.example", "https://a.b.example/", true, true),
            ("*.example", "https://example/", false, false),
            ("*.example", "https://evilexample/", false, false),
            ("*.example:81", "https://a.example:81/", true, true),
            ("*.example:81", "https://a.example:82/", false, false),
            ("192.0.2.1:81", "http://192.0.2.1:81/", true, false),
            ("[2001:DB8::1]", "https://[2001:db8:0::1]/", true, true),
            ("2001:db8::1", "https://[2001:db8::1]:9/", true, false),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/", true, true),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]/", false, false),
        ] {
            let (rule, url): (HostRule, Url) = (rule.parse().unwrap(), url.parse().unwrap());
            assert_eq!((rule.allows(&url), rule.allows_with_key(&url)), (allows, with_key), "{rule:?} {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", "*.", ":80", "a:", "a:b", "a:99999", "https://a", "a/b", "a b", "*.[::1]", "[::1", "[::g]", "*", "a*"]
        {
            assert_eq!(text.parse::<HostRule>(), Err(NoHost), "{text}");
        }
    }
}
