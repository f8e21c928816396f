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
use crate::config::{EnvAndFiles, Problems};
use crate::gateway::config_loader::{LoadError, check};
use crate::gateway::restart_keys::RestartKeys;
use crate::gateway::{Gateway, read_file};
use crate::secret::Zeroizing;

/// Time between two looks at the file that a person editing it does not notice.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Puts a new plan in force, or reports why not.
fn apply(gateway: &Gateway, loaded: Result<Plan, LoadError>) {
    let before = gateway.snapshot();
    let taken = match loaded {
        Ok(plan) if drops_all_clients(&before.plan, &plan) => Err(LoadError::ClientsRemoved.to_string()),
        Ok(plan) => {
            warn_of_restart(&before.plan, &plan);
            log_remote_refused(&plan);
            let changed = before.plan.written.differences(&plan.written);
            let warnings = plan.warnings.clone();
            let taken = gateway.replace(plan).map(|version| (version, changed)).map_err(|error| error.to_string());
            if taken.is_ok() {
                log_warnings(warnings.as_ref());
            }
            taken
        }
        Err(error) => Err(error.to_string()),
    };
    let shown = gateway.snapshot().plan.shown.clone();
    let told = taken.as_ref().map_err(String::as_str).map(|(version, changed)| (*version, changed.as_str()));
    gateway.shared.last_reload.store(told, (before.plan.shown.as_str(), shown.as_str()), gateway.shared.clock.now());
    match taken {
        Ok((version, changed)) if changed.is_empty() => {
            log::info!("config version {version} is in force, and says nothing new");
        }
        Ok((version, changed)) => log::info!("config version {version} is in force, changed: {changed}"),
        Err(problems) => {
            gateway.shared.metrics.reload_success.set(0);
            log::error!("the changed config is not taken, version {} stays in force:\n{problems}", before.version);
        }
    }
}

/// Logs that requests of other machines are refused, and what to write.
pub fn log_remote_refused(plan: &Plan) {
    if let Some(problem) = &plan.remote_refused {
        log::error!("{problem}");
    }
}

/// Logs what is hardly meant in a config that is served from now on, a line each.
pub fn log_warnings(warnings: Option<&Problems>) {
    warnings.iter().flat_map(|warnings| warnings.lines()).for_each(|line| log::warn!("{line}"));
}

/// Whether a change drops every client without saying `clients: anyone`. A file that is only half written does that, and
/// so may a mistake.
fn drops_all_clients(old: &Plan, new: &Plan) -> bool {
    !old.clients.is_empty() && new.clients.is_empty() && !new.anyone
}

/// Addresses are bound once; saying so beats silence.
fn warn_of_restart(old: &Plan, new: &Plan) {
    for key in RestartKeys::of(old).changed(&RestartKeys::of(new)) {
        log::warn!("{key} changed: this takes effect after a restart");
    }
}

/// A config file that is followed: what it held when it was last read, the secret files it names included.
pub struct Watch {
    path: PathBuf,
    lookup: Arc<dyn EnvAndFiles + Send + Sync>,
    read: FileHashes,
}

/// What files held, hashed; `None` where one could not be read.
type FileHashes = BTreeMap<PathBuf, Option<u128>>;

impl Watch {
    /// Reads and checks the file, and remembers exactly what was read: a change from then on is a change.
    pub fn open(path: PathBuf, lookup: Arc<dyn EnvAndFiles + Send + Sync>) -> (Watch, Result<Plan, LoadError>) {
        let mut watch = Watch { path, lookup, read: FileHashes::new() };
        let loaded = watch.load();
        (watch, loaded)
    }

