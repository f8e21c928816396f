//! `easel check FILE`: everything that is wrong with a config, or that nothing is.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use easel::gateway::reload::{self, Os};

use crate::cli;

/// Arguments of `easel check`.
#[derive(Parser)]
pub struct Args {
    /// The config file.
    #[arg(default_value = "easel.yaml")]
    file: PathBuf,
}

/// Checks the file.
pub fn run(args: Args) -> ExitCode {
    match reload::load(&args.file, &Os) {
        Ok(plan) => {
            let offers: usize = plan.routes.iter().map(|route| route.offers.len()).sum();
            cli::say(format!(
                "{} is fine: {} providers, {} routes, {offers} offers",
                args.file.display(),
                plan.providers.len(),
                plan.routes.len(),
            ));
            if let Some(ignored) = reload::ignored_proxy(&Os) {
                cli::say(format!("note: {ignored}"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => cli::problems(error),
    }
}
