//! The `easel` command.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use easel::server::diagnostics;

mod cli;

/// Pictures come and go by the megabyte. The system's allocator gives such blocks back to the kernel and has each page
/// of the next one mapped and cleared again, which is a third of what a miss of 1.5 MB costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A sidecar reverse proxy for image generation: one YAML file decides who draws each picture, and at what price.
#[derive(Parser)]
#[command(name = "easel", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API as the config says, and follow its changes.
    Serve(cli::serve::Args),
    /// Say everything that is wrong with a config, or that nothing is.
    Check(cli::check::Args),
    /// Print the config's JSON Schema, for editors, or a preset.
    Schema(cli::schema::Args),
    /// Print what was paid, from the ledger on disk, while serving goes on.
    Ledger(cli::ledger::Args),
    /// Run local providers that speak the real wire formats and charge pretend money.
    Sandbox(cli::sandbox::Args),
    /// Show the whole story without any key: sandbox, gateway, a first picture, a cached one, a failing provider.
    Demo(cli::demo::Args),
    /// Print what a shell needs to complete this command line.
    Completions(cli::completions::Args),
    /// Write the manual's pages.
    #[command(hide = true)]
    Man(cli::man::Args),
}

/// Waits at the end, of a panic too, for what is still to be logged.
struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        log::logger().flush();
    }
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let filter = if let Command::Demo(_) = command { cli::demo::FILTER } else { diagnostics::FILTER };
    let diagnostics = match diagnostics::init(filter) {
        Ok(diagnostics) => diagnostics,
        Err(error) => return cli::failed(error),
    };
    let _last_lines = LastLines;
    match command {
        Command::Serve(args) => cli::serve::run(args, &diagnostics),
        Command::Check(args) => cli::check::run(args),
        Command::Schema(args) => cli::schema::run(args),
        Command::Ledger(args) => cli::ledger::run(args),
        Command::Sandbox(args) => cli::sandbox::run(args),
        Command::Demo(args) => cli::demo::run(args),
        Command::Completions(args) => cli::completions::run(args, Cli::command()),
        Command::Man(args) => cli::man::run(args, Cli::command()),
    }
}
