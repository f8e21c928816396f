//! `server:` and `cache:`: addresses, limits and bounds.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::config::check::cache_words;
use crate::config::check::checker::Checker;
use crate::config::check::tracing::tracing;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{
    Cache, DiskCache, Idempotency, LedgerRules, Limits, LogFormat, LogLevel, LogRules, OnLedgerError, Server, Tls,
};
use crate::config::report::{Finding, Findings};
use crate::secret::Secret;

const LISTEN: &str = "127.0.0.1:8080";
const ADMIN: &str = "127.0.0.1:9901";
const DRAIN: Duration = Duration::from_secs(30);
/// The longest that a load balancer takes to stop sending: AWS's deregistration delay goes up to 3600 s.
const MOST_DRAIN_DELAY: Duration = Duration::from_secs(3600);
const LINK_TTL: Duration = Duration::from_secs(3600);
/// As much as nginx takes. 500 clients who never end a head hold 16 MB of heads then.
const REQUEST_HEADER: usize = 32 << 10;
/// What Pingora reads at the most.
const MOST_REQUEST_HEADER: usize = 1000 << 10;
const REQUEST_BODY: usize = 50 << 20;
/// A prompt of 32,000 characters takes 384 KB where each is escaped.
const GENERATION_BODY: usize = 1 << 20;
/// Two of the largest and half of a third, or eighty photos of 1.5 MB.
const REQUEST_BODIES: usize = 128 << 20;
/// 8K UHD, more than any model draws.
const MASK_PIXELS: u64 = 7680 * 4320;
const RESPONSE_BODY: usize = 64 << 20;
/// Twenty pictures of 2.4 MB in base64, or the largest reply.
const RESPONSE_BODIES: usize = 64 << 20;
const IN_FLIGHT: usize = 1024;
const CONNECTIONS: usize = 4096;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);
const RETENTION: Duration = Duration::from_secs(400 * 86_400);
/// A month that has begun must be there whole, in any time zone.
const LEAST_RETENTION: Duration = Duration::from_secs(62 * 86_400);
/// What Stripe's clients are used to.
const WINDOW: Duration = Duration::from_secs(86_400);
/// One a second for a day and some more; each takes a third of a kilobyte of memory.
const KEYS: usize = 100_000;
/// Four hundred pictures of 2.5 MB: what was not delivered is asked for again within minutes.
const ANSWERS_ON_DISK: u64 = 1 << 30;
/// Twenty-five of them.
const ANSWERS_IN_MEMORY: u64 = 64 << 20;
const MEMORY: u64 = 512 << 20;
const LINKS: u64 = 256 << 20;
const PROMPTS: u64 = 16 << 20;
/// Five thousand pictures of 2 MB.
const DISK: u64 = 10 << 30;
/// The database and what SQLite keeps beside it take up to two of these, and one picture may take a fourth.
const LEAST_DISK: u64 = 16 << 20;

pub(super) fn server(checker: &mut Checker<'_>, server: &file::Server, at: NodePath<'_>) -> Server {
    let file::Server {
        listen,
        admin,
        admin_token,
        tls,
        public_url,
        passthrough,
        hosts,
        cors: file::Cors { origins },
        threads,
        drain,
        drain_delay,
        link_secret,
        link_ttl,
        limits: written_limits,
        state_dir,
        ledger: written_ledger,
        idempotency: written_idempotency,
        log: written_log,
        dashboard: file::Dashboard { pictures },
        tracing: written_tracing,
    } = server;
    let (listen, admin) = listeners(checker, listen.as_deref(), admin.as_deref(), at);
    Server {
        listen,
        tls: tls.as_ref().and_then(|tls| self::tls(checker, tls, at.key("tls"))),
        admin,
        admin_token: secret(checker, at.key("admin_token"), admin_token.as_ref()),
        public_url: public_url.as_deref().and_then(|url| self::public_url(checker, at.key("public_url"), url)),
        passthrough: passthrough.as_deref().and_then(|url| origin(checker, at.key("passthrough"), url)),
        hosts: each(checker, hosts, at.key("hosts"), host),
        cors: each(checker, origins, at.key("cors").key("origins"), page),
        threads: threads.map(|threads| checker.count(at.key("threads"), Some(threads), 1, 1)),
        drain: checker.time(at.key("drain"), drain.as_ref(), DRAIN),
        drain_delay: self::drain_delay(checker, drain_delay.as_ref(), at.key("drain_delay")),
        limits: limits(checker, written_limits, at.key("limits")),
        link_secret: secret(checker, at.key("link_secret"), link_secret.as_ref()),
        link_ttl: checker.some_time(at.key("link_ttl"), link_ttl.as_ref(), LINK_TTL),
        state_dir: checker.text(at.key("state_dir"), state_dir.as_deref()).map(Into::into),
        ledger: ledger(checker, written_ledger, at.key("ledger")),
        idempotency: idempotency(checker, written_idempotency, state_dir.is_some(), at.key("idempotency")),
        log: log(written_log),
        dashboard_pictures: *pictures,
        tracing: written_tracing.as_ref().and_then(|written| tracing(checker, written, at.key("tracing"))),
    }
}

