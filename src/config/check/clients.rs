//! `clients:`: every caller has a name, a key that nobody else has, and routes that exist.

use std::sync::Arc;

use crate::config::check::checker::Checker;
use crate::config::check::{money, rates};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Client, Priority, Route};
use crate::config::suggest::instead;

/// Every client that could be read. `tree` is the whole file.
pub(super) fn clients(
    checker: &mut Checker<'_>,
    written: &file::Clients,
    tree: NodePath<'_>,
    routes: &[Arc<Route>],
) -> Vec<Arc<Client>> {
    let (at, mut clients) = (tree.key("clients"), Vec::<Arc<Client>>::new());
    let file::Clients::Listed(written) = written else { return clients };
    if at.is_given() && written.is_empty() && !at.lost_items() {
        let help = "add a client, or write `clients: anyone` to let everybody in".to_owned();
        checker.report(at, "an empty list lets nobody in", help);
    }
    let known = KnownRoutes { routes, at: tree.key("routes") };
    for (index, written) in written.iter().enumerate() {
        let place = at.item(index);
        let Some(client) = client(checker, written, place, &known) else { continue };
        if clients.iter().any(|other| other.name == client.name) {
            let what = format!("{} is the name of another client", place.key("name").shown());
            checker.report(place.key("name"), what, None);
        }
        if clients.iter().any(|other| other.keys.iter().any(|key| client.keys.contains(key))) {
            let help = "give each client a key of its own".to_owned();
            checker.report(place.key("key_sha256"), "another client has the same key", help);
        }
        clients.push(Arc::new(client));
    }
    clients
}

fn client(
    checker: &mut Checker<'_>,
    written: &file::Client,
    at: NodePath<'_>,
    known: &KnownRoutes<'_>,
) -> Option<Client> {
    let file::Client { name, key_sha256, routes: allowed, budget, rate, priority, .. } = written;
    let file::Client { max_usd_per_image, max_usd_per_request, cache_share, .. } = written;
    match name {
        None => checker.report(at.key("name"), "this client has no name", "add `name: web`".to_owned()),
        Some(name) => {
            checker.name(at.key("name"), name);
        }
    }
    let keys = keys(checker, key_sha256.as_ref(), at);
    if let Some(names) = allowed {
        routes(checker, names, at.key("routes"), known);
    }
    Some(Client {
        keys,
        routes: allowed.clone(),
        budgets: money::budgets(checker, budget.as_ref(), at.key("budget")),
        max_usd_per_image: checker.read(at.key("max_usd_per_image"), max_usd_per_image.as_ref()),
        max_usd_per_request: checker.read(at.key("max_usd_per_request"), max_usd_per_request.as_ref()),
        rate: rates::of_client(checker, rate, at.key("rate")),
        priority: match priority {
            None | Some(file::Priority::Live) => Priority::Live,
            Some(file::Priority::Batch) => Priority::Batch,
        },
        cache_share_ppm: checker.share(at.key("cache_share"), cache_share.as_ref()),
        name: name.clone()?,
    })
}

fn keys(checker: &mut Checker<'_>, written: Option<&file::Keys>, client: NodePath<'_>) -> Vec<[u8; 32]> {
    let at = client.key("key_sha256");
    let many = match written {
        None => Vec::new(),
        Some(file::Keys::One(key)) => vec![(key, at)],
        Some(file::Keys::Many(keys)) => keys.iter().enumerate().map(|(index, key)| (key, at.item(index))).collect(),
    };
    if many.is_empty() && !at.lost_items() {
        let help = "add `key_sha256:` with what `printf %s \"$KEY\" | sha256sum` prints".to_owned();
        checker.report(at, "this client has no key", help);
    }
    let read = many.into_iter().filter_map(|(key, place)| {
        let hash = sha256(key.0.reveal().trim());
        if hash.is_none() {
            // What stands here may be the key itself: it is not repeated.
            let help = "write the 64 hex digits that `printf %s \"$KEY\" | sha256sum` prints".to_owned();
            checker.report(place, "this is not a SHA-256", help);
        }
        hash
    });
    read.collect()
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

fn routes(checker: &mut Checker<'_>, names: &[String], at: NodePath<'_>, known: &KnownRoutes<'_>) {
    if names.is_empty() && !at.lost_items() {
        checker.report(at, "an empty list allows nothing", "leave `routes` out to allow all".to_owned());
    }
    for (index, name) in names.iter().enumerate() {
        if known.routes.iter().any(|route| route.name == *name) {
            continue;
        }
        let place = at.item(index);
        let help = if place.is_expanded() { None } else { instead(name, known.shown(), "the routes are") };
        checker.report(place, format!("{} names no route of this file", place.shown()), help);
    }
}

/// The routes of the file.
struct KnownRoutes<'a> {
    routes: &'a [Arc<Route>],
    at: NodePath<'a>,
}

impl KnownRoutes<'_> {
    /// The names that stand in the file as they are. What came from outside is not repeated.
    fn shown(&self) -> impl Iterator<Item = &str> + Clone {
        let own = |index: usize| !self.at.item(index).key("name").is_expanded();
        self.routes.iter().enumerate().filter(move |(index, _)| own(*index)).map(|(_, route)| route.name.as_str())
    }
}
