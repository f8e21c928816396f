//! As written -> as it runs: names resolved, units applied, every rule checked.
//!
//! Each file here turns one part of [`File`] into its part of the [`Plan`]. A value that is wrong is noted and replaced
//! by its default, so that the check goes on; a plan made along with a finding is thrown away by `load`. A place
//! where a problem was noted before is not complained about again.

mod alerts;
mod cache_words;
mod checker;
mod clients;
mod concurrency;
mod dialect;
mod dialect_paths;
mod entra;
mod google;
mod hedge;
mod hosts;
mod learn;
mod models;
mod money;
mod near;
mod offers;
mod poll;
mod price_formulas;
mod price_rows;
mod prices;
mod prompt;
mod providers;
mod quality;
mod rates;
mod routes;
mod server;
mod sizes;
mod strategy;
mod text_models;
mod tracing;

use super::file::{Clients, File};
use super::plan::{Plan, ShownText};
use super::report::Findings;
use crate::config::check::checker::Checker;
use crate::config::diff::Outline;
use crate::config::node_path::NodePath;
use crate::config::provider_kind::ProviderKind;

/// The plan `file` describes. `tree` is where it was written. What is noted in `remote_refused` keeps nobody from
/// serving this
/// machine by the plan.
pub(super) fn check(
    file: &File,
    tree: NodePath<'_>,
    kinds: &[ProviderKind],
    findings: &mut Findings,
    remote_refused: &mut Findings,
) -> Option<Plan> {
    let mut checker = Checker { findings };
    let File { server, cache, quality, clients, providers, routes, alerts } = file;
    let server = server::server(&mut checker, server, tree.key("server"));
    let (cache, disk_cache) = server::cache(&mut checker, cache, tree.key("cache"), server.state_dir.as_deref());
    let quality = quality::pool(&mut checker, quality, tree.key("quality"));
    let providers = providers::providers(&mut checker, providers, tree.key("providers"), kinds);
    let routes = routes::routes(&mut checker, routes, tree, &providers, kinds, clients);
    let anyone = matches!(clients, Clients::Anyone(_));
    if matches!(clients, Clients::Listed(listed) if listed.is_empty()) {
        server::warn_remote_refused(remote_refused, &server, tree);
    }
    let clients = clients::clients(&mut checker, clients, tree, &routes);
    let alerts = alerts::alerts(&mut checker, alerts, tree.key("alerts"));
    let (written, shown) = (Outline::default(), ShownText::default());
    Some(Plan {
        server,
        cache,
        disk_cache,
        quality,
        clients,
        anyone,
        remote_refused: None,
        warnings: None,
        providers,
        routes,
        alerts,
        written,
        shown,
    })
}
