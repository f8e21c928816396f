//! One command a file. The command line is the only place that prints to the terminal and decides exit codes: 0 is
//! well, 1 is a config with problems, a rejected picture or an Easel that is not well, 2 is a failure to run.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::server;

mod calibrate;
mod check;
mod compare;
mod completions;
mod contact_sheet;
mod demo;
mod explain;
mod health;
mod init;
mod json_lines;
mod judge;
mod ledger;
mod man;
mod sandbox;
mod schema;
mod serve;

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
    Serve(serve::Args),
    /// Write a small config for the vendors whose keys are in the environment. Asks for nothing.
    Init(init::Args),
    /// Say everything that is wrong with a config, or that nothing is.
    Check(check::Args),
    /// Say whether an Easel that serves is well: exit code 0, or 1.
    Health(health::Args),
    /// Say what would become of a request: every offer, why it is asked or not, and in which order. Nothing is sent.
    Explain(explain::Args),
    /// Say whether the cache takes prompts for the same picture, and what they differ in.
    Compare(compare::Args),
    /// Say from which likeness of two embeddings on the cache may take two prompts for the same picture, by labelled pairs.
    Calibrate(calibrate::Args),
    /// Run a route's quality gate on picture files, and say what was measured, where each limit is, and which are rejected.
    Judge(judge::Args),
    /// Print the config's JSON Schema, for editors, or a preset.
    Schema(schema::Args),
    /// Print what was paid, from the ledger on disk, while serving goes on.
    Ledger(ledger::Args),
    /// Run local providers that speak the real wire formats and charge pretend money.
    Sandbox(sandbox::Args),
    /// Show the whole story without any key: sandbox, gateway, a first picture, a cached one, a failing provider.
    Demo(demo::Args),
    /// Print what a shell needs to complete this command line.
    Completions(completions::Args),
    /// Write the manual's pages.
    #[command(hide = true)]
    Man(man::Args),
}

/// Waits at the end, of a panic too, for what is still to be logged.
struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        log::logger().flush();
    }
}

/// The `easel` command: parses the arguments and runs what they name.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let filter = if let Command::Demo(_) = command { demo::FILTER } else { server::process_log::FILTER };
    let diagnostics = match server::process_log::init(filter) {
        Ok(diagnostics) => diagnostics,
        Err(error) => return failed(error),
    };
    let _last_lines = LastLines;
    match command {
        Command::Serve(args) => serve::run(args, &diagnostics),
        Command::Check(args) => check::run(args),
        Command::Health(args) => health::run(args),
        Command::Init(args) => init::run(&args),
        Command::Explain(args) => explain::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Judge(args) => judge::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Completions(args) => completions::run(args, Cli::command()),
        Command::Man(args) => man::run(args, Cli::command()),
    }
}

/// A line for the person at the terminal, who may have left.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What the command was asked for. Whoever reads only its beginning has what he wants; that it could not be written for
/// another reason is a failure to run.
pub fn print(text: impl Display) -> ExitCode {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => failed(format!("the output was not written: {error}")),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// A config with problems: prints them, exit code 1.
pub fn problems(text: impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(1)
}

/// A failure to run: prints it, exit code 2.
pub fn failed(why: impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "easel: {why}");
    ExitCode::from(2)
}

/// The runtime everything runs on: `threads` workers, one a core when `None`.
pub fn runtime(threads: Option<usize>) -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().thread_name("easel").build()
}
