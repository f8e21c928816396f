//! `easel man`: the manual's pages, made from what `--help` says. Whoever packages Easel runs it, so no list shows it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, Parser};

use crate::cli;

/// Arguments of `easel man`.
#[derive(Parser)]
pub struct Args {
    /// The directory that the pages are written to.
    folder: PathBuf,
}

/// Writes a page for the command line and one for each subcommand.
pub fn run(args: Args, command: Command) -> ExitCode {
    let written = std::fs::create_dir_all(&args.folder).and_then(|()| clap_mangen::generate_to(command, &args.folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::failed(format!("no page can be written to '{}': {error}", args.folder.display())),
    }
}