/// The addresses of clients and operators, which must differ.
fn listeners(
    checker: &mut Checker<'_>,
    listen: Option<&str>,
    admin: Option<&str>,
    at: NodePath<'_>,
) -> (String, String) {
    let listen = address(checker, at.key("listen"), listen, LISTEN);
    let admin = address(checker, at.key("admin"), admin, ADMIN);
    if listen == admin && !listen.ends_with(":0") {
        let place = if at.key("admin").is_given() { at.key("admin") } else { at.key("listen") };
        let help = "give `listen` and `admin` different ports".to_owned();
        checker.report(place, format!("clients and admin cannot share {}", place.shown()), help);
    }
    (listen, admin)
}

/// How long a server that is told to stop serves on. Whoever stops it waits for that, so it has an end.
fn drain_delay(checker: &mut Checker<'_>, written: Option<&file::Time>, at: NodePath<'_>) -> Duration {
    let delay = checker.time(at, written, Duration::ZERO);
    if delay > MOST_DRAIN_DELAY {
        let what = format!("{} is longer than anything waits for a server to stop", at.shown());
        checker.report(at, what, "write at most 1h, and 5s to 30s for most load balancers".to_owned());
    }
    delay.min(MOST_DRAIN_DELAY)
}

fn secret(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&file::Hidden>) -> Option<Secret> {
    checker.text(at, written.map(|secret| secret.0.reveal())).map(Secret::new)
}

/// Notes an address that others than this machine reach, where nobody is asked who he is.
pub(super) fn warn_remote_refused(findings: &mut Findings, server: &Server, tree: NodePath<'_>) {
    let (at, clients) = (tree.key("server").key("listen"), tree.key("clients"));
    if server.is_local() || at.is_bad() || clients.is_bad() || clients.lost_items() {
        return;
    }
    let what = format!("whoever reaches {} could spend your money, so only this machine is served", at.shown());
    let help = "list `clients`, listen on 127.0.0.1, or write `clients: anyone` to mean it";
    findings.add(Finding::new(at.span(), what, Some(help)));
}

fn log(written: &file::Log) -> LogRules {
    let file::Log { format, level, prompts } = written;
    let format = format.map(|format| match format {
        file::LogFormat::Json => LogFormat::Json,
        file::LogFormat::Text => LogFormat::Text,
    });
    let level = match level.unwrap_or(file::LogLevel::Info) {
        file::LogLevel::Error => LogLevel::Error,
        file::LogLevel::Warn => LogLevel::Warn,
        file::LogLevel::Info => LogLevel::Info,
        file::LogLevel::Debug => LogLevel::Debug,
    };
    LogRules { format, level, prompts: *prompts }
}

fn ledger(checker: &mut Checker<'_>, written: &file::Ledger, at: NodePath<'_>) -> LedgerRules {
    let file::Ledger { retention, on_error } = written;
    let retention = checker.time(at.key("retention"), retention.as_ref(), RETENTION);
    if retention < LEAST_RETENTION {
        let help = "write at least 62d: budgets of a month are read from it".to_owned();
        checker.report(at.key("retention"), "is too short a time", help);
    }
    let on_error = match on_error {
        None | Some(file::OnLedgerError::Refuse) => OnLedgerError::Refuse,
        Some(file::OnLedgerError::Continue) => OnLedgerError::Continue,
    };
    LedgerRules { retention, on_error }
}

fn idempotency(checker: &mut Checker<'_>, written: &file::Idempotency, on_disk: bool, at: NodePath<'_>) -> Idempotency {
    let file::Idempotency { window, keys, pictures } = written;
    let room = if on_disk { ANSWERS_ON_DISK } else { ANSWERS_IN_MEMORY };
    Idempotency {
        window: checker.some_time(at.key("window"), window.as_ref(), WINDOW),
        keys: checker.count(at.key("keys"), *keys, 1, KEYS),
        pictures: bytes(checker, at.key("pictures"), pictures.as_ref(), room),
    }
}

