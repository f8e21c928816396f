//! `easel check FILE`: everything that is wrong with a config, or that nothing is.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::cli;
use crate::config::plan::Plan;
use crate::gateway;
use crate::gateway::config_loader::ProcessEnv;

/// Arguments of `easel check`.
#[derive(Parser)]
pub struct Args {
    /// The config file.
    #[arg(default_value = "easel.yaml")]
    file: PathBuf,
}

/// Checks the file.
pub fn run(args: Args) -> ExitCode {
    match crate::reload::load(&args.file, &ProcessEnv) {
        Ok(Plan { remote_refused: Some(problem), .. }) => cli::problems(problem),
        Ok(plan) => {
            let offers: usize = plan.routes.iter().map(|route| route.offers.len()).sum();
            let notes =
                gateway::ignored_proxy::ignored_proxy(&ProcessEnv).into_iter().chain(plan.server.unusable_links());
            let notes = notes.chain(gateway::idle_checks::idle_checks(&plan));
            let notes: String = notes.map(|note| format!("\nnote: {note}")).collect();
            cli::print(format!(
                "{} is fine: {} providers, {} routes, {offers} offers{notes}",
                args.file.display(),
                plan.providers.len(),
                plan.routes.len(),
            ))
        }
        Err(error) => cli::problems(error),
    }
}
