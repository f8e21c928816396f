//! Addresses that lead elsewhere than was meant: with an endpoint's path, without a version, to Easel itself, to a
//! machine that clients do not reach.

use std::net::IpAddr;

use url::{Host, Url};

use crate::config::node_path::NodePath;
use crate::config::plan::{Plan, Provider, Server};
use crate::config::provider_kind::ProviderKind;
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;

/// The ends of paths that adapters add by themselves.
const ENDPOINTS: [&str; 13] = [
    "images/generations",
    "images/edits",
    "images/variations",
    "images",
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "messages",
    "predictions",
    "models",
    "stable-image/generate",
    "services/aigc",
];

/// The kind of servers that are roughly like OpenAI's, which have `v1` in their addresses as OpenAI's has.
const LIKE_OPENAI: &str = "openai_compatible";

/// Ends of names that are known within some network alone.
const INNER_NAMES: [&str; 10] =
    [".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".svc", ".test", ".home.arpa"];

pub(super) fn addresses(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>, kinds: &[ProviderKind]) {
    for (name, provider) in &plan.providers {
        let at = tree.key("providers").key(name).key("base_url");
        if !endpoint(warner, provider, at) {
            version(warner, provider, at, kinds);
        }
        to_itself(warner, &plan.server, &provider.account.base_url, at, &format!("provider `{name}`"));
    }
    let at = tree.key("server");
    if let Some(passthrough) = &plan.server.passthrough {
        to_itself(warner, &plan.server, passthrough, at.key("passthrough"), "`passthrough`");
    }
    if let Some(tracing) = &plan.server.tracing {
        to_itself(warner, &plan.server, &tracing.otlp, at.key("tracing").key("otlp"), "`otlp`");
    }
    links(warner, &plan.server, at);
}

/// Whether an address is on this machine.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Whether an address is on this machine or in a network of one's own, as far as its words tell.
pub(super) fn is_within(url: &Url) -> bool {
    let private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    };
    match url.host() {
        Some(Host::Ipv4(ip)) => private(ip.into()),
        Some(Host::Ipv6(ip)) => private(IpAddr::from(ip).to_canonical()),
        Some(Host::Domain(name)) => !name.contains('.') || INNER_NAMES.iter().any(|end| name.ends_with(end)),
        None => true,
    }
}

/// Warns of an address with an endpoint's path.
fn endpoint(warner: &mut Warner, provider: &Provider, at: NodePath<'_>) -> bool {
    let url = &provider.account.base_url;
    let path = url.path().trim_end_matches('/');
    let dialect = provider.account.dialect.path.trim_matches('/');
    let found = std::iter::once(dialect).chain(ENDPOINTS).filter(|end| !end.is_empty());
    let Some(end) = found.into_iter().find(|end| path == format!("/{end}") || path.ends_with(&format!("/{end}")))
    else {
        return false;
    };
    let mut short = url.clone();
    short.set_path(path.strip_suffix(end).unwrap_or(path));
    let help = match at.is_expanded() {
        true => format!("leave `{end}` out"),
        false => format!("write `{short}`"),
    };
    warner.warn(
        Warning::EndpointInBaseUrl,
        at,
        format!("Easel adds the path of an endpoint by itself, and `{end}` is one"),
        &help,
    );
    true
}

/// Warns of an address without a version, where the kind's own has one.
fn version(warner: &mut Warner, provider: &Provider, at: NodePath<'_>, kinds: &[ProviderKind]) {
    let kind = kinds.iter().find(|kind| kind.name == provider.kind);
    let usual = match kind.and_then(|kind| kind.default_base_url) {
        Some(url) => url.parse::<Url>().ok().and_then(|url| versioned(url.path()).map(str::to_owned)),
        None if provider.kind == LIKE_OPENAI => Some("v1".to_owned()),
        None => None,
    };
    let Some(usual) = usual.filter(|_| at.is_given()) else { return };
    let account = &provider.account;
    // Whoever writes a path of his own says how that server's addresses are.
    let own = provider.kind == LIKE_OPENAI && account.dialect.path != "images/generations";
    if own || versioned(account.base_url.path()).is_some() {
        return;
    }
    let mut longer = account.base_url.clone();
    longer.set_path(&format!("{}{usual}/", account.base_url.path()));
    let help = match at.is_expanded() {
        true => format!("add `{usual}/` if that is where the server has its endpoints"),
        false => format!("write `{longer}`, if that is where the server has its endpoints"),
    };
    let what = format!("addresses of kind {} usually end in `{usual}/`, and this one has no version", provider.kind);
    warner.warn(Warning::BaseUrlWithoutVersion, at, what, &help);
}

/// The part of a path that is a version: `v1`, `v1beta`, `v2`.
fn versioned(path: &str) -> Option<&str> {
    path.split('/')
        .find(|part| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

/// Warns of an address at which this Easel listens itself: requests would go round until they are too many.
fn to_itself(warner: &mut Warner, server: &Server, url: &Url, at: NodePath<'_>, who: &str) {
    // No server has a name that ends so: it stands for an address that is not here.
    if url.host_str().is_some_and(|host| host.ends_with(".invalid")) {
        return;
    }
    let listens = |address: &str, own_names: bool| {
        let (host, port) = address.rsplit_once(':')?;
        let same_port = port.parse().ok() == url.port_or_known_default() && port != "0";
        let host = host.trim_matches(['[', ']']);
        let everywhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let named = url.host_str().map(|name| name.trim_matches(['[', ']'])).unwrap_or_default();
        let unspecified = named.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        let here = (is_this_machine(url) || unspecified) && (everywhere || local);
        let own = own_names && server.hosts.iter().any(|own| own == named);
        (same_port && (here || own || named == host)).then_some(())
    };
    let public = server.public_url.as_ref().is_some_and(|public| public.origin() == url.origin());
    let itself = listens(&server.listen, true).or_else(|| listens(&server.admin, false)).is_some();
    if itself || public {
        let what = format!("{who} leads to this Easel itself, so a request goes round and round");
        warner.warn(Warning::LeadsToItself, at, what, "write the address of the other server");
    }
}

/// Warns of links that whoever is not on this machine cannot open.
fn links(warner: &mut Warner, server: &Server, at: NodePath<'_>) {
    let Some((host, port)) = server.listen.rsplit_once(':') else { return };
    let help = "set `server.public_url` to how clients reach this server";
    let any = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    match &server.public_url {
        None if any => {
            let what = format!(
                "`server.public_url` is not set: links to pictures lead to port {port} of a loopback address, which \
                 only this machine reaches"
            );
            warner.warn(Warning::LocalLinks, at.key("listen"), what, help);
        }
        Some(url) if is_this_machine(url) && !server.is_local() => {
            let what = format!(
                "links to pictures lead to {}, which only this machine reaches",
                url.host_str().unwrap_or("it")
            );
            warner.warn(Warning::LocalLinks, at.key("public_url"), what, help);
        }
        _ => {}
    }
}
