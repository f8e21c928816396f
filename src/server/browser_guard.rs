//! Guards against web pages: which requests come from a page that has no business here.
//!
//! Any page that a browser on this machine shows can make it send a form to a loopback address, without asking first. A
//! page can also have its own name re-bound to such an address, and then reads the answers. What a page cannot do is to
//! leave out or forge `origin`, `sec-fetch-site` and `host`. Programs send none of the first two, and call this server
//! whatever their network calls it. So a request with the marks of a browser is held to both its page and its host, and
//! one without them only where nothing but a browser would be refused (see [`HostCheck`]).
//!
//! Where clients have keys, none of this is asked: a page does not have one. Operators' pages are asked, token or not.
//! There a link that a person follows is let in, whatever page it stands on: who set it sees nothing of the answer.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderName;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use url::Url;

use crate::config::plan::Server;
use crate::error::{Error, ErrorKind};

/// `sec-fetch-site`, by which a browser says how near the page is that made it send a request.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// `sec-fetch-mode`, by which a browser says whether it goes to the address or only fetches from it.
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// `sec-fetch-dest`, by which a browser says what is to become of the answer.
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Names that only a machine's own resolver gives it, and under which containers know their host.
const LOCAL: [&str; 3] = ["localhost", "host.docker.internal", "host.containers.internal"];

/// The most of a header that an error repeats.
const SHOWN: usize = 100;

/// What a request says of where it comes from; `?` stands for what is no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginHeaders<'a> {
    /// What it calls this server, the port included.
    pub host: Option<&'a str>,
    /// The page that sent it.
    pub origin: Option<&'a str>,
    /// How near that page is.
    pub site: Option<&'a str>,
    /// The browser goes there with a window of its own, and reads.
    pub follows_link: bool,
}

