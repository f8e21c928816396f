//! `easel completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Command, Parser};
use clap_complete::Shell;

use crate::cli;

/// Arguments of `easel completions`.
#[derive(Parser)]
pub struct Args {
    /// The shell that will read it.
    shell: Shell,
}

/// Prints the completions of the whole command line.
pub fn run(args: Args, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "easel", &mut script);
    cli::print(String::from_utf8_lossy(&script).trim_end())
}
