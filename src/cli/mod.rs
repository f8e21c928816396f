//! One command a file. The command line is the only place that prints to the terminal and decides exit codes: 0 is
//! well, 1 is a config with problems, 2 is a failure to run.

use std::fmt::Display;
use std::process::ExitCode;

use tokio::runtime::Runtime;

pub mod check;
pub mod demo;
pub mod ledger;
pub mod sandbox;
pub mod schema;
pub mod serve;

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the command line's own output")]
pub fn say(line: impl Display) {
    println!("{line}");
}

/// A config with problems: prints them, exit code 1.
#[expect(clippy::print_stderr, reason = "the command line's own output")]
pub fn problems(text: impl Display) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(1)
}

/// A failure to run: prints it, exit code 2.
#[expect(clippy::print_stderr, reason = "the command line's own output")]
pub fn failed(why: impl Display) -> ExitCode {
    eprintln!("easel: {why}");
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