impl<'a> OriginHeaders<'a> {
    /// Reads them off a request.
    pub fn of(request: &'a Parts) -> OriginHeaders<'a> {
        let header = |name: &HeaderName| request.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let authority = request.uri.authority().map(http::uri::Authority::as_str);
        let follows_link = request.method == http::Method::GET
            && header(&MODE) == Some("navigate")
            && header(&DESTINATION) == Some("document");
        let host = authority.or_else(|| header(&HOST));
        OriginHeaders { host, origin: header(&ORIGIN), site: header(&SITE), follows_link }
    }

    /// Whether a page sent it. What a person typed into a browser (`none`) no page has sent.
    fn is_of_a_page(self) -> bool {
        self.origin.is_some() || self.site.is_some_and(|site| site != "none")
    }
}

/// Which requests must call this server by a name of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// Pages. Programs may call it what they like, as the name of a container or of a service.
    Clients,
    /// Everybody. A re-bound page that only reads sends no mark over plain HTTP, and this one is read.
    Operators,
    /// Pages, none of which the config can let in. A program has a token, or comes over a network that has its own names.
    OperatorsPages,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignOrigin {
    /// A page sent it whose origin is neither this server's nor named in the config.
    Origin,
    /// A page of another site sent it, without saying which.
    Site,
    /// It calls this server by a name that is not its own.
    Host,
}

impl ForeignOrigin {
    /// The 403 that says which header it is and what to configure.
    pub fn error(self, signs: OriginHeaders<'_>) -> Error {
        let (kind, header, value, help) = match self {
            ForeignOrigin::Origin => (
                ErrorKind::ForeignOrigin,
                "origin",
                signs.origin,
                "is of a web page that this server does not know. To serve it, name it in 'server.cors.origins'",
            ),
            ForeignOrigin::Site => (
                ErrorKind::CrossSite,
                "sec-fetch-site",
                signs.site,
                "says that a web page of another site sent this. To serve it, name its origin in 'server.cors.origins' \
                 and let it ask with CORS",
            ),
            ForeignOrigin::Host => (
                ErrorKind::ForeignHost,
                "host",
                signs.host,
                "is not a name of this server. If it should be, add it to 'server.hosts'",
            ),
        };
        let value: String = value.unwrap_or_default().chars().take(SHOWN).collect();
        Error::new(kind, format!("'{header}: {value}' {help}.")).with_param(header)
    }
}

/// Whether a request may be served: `None` is yes.
pub fn foreign(signs: OriginHeaders<'_>, server: &Server, host_check: HostCheck) -> Option<ForeignOrigin> {
    let is_ours = |host: Option<&str>| host.is_none_or(|host| ours(host, server));
    if !signs.is_of_a_page() {
        return (host_check == HostCheck::Operators && !is_ours(signs.host)).then_some(ForeignOrigin::Host);
    }
    if let Some(origin) = signs.origin {
        let named = host_check == HostCheck::Clients && server.cors.iter().any(|named| named == origin);
        if named || server.public_url.as_ref().is_some_and(|url| url.origin().ascii_serialization() == origin) {
            // Whichever way it came here: the page is one of ours, and no other can say so.
            return None;
        }
        // A page and the server it came from have the same host and port. The scheme may differ where TLS ends earlier.
        let page = origin.split_once("://").map(|(_, authority)| authority);
        if page.is_none_or(|page| signs.host.is_none_or(|host| !page.eq_ignore_ascii_case(host))) {
            return Some(ForeignOrigin::Origin);
        }
    } else if signs.site == Some("cross-site") && !(signs.follows_link && host_check != HostCheck::Clients) {
        return Some(ForeignOrigin::Site);
    }
    (!is_ours(signs.host)).then_some(ForeignOrigin::Host)
}

/// Whether nobody else can have the name: re-binding needs a name, so an address is always ours.
fn ours(host: &str, server: &Server) -> bool {
    let name = name(host);
    let is = |own: &str| own.eq_ignore_ascii_case(name);
    let address = |text: &str| text.parse::<IpAddr>().is_ok();
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bracketed.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
        || address(name)
        || LOCAL.into_iter().any(is)
        || name.to_ascii_lowercase().ends_with(".localhost")
        || server.hosts.iter().any(|host| is(host))
        || server.public_url.as_ref().and_then(Url::host_str).is_some_and(is)
        || [&server.listen, &server.admin].into_iter().any(|listen| is(self::name(listen)))
}

/// A host without its port, and without the dot that ends a whole name.
fn name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::gateway::config_loader::ProcessEnv;

    fn server(more: &str) -> Server {
        let text = format!(
            "server: {{hosts: [easel, Pics.internal], {more}}}
providers: {{home: {{kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {{flux: {{price: 0.002}}}}}}}}
routes: [{{name: all, offers: [home/flux]}}]"
        );
        match crate::reload::check("test.yaml", &text, &ProcessEnv) {
            Ok(plan) => plan.server,
            Err(error) => panic!("{error}"),
        }
    }

