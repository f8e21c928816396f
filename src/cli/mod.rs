//! One command a file. The command line is the only place that prints to the terminal and decides exit codes: 0 is
//! well, 1 is a config with problems, 2 is a failure to run.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use tokio::runtime::Runtime;

pub mod check;
pub mod completions;
pub mod demo;
pub mod ledger;
pub mod man;
pub mod sandbox;
pub mod schema;
pub mod serve;

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
