//! Warnings of a config that need more than the config: what vendors' models can do and when they end, and what is on this
//! machine's disk. `config` places them in the file among its own.

mod defaults;
mod files;
mod idle_checks;
mod models;
mod place;

#[cfg(feature = "cli")]
pub use crate::gateway::config_warnings::idle_checks::notes;
pub use crate::gateway::config_warnings::models::ends;

use crate::calendar::Moment;
use crate::config::PlacedWarning;
use crate::config::plan::Plan;

/// Everything hardly meant in `plan`. `here`: it is to run on this machine, so that its files can be looked at.
pub fn warnings(plan: &Plan, now: Moment, here: bool) -> Vec<PlacedWarning> {
    let warnings = models::models(plan, now).into_iter().chain(defaults::defaults(plan));
    warnings.chain(idle_checks::idle_checks(plan)).chain(files::files(plan, now, here)).collect()
}
