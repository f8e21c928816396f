//! `routes:`: every offer exists, and every route can be reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capabilities::SizeTolerance;
use crate::config::check::checker::Checker;
use crate::config::check::offers::{KnownOffers, offers};
use crate::config::check::{hedge, learn, money, near, prompt, quality, strategy};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{
    Defaults, MOST_VARIANTS, ModelPattern, NearEmbedding, OnDeadline, Provider, Route, RouteCache,
};
use crate::config::provider_kind::ProviderKind;

const DEADLINE: Duration = Duration::from_secs(180);
const MAX_FAILURES: u32 = 6;
const MAX_FAILURES_PER_OFFER: u32 = 2;
/// As OpenAI's own clients wait before their first repeat.
const BACKOFF: Duration = Duration::from_millis(500);
const TOLERANCE_PPM: u32 = 150_000;
const CACHE_TTL: Duration = Duration::from_secs(30 * 86_400);

/// Every route that could be read. `tree` is the whole file.
pub(super) fn routes(
    checker: &mut Checker<'_>,
    routes: &[file::Route],
    tree: NodePath<'_>,
    providers: &BTreeMap<String, Arc<Provider>>,
    kinds: &[ProviderKind],
    clients: &file::Clients,
) -> Vec<Arc<Route>> {
    let at = tree.key("routes");
    if routes.is_empty() && !at.lost_items() {
        let help = "add `routes:` with a list like `- {name: all, offers: [provider/model]}`".to_owned();
        checker.report(at, "there are no routes, so no request could be answered", help);
    }
    let known = KnownOffers { providers, at: tree.key("providers"), kinds };
    let mut earlier: Vec<CheckedRoute<'_>> = Vec::new();
    let mut read = Vec::new();
    for (index, written) in routes.iter().enumerate() {
        let place = at.item(index);
        let route = route(checker, written, place, &known);
        let seen = CheckedRoute { place, route: Arc::new(route), certain: is_certain(place) };
        duplicate_name(checker, &seen, &earlier);
        unreachable(checker, &seen, &earlier, clients);
        read.push(Arc::clone(&seen.route));
        earlier.push(seen);
    }
    read
}

/// A route that was read, and where.
struct CheckedRoute<'t> {
    place: NodePath<'t>,
    route: Arc<Route>,
    /// What it matches was read without a problem.
    certain: bool,
}

fn is_certain(route: NodePath<'_>) -> bool {
    let matches = route.key("match");
    let parts = [matches, matches.key("models"), matches.key("headers")];
    let headers = matches.key("headers");
    let no_header_lost = headers.keys().all(|name| !headers.key(name).is_bad());
    parts.iter().all(|part| !part.is_bad() && !part.lost_items()) && no_header_lost
}

