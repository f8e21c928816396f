//! What Easel takes when its bounds are met: `cargo bench --bench limits [-- CASE...]`.
//!
//! Each case starts pretend vendors and an Easel of its own, does to it from outside what strangers, slow clients and
//! large bodies do, and reads from the kernel what the process took: the most resident memory beyond what it had
//! before, CPU time, and the memory a minute after. Meanwhile a bystander asks for the list of models, and his longest
//! wait is told. The table is that of docs/reference/limits.md. A case whose goal is missed ends the run with a failure; the
//! goals are Easel's own and leave room for a busy machine.
//!
//! `accounting` does 100,000 hits, misses, links and evictions and holds the memory against what the metrics say;
//! `soak` draws pictures of 1.5 MB for half an hour and looks whether memory stays flat. Neither runs unless it is named.

use std::error::Error;
use std::process::ExitCode;

mod case;
#[path = "../load/cpu.rs"]
mod cpu;
mod endurance;
mod http;
mod strangers;
mod system;
mod vendor;
mod work;

/// Whatever ends the run; there is nobody to tell errors apart.
pub type Failed = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Whether all goals were met.
fn run(words: &[String]) -> Result<bool, Failed> {
    let cases = [strangers::cases(), work::cases()].concat();
    match words {
        [word] if word == "accounting" => endurance::accounting(),
        [word] if word == "soak" => endurance::soak(30),
        [word, minutes] if word == "soak" => endurance::soak(minutes.parse()?),
        [] => case::run(&cases),
        names => {
            let all: Vec<&str> = cases.iter().map(|case| case.name).collect();
            if let Some(name) = names.iter().find(|name| !all.contains(&name.as_str())) {
                return Err(
                    format!("no case '{name}'; there are {}, accounting and soak [MINUTES]", all.join(", ")).into()
                );
            }
            let named: Vec<_> = cases.into_iter().filter(|case| names.iter().any(|name| name == case.name)).collect();
            case::run(&named)
        }
    }
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the program's own error")]
fn complain(error: Failed) {
    eprintln!("limits: {error}");
}
