//! Reads a config file and checks it whole, with the environment and the files of this process.

use std::path::Path;

use crate::calendar::Moment;
use crate::clock;
use crate::config::plan::Plan;
use crate::config::{self, ConfigText, EnvAndFiles, Problems, ProviderKind};
use crate::gateway::{config_warnings, read_file};
use crate::provider::{self, text};
use crate::secret::Zeroizing;

/// Why a config file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
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
    /// It lists no clients, where callers needed a key so far, and does not say `clients: anyone`.
    #[error("`clients` is gone from the file: write `clients: anyone` to let everybody in without a key")]
    ClientsRemoved,
}

/// The environment and files of this process.
pub struct ProcessEnv;

impl EnvAndFiles for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        read_file::text(path, read_file::REFERRED)
    }
}

/// The environment and files of another machine, as far as this one has them: whatever is not here is taken as present.
#[cfg(feature = "cli")]
pub struct WithoutSecrets;

#[cfg(feature = "cli")]
impl EnvAndFiles for WithoutSecrets {
    fn var(&self, name: &str) -> Option<String> {
        ProcessEnv.var(name)
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        ProcessEnv.file(path)
    }

    fn absent_is_present(&self) -> bool {
        true
    }
}

/// The wire formats a config may name.
pub fn kinds() -> Vec<ProviderKind> {
    let draws = provider::ALL.iter().map(|provider| ProviderKind {
        name: provider.name(),
        default_base_url: provider.default_base_url(),
        needs_key: provider.needs_key(),
        known_models: provider.known_models(),
    });
    let writes = text::KINDS.iter().map(|kind| ProviderKind {
        name: kind.name,
        default_base_url: Some(kind.default_base_url),
        needs_key: kind.needs_key,
        known_models: kind.known_models,
    });
    draws.chain(writes).collect()
}

/// Reads and checks a config file.
pub fn load(path: &Path, lookup: &dyn EnvAndFiles) -> Result<Plan, LoadError> {
    let name = path.display().to_string();
    let text = read_file::text(path, read_file::CONFIG);
    let text = text.map(Zeroizing::new).map_err(|why| LoadError::Unreadable { path: name.clone(), why })?;
    check(&name, &text, lookup)
}

/// Checks config text; `name` is printed with its problems.
pub fn check(name: &str, text: &str, lookup: &dyn EnvAndFiles) -> Result<Plan, LoadError> {
    check_at(name, text, lookup, clock::now())
}

/// The same at a moment, by which some models have ended and others have not.
pub fn check_at(name: &str, text: &str, lookup: &dyn EnvAndFiles, now: Moment) -> Result<Plan, LoadError> {
    let loaded = config::load(&ConfigText { name, text }, &kinds(), lookup).map_err(LoadError::Problems)?;
    let warnings = config_warnings::warnings(&loaded.plan, now, !lookup.absent_is_present());
    Ok(loaded.with_warnings(&warnings))
}