    fn signs<'a>(host: &'a str, origin: &'a str, site: &'a str) -> OriginHeaders<'a> {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        OriginHeaders { host: some(host), origin: some(origin), site: some(site), follows_link: false }
    }

    #[test]
    fn a_program_is_served_whatever_it_calls_this_server_and_reads_what_is_the_operators_by_a_name_of_ours() {
        let server = server("");
        for host in ["127.0.0.1:8080", "[::1]:8080", "localhost", "10.1.2.3", "easel:8080", "pics.INTERNAL.", ""] {
            for host_check in [HostCheck::Clients, HostCheck::Operators] {
                assert_eq!(foreign(signs(host, "", ""), &server, host_check), None, "{host}");
            }
        }
        for host in ["evil.example", "localhost.evil.example:9901", "127.0.0.1.evil.example", "[::1].evil.example"] {
            assert_eq!(foreign(signs(host, "", ""), &server, HostCheck::Clients), None, "{host}");
            assert_eq!(
                foreign(signs(host, "", ""), &server, HostCheck::Operators),
                Some(ForeignOrigin::Host),
                "{host}"
            );
        }
        // What a person typed is no page's doing.
        assert_eq!(foreign(signs("any.example", "", "none"), &server, HostCheck::Clients), None);
    }

    #[test]
    fn a_page_is_served_if_it_came_from_here_or_is_named() {
        let server = server("public_url: 'https://pics.example/sub', cors: {origins: ['http://ui.test:3000']}");
        for (host, origin, site) in [
            ("localhost:8080", "http://localhost:8080", "same-origin"),
            ("easel:8080", "http://easel:8080", ""),
            ("10.1.2.3:8080", "http://10.1.2.3:8080", ""),
            ("pics.example", "https://pics.example", "same-origin"),
            ("127.0.0.1:8080", "https://pics.example", "same-origin"),
            ("127.0.0.1:8080", "http://ui.test:3000", "cross-site"),
            ("localhost:8080", "", "same-site"),
        ] {
            assert_eq!(foreign(signs(host, origin, site), &server, HostCheck::Clients), None, "{host} {origin} {site}");
        }
        // Who may ask for pictures may not therefore read what was paid.
        let read = signs("127.0.0.1:9901", "http://ui.test:3000", "cross-site");
        for host_check in [HostCheck::Operators, HostCheck::OperatorsPages] {
            assert_eq!(foreign(read, &server, host_check), Some(ForeignOrigin::Origin));
        }
    }

    #[test]
    fn every_other_page_is_refused_with_the_header_that_gives_it_away() {
        let server = server("cors: {origins: ['http://ui.test:3000']}");
        for (host, origin, site, reason) in [
            ("127.0.0.1:8080", "http://evil.example", "cross-site", ForeignOrigin::Origin),
            ("127.0.0.1:8080", "http://127.0.0.1:3000", "same-site", ForeignOrigin::Origin),
            ("127.0.0.1:8080", "null", "cross-site", ForeignOrigin::Origin),
            ("127.0.0.1:8080", "http://ui.test", "", ForeignOrigin::Origin),
            ("127.0.0.1:8080", "", "cross-site", ForeignOrigin::Site),
            ("evil.example:8080", "http://evil.example:8080", "same-origin", ForeignOrigin::Host),
            ("evil.example:8080", "", "same-origin", ForeignOrigin::Host),
            ("", "http://evil.example", "", ForeignOrigin::Origin),
        ] {
            let signs = signs(host, origin, site);
            assert_eq!(foreign(signs, &server, HostCheck::Clients), Some(reason), "{host} {origin} {site}");
            for host_check in [HostCheck::Operators, HostCheck::OperatorsPages] {
                assert_eq!(foreign(signs, &server, host_check), Some(reason), "{host} {origin} {site}");
            }
        }
    }

    #[test]
    fn a_link_to_an_operators_page_is_followed_from_anywhere_and_by_a_name_of_this_server_alone() {
        let server = server("");
        let follow = |host| OriginHeaders { follows_link: true, ..signs(host, "", "cross-site") };
        let ours = follow("localhost:9901");
        for host_check in [HostCheck::Operators, HostCheck::OperatorsPages] {
            assert_eq!(foreign(ours, &server, host_check), None);
            assert_eq!(foreign(follow("evil.example"), &server, host_check), Some(ForeignOrigin::Host));
            // A form that is sent there is no link.
            let form = OriginHeaders { origin: Some("http://evil.example"), ..ours };
            assert_eq!(foreign(form, &server, host_check), Some(ForeignOrigin::Origin));
        }
        assert_eq!(foreign(ours, &server, HostCheck::Clients), Some(ForeignOrigin::Site));
    }

    #[test]
    fn a_refusal_names_the_header_and_what_to_configure() {
        for (reason, code, key) in [
            (ForeignOrigin::Origin, "foreign_origin", "server.cors.origins"),
            (ForeignOrigin::Site, "cross_site", "server.cors.origins"),
            (ForeignOrigin::Host, "foreign_host", "server.hosts"),
        ] {
            let error = reason.error(signs("evil.example", &"x".repeat(5000), "cross-site"));
            assert_eq!((error.code(), error.kind.status()), (code, 403));
            assert!(error.message.contains(key) && error.message.len() < 400, "{}", error.message);
        }
    }
}