    /// Follows the file for as long as `now` has a sender, looking at it `every` so often. A message on `now` (SIGHUP)
    /// reloads at once, changed or not. Returns what it has read, to be followed again.
    pub async fn follow(
        mut self,
        gateway: Arc<Gateway>,
        every: Duration,
        mut now: mpsc::Receiver<()>,
    ) -> Option<Watch> {
        let mut last: Option<FileHashes> = None;
        loop {
            let asked = tokio::select! {
                asked = now.recv() => match asked {
                    Some(()) => true,
                    None => return Some(self),
                },
                () = tokio::time::sleep(every) => false,
            };
            let (gateway, before) = (gateway.clone(), last.take());
            // Files may be on a slow disk.
            let look = tokio::task::spawn_blocking(move || {
                let seen = self.look();
                let settled = before.as_ref() == Some(&seen);
                if asked || (settled && seen != self.read) {
                    let before = self.read.clone();
                    let loaded = self.load();
                    // The file may have been written on between the look and the reading: then nothing is settled yet.
                    if asked || self.read.iter().all(|(path, held)| seen.get(path).is_none_or(|seen| seen == held)) {
                        apply(&gateway, loaded);
                    } else {
                        self.read = before;
                    }
                }
                (self, seen)
            });
            match look.await {
                Ok((watch, seen)) => (self, last) = (watch, Some(seen)),
                Err(error) => {
                    log::error!("the config is not followed any more: {error}");
                    return None;
                }
            }
        }
    }

    /// Reads and checks the file, remembering what was read.
    fn load(&mut self) -> Result<Plan, LoadError> {
        let name = self.path.display().to_string();
        let text = read_file::text(&self.path, read_file::CONFIG).map(Zeroizing::new);
        self.read = FileHashes::from([(self.path.clone(), text.as_ref().ok().map(|text| hash(text)))]);
        let text = text.map_err(|why| LoadError::Unreadable { path: name.clone(), why })?;
        let recorder = Recorder { lookup: &*self.lookup, read: Mutex::default() };
        let plan = check(&name, &text, &recorder);
        self.read.extend(recorder.read.into_inner().unwrap_or_else(PoisonError::into_inner));
        plan
    }

    /// What the same files hold now.
    fn look(&self) -> FileHashes {
        let held = |path: &PathBuf| {
            let secret = *path != self.path;
            let text = if secret { self.lookup.file(path).ok() } else { read_file::text(path, read_file::CONFIG).ok() };
            (path.clone(), text.map(|text| hash(&Zeroizing::new(text))))
        };
        self.read.keys().map(held).collect()
    }
}

fn hash(text: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(text.as_bytes())
}

/// A lookup that remembers which files were read, and what they held.
struct Recorder<'a> {
    lookup: &'a dyn EnvAndFiles,
    read: Mutex<FileHashes>,
}

impl EnvAndFiles for Recorder<'_> {
    fn var(&self, name: &str) -> Option<String> {
        self.lookup.var(name)
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let text = self.lookup.file(path);
        let held = text.as_ref().ok().map(|text| hash(text));
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), held);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::config_loader::ProcessEnv;

    const REST: &str = "
providers: {home: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {flux: {price: 0.002}}}}
routes: [{name: all, offers: [home/flux]}]
";

    fn plan(clients: &str) -> Plan {
        match check("test.yaml", &format!("{clients}\n{REST}"), &ProcessEnv) {
            Ok(plan) => plan,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_reload_drops_all_clients_only_where_the_config_says_anyone() {
        let key = "0f5f2a0e4f1a3f7b8ad2b3f1c4a7d9e05c6f7081920a1b2c3d4e5f60718293a4";
        let listed = format!("clients: [{{name: web, key_sha256: {key}}}]");
        let gateway = Gateway::new(plan(&listed)).unwrap();
        // The beginning of the file without its clients, as a slow writer or a mistake leaves it.
        for half in ["", "# clients:\n"] {
            apply(&gateway, Ok(plan(half)));
            assert_eq!((gateway.snapshot().version, gateway.snapshot().plan.clients.len()), (1, 1), "{half}");
            assert_eq!(gateway.shared.metrics.reload_success.get(), 0);
        }
        apply(&gateway, Ok(plan("clients: anyone\n")));
        assert_eq!((gateway.snapshot().version, gateway.snapshot().plan.clients.len()), (2, 0));
        // Where no client needed a key, there is nothing to lose.
        apply(&gateway, Ok(plan("")));
        assert_eq!(gateway.snapshot().version, 3);
        assert_eq!(plan(&listed).written.differences(&plan("").written), "clients");
    }
}