/// The cache's bounds in memory, and its directory.
pub(super) fn cache(
    checker: &mut Checker<'_>,
    cache: &file::Cache,
    at: NodePath<'_>,
    state_dir: Option<&Path>,
) -> (Cache, Option<DiskCache>) {
    let file::Cache { memory, links, prompts, words, disk } = cache;
    let bounds = Cache {
        memory: bytes(checker, at.key("memory"), memory.as_ref(), MEMORY),
        links: bytes(checker, at.key("links"), links.as_ref(), LINKS),
        prompts: bytes(checker, at.key("prompts"), prompts.as_ref(), PROMPTS),
        words: cache_words::words(checker, words, at.key("words")),
    };
    (bounds, disk.as_ref().and_then(|disk| self::disk(checker, disk, at.key("disk"), state_dir)))
}

fn disk(
    checker: &mut Checker<'_>,
    written: &file::DiskCache,
    at: NodePath<'_>,
    state_dir: Option<&Path>,
) -> Option<DiskCache> {
    let file::DiskCache { dir, size } = written;
    let beside = |state_dir: &Path| state_dir.join("pictures").display().to_string();
    if dir.is_none() && !at.key("dir").is_bad() {
        let like = state_dir.map_or_else(|| "./cache".to_owned(), beside);
        checker.report(at, "this does not say where", format!("add `dir:`, a directory of its own, like {like}"));
    }
    let size = checker.read(at.key("size"), size.as_ref()).unwrap_or(DISK);
    if size < LEAST_DISK {
        let what = format!("{} has no room for pictures", at.key("size").shown());
        checker.report(at.key("size"), what, "write at least 16MiB".to_owned());
    }
    let dir: PathBuf = checker.text(at.key("dir"), dir.as_deref())?.into();
    // `./state` and `state/` are the same.
    let plain = |path: &Path| path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>();
    if let Some(state_dir) = state_dir.filter(|state_dir| plain(state_dir) == plain(&dir)) {
        let what = format!("{} is `server.state_dir`, which is the ledger's", at.key("dir").shown());
        checker.report(at.key("dir"), what, format!("write a directory of its own, like {}", beside(state_dir)));
    }
    Some(DiskCache { dir, size })
}

fn limits(checker: &mut Checker<'_>, written: &file::Limits, at: NodePath<'_>) -> Limits {
    let request_body = bytes(checker, at.key("request_body"), written.request_body.as_ref(), REQUEST_BODY);
    let response_body = bytes(checker, at.key("response_body"), written.response_body.as_ref(), RESPONSE_BODY);
    let time = |checker: &mut Checker<'_>, key: &str, written: &Option<file::Time>, default: Duration| {
        checker.some_time(at.key(key), written.as_ref(), default)
    };
    let file::Limits { generation_body, request_bodies, response_bodies, .. } = written;
    Limits {
        request_header: request_header(checker, written.request_header.as_ref(), at.key("request_header")),
        request_body,
        generation_body: bytes(checker, at.key("generation_body"), generation_body.as_ref(), GENERATION_BODY),
        request_bodies: together(
            checker,
            at.key("request_bodies"),
            request_bodies.as_ref(),
            REQUEST_BODIES,
            ("request_body", request_body),
        ),
        mask_pixels: checker.count(at.key("mask_pixels"), written.mask_pixels, 1, MASK_PIXELS),
        response_body,
        response_bodies: together(
            checker,
            at.key("response_bodies"),
            response_bodies.as_ref(),
            RESPONSE_BODIES,
            ("response_body", response_body),
        ),
        in_flight: checker.count(at.key("in_flight"), written.in_flight, 1, IN_FLIGHT),
        connections: checker.count(at.key("connections"), written.connections, 1, CONNECTIONS),
        header_timeout: time(checker, "header_timeout", &written.header_timeout, HEADER_TIMEOUT),
        keepalive_timeout: time(checker, "keepalive_timeout", &written.keepalive_timeout, KEEPALIVE_TIMEOUT),
        body_timeout: time(checker, "body_timeout", &written.body_timeout, BODY_TIMEOUT),
        send_timeout: time(checker, "send_timeout", &written.send_timeout, SEND_TIMEOUT),
        heartbeat: time(checker, "heartbeat", &written.heartbeat, HEARTBEAT),
    }
}

/// The largest head of a request, at most what is read of one.
fn request_header(checker: &mut Checker<'_>, written: Option<&file::Bytes>, at: NodePath<'_>) -> usize {
    let largest = bytes(checker, at, written, REQUEST_HEADER);
    if largest > MOST_REQUEST_HEADER {
        let what = format!("{} is more than is read of a head", at.shown());
        checker.report(at, what, "write at most 1000KiB".to_owned());
        return REQUEST_HEADER;
    }
    largest
}

