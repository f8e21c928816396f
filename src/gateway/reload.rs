//! Config changes without a restart: watch the file, check the new text whole, then swap once.
//!
//! The file is polled by content instead of watched for events: that sees an editor's rename-and-replace, a
//! Kubernetes symlink swap, a bind mount and a network disk alike, and costs one small read. A change counts when two
//! looks in a row agree, so a half-written file is usually never seen; if it is, it changes nothing and is reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::plan::Plan;
use crate::config::{self, Kind, Lookup, Problems, Source};
use crate::gateway::Gateway;
use crate::provider;

/// Time between two looks at the file.
const LOOK: Duration = Duration::from_millis(250);

/// Why a config file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// It cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
    /// It has problems.
    #[error("{0}")]
    Problems(Problems),
}

/// The environment and files of this process.
pub struct Os;

impl Lookup for Os {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// The wire formats a config may name.
pub fn kinds() -> Vec<Kind> {
    provider::ALL
        .iter()
        .map(|provider| Kind {
            name: provider.name(),
            default_base_url: provider.default_base_url(),
            needs_key: provider.needs_key(),
            known_models: provider.known_models(),
        })
        .collect()
}

/// Reads and checks a config file.
pub fn load(path: &Path, lookup: &dyn Lookup) -> Result<Plan, NotLoaded> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| NotLoaded::Unreadable { path: name.clone(), why: error.to_string() })?;
    check(&name, &text, lookup)
}

/// Checks config text; `name` is printed with its problems.
pub fn check(name: &str, text: &str, lookup: &dyn Lookup) -> Result<Plan, NotLoaded> {
    config::load(&Source { name, text }, &kinds(), lookup).map_err(NotLoaded::Problems)
}

/// Loads the file anew and puts it in force, or reports why not.
pub fn reload(gateway: &Gateway, path: &Path, lookup: &dyn Lookup) {
    let before = gateway.live();
    let taken = match load(path, lookup) {
        Ok(plan) => {
            warn_of_restart(&before.plan, &plan);
            gateway.replace(plan).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match taken {
        Ok(version) => log::info!("config version {version} is in force"),
        Err(problems) => {
            gateway.shared.metrics.reload_success.set(0);
            log::error!("the changed config is not taken, version {} stays in force:\n{problems}", before.version);
        }
    }
}

/// Addresses are bound once; saying so beats silence.
fn warn_of_restart(old: &Plan, new: &Plan) {
    let (old, new) = (&old.server, &new.server);
    let changed = [
        ("listen", old.listen != new.listen),
        ("admin", old.admin != new.admin),
        ("tls", old.tls != new.tls),
        ("threads", old.threads != new.threads),
    ];
    for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
        log::warn!("server.{key} changed: this takes effect after a restart");
    }
}

/// Watches `path`, and the secret files it names, for as long as the process lives. A message on `now` (SIGHUP)
/// reloads at once, changed or not.
pub async fn watch(
    gateway: Arc<Gateway>,
    path: PathBuf,
    lookup: Arc<dyn Lookup + Send + Sync>,
    mut now: mpsc::Receiver<()>,
) {
    let seen = Arc::new(Seen::new(lookup));
    let watched = path.clone();
    let mut in_force = seen.clone().fingerprint(&path, true).await;
    let mut last = in_force.clone();
    loop {
        let asked = tokio::select! {
            asked = now.recv() => {
                if asked.is_none() {
                    return;
                }
                true
            }
            () = tokio::time::sleep(LOOK) => false,
        };
        let print = seen.clone().fingerprint(&path, false).await;
        let settled = print == last;
        last = print.clone();
        if asked || (settled && print != in_force) {
            let (gateway, path, lookup) = (gateway.clone(), path.clone(), seen.clone());
            // Reading secret files may block.
            let reloaded = tokio::task::spawn_blocking(move || reload(&gateway, &path, &*lookup)).await;
            if let Err(error) = reloaded {
                log::error!("the reload ended unexpectedly: {error}");
            }
            // The new config may name other secret files; its own text counts as it was when it was read.
            in_force = seen.clone().fingerprint(&watched, false).await;
            in_force.insert(watched.clone(), print.get(&watched).copied().flatten());
            last = in_force.clone();
        }
    }
}

/// What the config and its secret files hold, hashed.
type Fingerprint = BTreeMap<PathBuf, Option<u128>>;

/// A lookup that remembers which files were asked for, so that they are watched too.
struct Seen {
    lookup: Arc<dyn Lookup + Send + Sync>,
    files: Mutex<Vec<PathBuf>>,
}

impl Seen {
    fn new(lookup: Arc<dyn Lookup + Send + Sync>) -> Seen {
        Seen { lookup, files: Mutex::new(Vec::new()) }
    }

    /// Hashes the config and every secret file seen so far; `first` reads the config once to see them.
    async fn fingerprint(self: Arc<Seen>, path: &Path, first: bool) -> Fingerprint {
        let path = path.to_owned();
        let read = move || {
            if first {
                // Only for the files it names; what is in force was loaded and reported by the caller.
                let _ = load(&path, &*self);
            }
            let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let hash = |path: PathBuf| {
                let print = std::fs::read(&path).ok().map(|bytes| xxhash_rust::xxh3::xxh3_128(&bytes));
                (path, print)
            };
            files.into_iter().chain([path]).map(hash).collect()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }
}

impl Lookup for Seen {
    fn var(&self, name: &str) -> Option<String> {
        self.lookup.var(name)
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.iter().any(|known| known == path) {
            files.push(path.to_owned());
        }
        drop(files);
        self.lookup.file(path)
    }
}