fn duplicate_name(checker: &mut Checker<'_>, seen: &CheckedRoute<'_>, earlier: &[CheckedRoute<'_>]) {
    let name = &seen.route.name;
    if let Some(first) = earlier.iter().find(|earlier| !name.is_empty() && earlier.route.name == *name) {
        let place = seen.place.key("name");
        let what = format!("another route is called {} (line {})", place.shown(), first.place.key("name").line());
        checker.report(place, what, "give each route a name of its own".to_owned());
    }
}

/// A route all of whose requests are taken by one earlier route is a mistake, most often a catch-all that stands too
/// high.
fn unreachable(
    checker: &mut Checker<'_>,
    seen: &CheckedRoute<'_>,
    earlier: &[CheckedRoute<'_>],
    clients: &file::Clients,
) {
    let before = |earlier: &&CheckedRoute<'_>| {
        earlier.certain && covers(&earlier.route, &seen.route) && all_get_there(clients, &earlier.route, &seen.route)
    };
    let covering = earlier.iter().find(before);
    if let Some(first) = covering.filter(|_| seen.certain) {
        let place = match seen.place.key("match") {
            matches if matches.key("models").is_given() => matches.key("models"),
            matches if matches.is_given() => matches,
            _ => seen.place.key("name"),
        };
        let name = first.place.key("name");
        let what = format!("no request gets here: route {} (line {}) takes them all", name.shown(), name.line());
        checker.report(place, what, "put the more general route last".to_owned());
    }
}

/// Whether whoever may use `later` may use `earlier` too: a route that is not for a client takes none of its requests.
fn all_get_there(clients: &file::Clients, earlier: &Route, later: &Route) -> bool {
    let file::Clients::Listed(clients) = clients else { return true };
    clients.iter().filter_map(|client| client.routes.as_ref()).all(|routes| {
        let may = |route: &Route| routes.contains(&route.name);
        !may(later) || may(earlier)
    })
}

/// Whether every request `later` matches is matched by `earlier`.
fn covers(earlier: &Route, later: &Route) -> bool {
    let any = [ModelPattern::Prefix(String::new())];
    let patterns = |route: &'_ Route| if route.models.is_empty() { any.to_vec() } else { route.models.clone() };
    let earlier_patterns = patterns(earlier);
    let covered = |pattern: &ModelPattern| {
        earlier_patterns.iter().any(|wide| match (wide, pattern) {
            (ModelPattern::Exact(wide), ModelPattern::Exact(name)) => wide == name,
            (ModelPattern::Exact(_), ModelPattern::Prefix(_)) => false,
            (ModelPattern::Prefix(wide), ModelPattern::Exact(text) | ModelPattern::Prefix(text)) => {
                text.starts_with(wide)
            }
        })
    };
    earlier.headers.iter().all(|header| later.headers.contains(header)) && patterns(later).iter().all(covered)
}

fn route(checker: &mut Checker<'_>, route: &file::Route, at: NodePath<'_>, known: &KnownOffers<'_>) -> Route {
    let file::Route {
        name: written_name,
        matches: file::Match { models, headers: written_headers },
        offers: written_offers,
        strategy: written_strategy,
        price: file::Limit { max_usd_per_image, max_usd_per_request, budget },
        deadline: written_deadline,
        attempts,
        hedge: written_hedge,
        refusals,
        prompt: written_prompt,
        defaults: written_defaults,
        size,
        strict,
        quality: written_quality,
        cache: written_cache,
    } = route;
    let (deadline, on_deadline) = deadline(checker, written_deadline.as_ref(), at.key("deadline"));
    let limit = at.key("price");
    let (max_failures, max_failures_per_offer, backoff) = self::attempts(checker, attempts, at.key("attempts"));
    let (cache, near_embedding) = cache(checker, written_cache.as_ref(), at.key("cache"), known).unzip();
    let learn = match written_cache {
        Some(file::RouteCache::On(on)) => {
            let near = cache.is_some_and(|cache| cache.near);
            learn::learn(checker, on.learn.as_ref(), at.key("cache").key("learn"), known, near)
        }
        _ => None,
    };
    let name = name(checker, written_name.as_deref(), at.key("name"));
    let alone = written_offers.len() == 1 && !at.key("offers").lost_items();
    let offers = offers(checker, written_offers, at.key("offers"), known);
    let ttl = cache.map_or(CACHE_TTL, |cache| cache.ttl);
    let defaults = self::defaults(checker, written_defaults, at.key("defaults"));
    Route {
        name,
        models: patterns(checker, models.as_deref(), at.key("match").key("models")),
        headers: headers(checker, written_headers, at.key("match").key("headers")),
        strategy: strategy::strategy(checker, written_strategy.as_ref(), at.key("strategy"), &offers),
        hedge: hedge::hedge(checker, written_hedge.as_ref(), at.key("hedge"), alone),
        offers,
        max_usd_per_image: checker.read(limit.key("max_usd_per_image"), max_usd_per_image.as_ref()),
        max_usd_per_request: checker.read(limit.key("max_usd_per_request"), max_usd_per_request.as_ref()),
        budgets: money::budgets(checker, budget.as_ref(), limit.key("budget")),
        deadline,
        on_deadline,
        max_failures,
        max_failures_per_offer,
        backoff,
        refusals_go_on: *refusals == Some(file::Refusals::Next),
        prompt: prompt::prompt(checker, written_prompt, at.key("prompt"), known, ttl),
        quality: quality::gate(checker, written_quality.as_ref(), at.key("quality"), defaults.size),
        defaults,
        size_tolerance: size_tolerance(checker, size, at.key("size"), strict.unwrap_or(false)),
        strict: strict.unwrap_or(false),
        cache,
        learn,
        near_embedding: near_embedding.flatten(),
    }
}

/// How many calls may fail, of all offers and of each, and how long an offer that failed is left alone.
fn attempts(checker: &mut Checker<'_>, written: &file::Attempts, at: NodePath<'_>) -> (u32, u32, Duration) {
    let file::Attempts { max, per_offer, backoff } = written;
    let of_all = checker.count(at.key("max"), *max, 1, MAX_FAILURES);
    let of_each = checker.count(at.key("per_offer"), *per_offer, 1, MAX_FAILURES_PER_OFFER);
    (of_all, of_each, checker.time(at.key("backoff"), backoff.as_ref(), BACKOFF))
}

fn name(checker: &mut Checker<'_>, written: Option<&str>, at: NodePath<'_>) -> String {
    match written {
        None => {
            checker.report(at, "this route has no name", "add `name:`, as logs and metrics will show it".to_owned())
        }
        Some(name) => {
            checker.name(at, name);
        }
    }
    written.unwrap_or_default().to_owned()
}

fn patterns(checker: &mut Checker<'_>, written: Option<&[String]>, at: NodePath<'_>) -> Vec<ModelPattern> {
    let Some(written) = written else { return Vec::new() };
    if written.is_empty() && !at.lost_items() {
        let help = "name models, or leave `models` out to match every name".to_owned();
        checker.report(at, "an empty list matches no request", help);
    }
    let mut patterns = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let place = at.item(index);
        let Some(text) = checker.text(place, Some(text)) else { continue };
        let (prefix, is_prefix) = text.strip_suffix('*').map_or((text.as_str(), false), |prefix| (prefix, true));
        if prefix.contains('*') {
            let what = format!("{}: a `*` may stand only at the end", place.shown());
            checker.report(place, what, None);
        }
        let prefix = prefix.to_owned();
        patterns.push(if is_prefix { ModelPattern::Prefix(prefix) } else { ModelPattern::Exact(prefix) });
    }
    patterns
}