/// What several bodies may take at once: at least as much as the largest of them, whose limit is called `one`.
fn together(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: Option<&file::Bytes>,
    default: usize,
    (one, largest): (&str, usize),
) -> usize {
    let bytes = bytes(checker, at, written, default.max(largest));
    if bytes < largest {
        let help = format!("write at least as much as '{one}'");
        checker.report(at, format!("{} is less than the largest of them", at.shown()), help);
    }
    bytes.max(largest)
}

/// Memory, at least one byte.
fn bytes<T: TryFrom<u64>>(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&file::Bytes>, default: T) -> T {
    let bytes = checker.read(at, written);
    checker.count(at, bytes, 1, default)
}

/// `host:port`, where the host may be a name, an address or a bracketed IPv6 address.
fn address(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&str>, default: &str) -> String {
    let Some(text) = checker.text(at, written) else { return default.to_owned() };
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let known = if bracketed {
            host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty() && host.chars().all(plain)
        };
        known && digits && port.parse::<u16>().is_ok()
    });
    if !good {
        let help = format!("write an address and a port, like {default}");
        checker.report(at, format!("{} is not host:port", at.shown()), help);
        return default.to_owned();
    }
    text
}

fn tls(checker: &mut Checker<'_>, tls: &file::Tls, at: NodePath<'_>) -> Option<Tls> {
    let file::Tls { cert, key } = tls;
    let mut file = |name: &str, written: Option<&str>| {
        let place = at.key(name);
        if written.is_none() {
            checker.report(
                place,
                format!("`tls` needs `{name}` too"),
                format!("add `{name}:` with the name of a PEM file"),
            );
        }
        checker.text(place, written)
    };
    let (cert, key) = (file("cert", cert.as_deref()), file("key", key.as_deref()));
    Some(Tls { cert: cert?.into(), key: key?.into() })
}

/// An address links are built on: its path, if any, without the slash at its end. (A URL without a path still prints
/// one slash; that is the `url` crate's form of "no path".)
fn public_url(checker: &mut Checker<'_>, at: NodePath<'_>, written: &str) -> Option<Url> {
    let mut url = checker.url(at, Some(written))?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

/// Every item of a list that could be read.
fn each(
    checker: &mut Checker<'_>,
    written: &[String],
    at: NodePath<'_>,
    read: fn(&mut Checker<'_>, NodePath<'_>, &str) -> Option<String>,
) -> Vec<String> {
    written.iter().enumerate().filter_map(|(index, text)| read(checker, at.item(index), text)).collect()
}

/// A name of the server's own, without a port: it is the same server at every one.
fn host(checker: &mut Checker<'_>, at: NodePath<'_>, written: &str) -> Option<String> {
    let text = checker.text(at, Some(written))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.chars().all(plain) {
        checker.report(at, format!("{} is not a host's name", at.shown()), "write it like easel.internal".to_owned());
        return None;
    }
    Some(text.trim_end_matches('.').to_ascii_lowercase())
}

/// A web page's origin as browsers send it, whatever its scheme is. `*` is none: each is named.
fn page(checker: &mut Checker<'_>, at: NodePath<'_>, written: &str) -> Option<String> {
    let text = checker.text(at, Some(written))?;
    let origin = text.split_once("://").filter(|(scheme, rest)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let part = |c: char| plain(c) || matches!(c, ':' | '[' | ']' | '_');
        !scheme.is_empty() && scheme.chars().all(plain) && !rest.is_empty() && rest.chars().all(part)
    });
    let Some((scheme, _)) = origin else {
        let help = match text == "*" {
            true => "name each origin: whoever may ask can spend your money",
            false => "write scheme, host and port alone, like https://ui.example.com or http://localhost:3000",
        };
        checker.report(at, format!("{} is not an origin", at.shown()), help.to_owned());
        return None;
    };
    let sent = match scheme.to_ascii_lowercase().as_str() {
        // A browser leaves out the port that its scheme implies.
        "http" | "https" => checker.url(at, Some(&text))?.origin().ascii_serialization(),
        _ => text.to_ascii_lowercase(),
    };
    Some(sent)
}

/// Scheme, host and port only: requests keep their own path.
fn origin(checker: &mut Checker<'_>, at: NodePath<'_>, written: &str) -> Option<Url> {
    let url = checker.url(at, Some(written))?;
    if url.path() != "/" {
        let help = (!at.is_expanded()).then(|| format!("write `{}`", url.origin().ascii_serialization()));
        checker.report(at, "must not have a path: requests keep their own", help);
        return None;
    }
    Some(url)
}
