//! What the quality gate finds and what it costs: `cargo bench --bench gate [-- OPTIONS]`.
//!
//! The table judges drawn pictures of seventeen classes, and those of a diffusion model, in four sizes and three formats, clean and with every defect, with
//! the default gate, and prints how many of each row it judges right. `--cpu` prints what a picture of 1024 by 1024 costs on
//! one core, by format and by step, as CPU time of this thread.
//!
//! It ends with a failure when a row has less than 99% right, when more than 1% of the clean pictures are rejected, or when a
//! picture costs more than 40 ms.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a bench prints, and ends where it cannot go on")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use easel_fixtures::{Row, TESTING, TUNING, clean, defects, pairs, tally};

mod cpu;
#[path = "../../tests/it/quality_verdict.rs"]
mod quality_verdict;

/// What `easel` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
Judges drawn pictures with the default quality gate and prints how many it judges right, and what that costs.

Usage: cargo bench --bench gate [-- OPTIONS]

Options:
      --table        Only the table
      --cpu          Only the cost
      --seeds <N>    Pictures of each class [default: 20]
      --tuning       The seeds that thresholds were set with, in place of those they are tested with
      --wrong        Names each wrong verdict
  -h, --help         Print this
";

struct Options {
    table: bool,
    cpu: bool,
    seeds: u64,
    first: u64,
    wrong: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = parse(&words) else {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    let mut broken = Vec::new();
    if options.table {
        broken.extend(table(&options));
    }
    if options.cpu {
        broken.extend(cpu::print());
    }
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(words: &[String]) -> Option<Options> {
    let mut options = Options { table: true, cpu: true, seeds: 20, first: TESTING, wrong: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--table" => options.cpu = false,
            "--cpu" => options.table = false,
            "--seeds" => options.seeds = words.next()?.parse().ok()?,
            "--tuning" => options.first = TUNING,
            "--wrong" => options.wrong = true,
            "--bench" => {}
            _ => return None,
        }
    }
    Some(options)
}

/// Prints the table, and returns the promises that it breaks.
fn table(options: &Options) -> Vec<String> {
    let seeds = options.first..options.first + options.seeds;
    let mut broken = Vec::new();
    println!("Clean pictures, of which the default gate rejects at most 1%\n");
    let rows = tally(&clean(seeds.clone()), quality_verdict::judge);
    print(&rows, options);
    let all: usize = rows.values().map(|row| row.cases).sum();
    let wrong: usize = rows.values().map(|row| row.wrong.len()).sum();
    println!("{:<34} {:>7} {:>9.2}%  rejected {:.2}%\n", "all", all, 100.0 - share(wrong, all), share(wrong, all));
    if wrong * 100 > all {
        broken.push(format!("{wrong} of {all} clean pictures are rejected"));
    }
    println!("Defects, of which it finds at least 99% in each row\n");
    let rows = tally(&defects(seeds.clone()), quality_verdict::judge);
    print(&rows, options);
    println!();
    println!("Pictures of one request\n");
    let twice = tally(&pairs(seeds), quality_verdict::judge_pair);
    print(&twice, options);
    for (name, row) in rows.iter().chain(&twice) {
        if row.right() < 0.99 && !quality_verdict::NOT_PROMISED.contains(name) {
            broken.push(format!("{name}: {:.2}% is right", row.right() * 100.0));
        }
    }
    broken
}

fn share(part: usize, all: usize) -> f64 {
    part as f64 * 100.0 / all.max(1) as f64
}

fn print(rows: &BTreeMap<&'static str, Row>, options: &Options) {
    for (name, row) in rows {
        println!("{name:<34} {:>7} {:>9.2}%", row.cases, row.right() * 100.0);
        if options.wrong {
            row.wrong.iter().for_each(|wrong| println!("    {wrong}"));
        }
    }
}
