//! `easel schema`: the config's JSON Schema, for editors; or what a preset stands for, to read or to copy.

use std::process::ExitCode;

use crate::config;
use clap::Parser;

use crate::cli;
use crate::gateway::config_loader::kinds;

/// Arguments of `easel schema`.
#[derive(Parser)]
pub struct Args {
    /// Print this preset of `kind: openai_compatible` as YAML instead.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(config::presets()))]
    preset: Option<String>,
}

/// Prints the schema or the preset.
pub fn run(args: Args) -> ExitCode {
    match args.preset.as_deref().and_then(config::preset) {
        Some(yaml) => cli::print(yaml.trim_end()),
        None => cli::print(format!("{:#}", config::schema(&kinds()))),
    }
}
