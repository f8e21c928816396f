//! What Easel costs beside bare Pingora: `cargo bench --bench load [-- --quick]`.
//!
//! Five systems, each a process of its own, are driven in turn over 127.0.0.1: Easel; Easel with its ledger on disk
//! ("easel+disk"); Easel with its access log, as it runs when nobody says otherwise ("easel+log"); a bare Pingora
//! service that reads the request and answers from memory ("direct"); a bare Pingora proxy in front of the same origin
//! ("pass-through"). Rounds are interleaved, so a machine that slows down slows all of them, and CPU time is read from
//! the kernel for the one process, so the client and the origin do not count. It
//! measures; it decides nothing and fails only when an answer is wrong.
//!
//! How to read it: `cpu us` is user and system time of the system under test for one request, the median of the
//! rounds; `p50` and `p99` are what the client saw, over all rounds, and on a machine with few cores they measure
//! client, origin and system together. A ratio is the median of the rounds' own ratios, one number a round, and is held
//! against its goal; beside it stand the microseconds between the two, taken likewise. The 1.5 MB miss is the OpenAI
//! format in and out: the answer is read, checked along its whole length, named, kept and spliced, where the
//! pass-through only moves it. A miss on disk waits for two commits, before it is sent and before it is answered.

use std::error::Error;
use std::process::ExitCode;

mod batch;
mod cpu;
mod duel;
mod picture;
mod system;

/// What `easel` has, for all systems alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever ends the run; there is nobody to tell errors apart.
pub type Failed = Box<dyn Error + Send + Sync>;

const USAGE: &str = "\
Measures Easel beside bare Pingora and prints CPU per request, p50, p99 and ratios.

Usage: cargo bench --bench load [-- OPTIONS]

Options:
      --quick        Fewer rounds and requests: a look, not a measurement
      --threads <N>  Worker threads of every system [default: 2]
      --body <B>     Only this body: small (300 B) or big (1.5 MB)
  -h, --help         Print this
";

/// What was asked on the command line.
#[derive(Clone, Copy)]
pub struct Options {
    /// Fewer rounds and requests.
    pub quick: bool,
    /// Worker threads of every system.
    pub threads: usize,
    /// Only this body.
    pub body: Option<picture::Body>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some(system::FLAG) => system::run(&words[1..]),
        _ => match options(&words) {
            Ok(Some(options)) => duel::run(options),
            Ok(None) => {
                say(USAGE);
                Ok(())
            }
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// `None` asks for the usage.
fn options(words: &[String]) -> Result<Option<Options>, Failed> {
    let mut options = Options { quick: false, threads: 2, body: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            // What `cargo bench` adds by itself.
            "--bench" => {}
            "--quick" => options.quick = true,
            "--threads" => options.threads = words.next().ok_or("--threads takes a number")?.parse()?,
            "--body" => options.body = Some(words.next().ok_or("--body takes small or big")?.parse()?),
            "-h" | "--help" => return Ok(None),
            other => return Err(format!("unknown option '{other}'\n\n{USAGE}").into()),
        }
    }
    Ok(Some(options))
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the program's own error")]
fn complain(error: Failed) {
    eprintln!("load: {error}");
}
