//! An hour in which twenty times as much is asked for: `cargo bench --bench burst [-- OPTIONS]`.
//!
//! Live requests for four pictures, each with ten seconds, come to the real gateway before three providers: one that is capped
//! at 10 calls, one that is reserved at 40, and one that is paid by the picture and only asked when both are full. With
//! the burst comes a batch job of 10,000 requests.
//!
//! `--virtual` lets an hour pass on a clock that jumps from event to event, three times: with the batch job, once more to see
//! that the same seed makes the same decisions, and without the job. `--real` does the same for three minutes of real time
//! over sockets, before three sandboxes.
//!
//! It prints what was asked, answered, turned away and paid, and ends with a failure when a promise is broken: a provider above
//! its cap, an error that is not a 429 with a time to come back, fewer than 99 of 100 admitted requests in time, other
//! decisions with the same seed, live requests harmed by the job, or a ledger that differs from what the vendors charge. How
//! long the bench itself takes decides nothing.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

mod decisions;
mod drive;
mod report;
mod simulation;
mod sockets;
mod traffic;
mod virtual_vendors;

use report::Report;
use traffic::Traffic;

/// What `easel` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever ends the run; there is nobody to tell errors apart.
type Failed = Box<dyn Error + Send + Sync>;

const USAGE: &str = "\
Lets twenty times the usual traffic come to three providers and prints what becomes of it.

Usage: cargo bench --bench burst [-- OPTIONS]

Options:
      --virtual      Only the part in virtual time
      --real         Only the part in real time, over sockets
      --seed <N>     Where all chance begins [default: 14]
      --minutes <N>  How long the burst lasts [default: 60 virtual ones, 3 real ones]
  -h, --help         Print this
";

/// What was asked on the command line.
struct Options {
    virtual_time: bool,
    real_time: bool,
    seed: u64,
    minutes: Option<u64>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match options(&words).and_then(|options| options.map_or(Ok(true), |options| run(&options))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// `None` asked for the usage, and got it.
fn options(words: &[String]) -> Result<Option<Options>, Failed> {
    let mut options = Options { virtual_time: false, real_time: false, seed: 14, minutes: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            // What `cargo bench` adds by itself.
            "--bench" => {}
            "--virtual" => options.virtual_time = true,
            "--real" => options.real_time = true,
            "--seed" => options.seed = words.next().ok_or("--seed takes a number")?.parse()?,
            "--minutes" => options.minutes = Some(words.next().ok_or("--minutes takes a number")?.parse()?),
            "-h" | "--help" => {
                say(USAGE);
                return Ok(None);
            }
            other => return Err(format!("unknown option '{other}'\n\n{USAGE}").into()),
        }
    }
    if !options.virtual_time && !options.real_time {
        (options.virtual_time, options.real_time) = (true, true);
    }
    Ok(Some(options))
}

/// Whether every promise was kept.
fn run(options: &Options) -> Result<bool, Failed> {
    let mut broken = Vec::new();
    if options.virtual_time {
        broken.extend(in_virtual_time(options)?);
    }
    if options.real_time {
        broken.extend(in_real_time(options)?);
    }
    for sentence in &broken {
        say(format!("BROKEN: {sentence}"));
    }
    Ok(broken.is_empty())
}

/// The hour, and the promises that were broken.
fn in_virtual_time(options: &Options) -> Result<Vec<String>, Failed> {
    let burst = Duration::from_secs(60 * options.minutes.unwrap_or(60));
    let traffic = Traffic { seed: options.seed, steady: Duration::from_secs(300), burst, with_batch: true };
    say(format!(
        "virtual time, seed {}: 5 minutes of usual traffic, {} minutes of twenty times as much",
        traffic.seed,
        minutes(burst)
    ));
    let report = simulation::run(traffic)?;
    tell(&report);
    let again = simulation::run(traffic)?;
    let parting = decisions::parting(&report.decisions, &again.decisions);
    let same = if parting.is_none() { "yes" } else { "no" };
    let (count, digest) = (report.decisions.len(), report.decisions.last().map_or(0, |(_, digest)| *digest));
    say(format!("same decisions: {same} ({count} of them, {digest:016x})"));
    let without = simulation::run(Traffic { with_batch: false, ..traffic })?;
    beside_batch(&report, &without);
    let mut broken = [report.broken(), report.late()].concat();
    broken.extend(
        [without.broken(), without.late()]
            .concat()
            .into_iter()
            .map(|sentence| format!("without the batch, {sentence}")),
    );
    broken.extend(report.harmed_by_batch(&without));
    broken.extend(
        parting.map(|(nth, millis)| format!("with the same seed decision {nth}, after {millis} ms, is another one")),
    );
    Ok(broken)
}

/// The three minutes over sockets, and the promises that were broken.
fn in_real_time(options: &Options) -> Result<Vec<String>, Failed> {
    let (steady, burst) = (Duration::from_secs(20), Duration::from_secs(60 * options.minutes.unwrap_or(3)));
    let traffic = Traffic { seed: options.seed, steady, burst, with_batch: true };
    say(format!("real time: 20 seconds of usual traffic, {} minutes of twenty times as much", minutes(burst)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(sockets::run(traffic))?;
    tell(&report);
    Ok([report.broken(), report.late()]
        .concat()
        .into_iter()
        .map(|sentence| format!("over sockets, {sentence}"))
        .collect())
}

fn tell(report: &Report) {
    report.lines().into_iter().for_each(say);
}

/// Live requests with and without the job, side by side.
fn beside_batch(with: &Report, without: &Report) {
    let (with, without) = (&with.tally.burst, &without.tally.burst);
    let seconds = |took: Duration| took.as_secs_f64();
    say(format!("{:<26}{:>12}{:>12}", "live in the burst", "with batch", "without"));
    say(format!("{:<26}{:>12}{:>12}", "pictures", with.pictures, without.pictures));
    say(format!("{:<26}{:>12}{:>12}", "turned away", with.shed, without.shed));
    say(format!("{:<26}{:>12.2}{:>12.2}", "p50 s", seconds(with.percentile(50)), seconds(without.percentile(50))));
    say(format!("{:<26}{:>12.2}{:>12.2}", "p99 s", seconds(with.percentile(99)), seconds(without.percentile(99))));
}

fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}

/// A line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the program's own error")]
fn complain(error: Failed) {
    eprintln!("burst: {error}");
}
