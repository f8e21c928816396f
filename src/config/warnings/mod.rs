//! What a config does that is allowed and hardly meant: a cap below every price, a key in the file, a route that nothing
//! reaches, a key with nothing behind it.
//!
//! A warning refuses nothing. Each file here looks at one theme, at a plan without problems and at where its parts are
//! written. What needs a vendor's tables, a clock or the disk is found in `gateway/config_warnings` and placed here.

mod addresses;
mod budgets;
mod caps;
mod empty_keys;
mod idle;
mod placed;
mod prices;
mod routes;
mod secrets;
mod unused;
mod warner;
pub mod word;

pub use crate::config::warnings::placed::{PlacedWarning, Step};
pub use crate::config::warnings::word::Warning;

use crate::config::node_path::NodePath;
use crate::config::plan::Plan;
use crate::config::provider_kind::ProviderKind;
use crate::config::report::Findings;
use crate::config::tree::Node;
use crate::config::warnings::warner::Warner;

/// Everything in a config that is hardly meant. `text` is the file's, redacted.
pub(super) fn warnings(plan: &Plan, text: &str, tree: &Node, kinds: &[ProviderKind]) -> Findings {
    let mut warner = Warner::default();
    let at = NodePath::root(text, tree);
    caps::caps(&mut warner, plan, at);
    budgets::budgets(&mut warner, plan, at);
    prices::prices(&mut warner, plan, at, kinds);
    routes::routes(&mut warner, plan, at);
    secrets::secrets(&mut warner, plan, tree, at);
    addresses::addresses(&mut warner, plan, at, kinds);
    unused::unused(&mut warner, plan, at);
    idle::idle(&mut warner, plan, at);
    empty_keys::empty_keys(&mut warner, tree);
    warner.findings
}