fn headers(checker: &mut Checker<'_>, written: &BTreeMap<String, String>, at: NodePath<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in written {
        let name = checker.header_name(at.name(name), Some(name));
        headers.extend(name.map(|name| (name, value.clone())));
    }
    headers
}

fn deadline(checker: &mut Checker<'_>, written: Option<&file::Deadline>, at: NodePath<'_>) -> (Duration, OnDeadline) {
    let (after, then, place) = match written {
        None => (None, None, at),
        Some(file::Deadline::After(after)) => (Some(after), None, at),
        Some(file::Deadline::Then(file::DeadlineThen { after, then })) => (after.as_ref(), *then, at.key("after")),
    };
    let then = match then {
        None | Some(file::OnDeadline::Partial) => OnDeadline::Partial,
        Some(file::OnDeadline::Fail) => OnDeadline::Fail,
    };
    (checker.some_time(place, after, DEADLINE), then)
}

fn defaults(checker: &mut Checker<'_>, written: &file::Defaults, at: NodePath<'_>) -> Defaults {
    let file::Defaults { size, quality, output_format, response_format } = written;
    Defaults {
        size: checker.read(at.key("size"), size.as_ref()),
        quality: checker.read(at.key("quality"), quality.as_ref()),
        output_format: checker.read(at.key("output_format"), output_format.as_ref()),
        response_format: checker.read(at.key("response_format"), response_format.as_ref()),
    }
}

fn size_tolerance(
    checker: &mut Checker<'_>,
    written: &file::SizeTolerance,
    at: NodePath<'_>,
    strictest: bool,
) -> SizeTolerance {
    let file::SizeTolerance { tolerance, strict } = written;
    let tolerance_ppm = checker.read(at.key("tolerance"), tolerance.as_ref()).unwrap_or(TOLERANCE_PPM);
    SizeTolerance { tolerance_ppm, strict: strictest || strict.unwrap_or(false) }
}

fn cache(
    checker: &mut Checker<'_>,
    written: Option<&file::RouteCache>,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
) -> Option<(RouteCache, Option<Arc<NearEmbedding>>)> {
    let none = file::RouteCacheOn::default();
    let written = match written {
        Some(file::RouteCache::Switch(false)) => return None,
        None | Some(file::RouteCache::Switch(true)) => &none,
        Some(file::RouteCache::On(on)) => on,
    };
    let file::RouteCacheOn { ttl, near, learn: _, variants, edits, share } = written;
    let mut drawn = checker.count(at.key("variants"), *variants, 1, 1);
    if drawn > MOST_VARIANTS {
        let what = format!("must be at most {MOST_VARIANTS}, as many pictures as are kept for one request");
        checker.report(at.key("variants"), what, None);
        drawn = MOST_VARIANTS;
    }
    let (near, near_embedding) = near::near(checker, near.as_ref(), at.key("near"), known);
    let cache = RouteCache {
        ttl: checker.some_time(at.key("ttl"), ttl.as_ref(), CACHE_TTL),
        near,
        variants: drawn,
        edits: edits.unwrap_or(false),
        share_ppm: checker.share(at.key("share"), share.as_ref()),
    };
    Some((cache, near_embedding))
}
