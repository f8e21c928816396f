//! Keys of the config that a running Easel does not take anew: addresses, certificates' files, threads, directories.

use std::path::PathBuf;

use crate::config::plan::{LedgerRules, Plan, Tls};

/// What those keys said when the process began.
#[derive(Clone, PartialEq)]
pub struct RestartKeys {
    listen: String,
    admin: String,
    tls: Option<Tls>,
    threads: Option<usize>,
    state_dir: Option<PathBuf>,
    ledger: LedgerRules,
    disk_cache: Option<PathBuf>,
}

impl RestartKeys {
    /// What they say in a plan.
    pub fn of(plan: &Plan) -> RestartKeys {
        let server = &plan.server;
        RestartKeys {
            listen: server.listen.clone(),
            admin: server.admin.clone(),
            tls: server.tls.clone(),
            threads: server.threads,
            state_dir: server.state_dir.clone(),
            ledger: server.ledger,
            disk_cache: plan.disk_cache.as_ref().map(|disk| disk.dir.clone()),
        }
    }

    /// `server.listen` and `server.admin`.
    pub fn addresses(&self) -> (String, String) {
        (self.listen.clone(), self.admin.clone())
    }

    /// Those that say something else in `new`.
    pub fn changed(&self, new: &RestartKeys) -> Vec<&'static str> {
        let keys = [
            ("server.listen", self.listen != new.listen),
            ("server.admin", self.admin != new.admin),
            ("server.tls", self.tls != new.tls),
            ("server.threads", self.threads != new.threads),
            ("server.state_dir", self.state_dir != new.state_dir),
            ("server.ledger", self.ledger != new.ledger),
            ("cache.disk.dir", self.disk_cache != new.disk_cache),
        ];
        keys.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
    }
}
