//! `easel schema`: the config's JSON Schema, for editors.

use std::process::ExitCode;

use crate::cli;

/// Prints the schema.
pub fn run() -> ExitCode {
    cli::say(format!("{:#}", easel::config::schema()));
    ExitCode::SUCCESS
}
