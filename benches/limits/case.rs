//! A case, what is read while it runs, and the table of all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::{self, Request};
use crate::system::{self, Setup, System};
use crate::{Failed, say};

/// What the table counts in.
const MB: f64 = 1_000_000.0;

/// How often memory is read while a case runs. A peak shorter than this is missed.
const LOOK: Duration = Duration::from_millis(5);

/// How often the bystander asks.
const ASK: Duration = Duration::from_millis(50);

/// After how long an idle process has given its memory back.
const REST: Duration = Duration::from_secs(60);

/// The longest wait of a bystander, in every case.
const WAIT: Duration = Duration::from_secs(1);

/// What an Easel that rests may have beyond what it had before and what its metrics say that it holds.
const KEPT: f64 = 50.0 * MB;

/// Something that is done to an Easel from outside.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name on the command line and in the table.
    pub name: &'static str,
    /// What is done, for the table.
    pub what: &'static str,
    /// How Easel is set up for it.
    pub setup: Setup,
    /// A vendor of the case's own.
    pub vendor: Option<fn() -> Result<SocketAddr, Failed>>,
    /// The most that resident memory may grow, in millions of bytes.
    pub goal: u64,
    /// Does it, and says what clients saw.
    pub run: fn(&System, &mut Watch) -> Result<Seen, Failed>,
}

/// How often clients saw what, by what they saw.
#[derive(Default)]
pub struct Seen(BTreeMap<String, usize>);

impl Seen {
    /// Counts one.
    pub fn add(&mut self, what: impl ToString) {
        *self.0.entry(what.to_string()).or_default() += 1;
    }

    fn told(&self) -> String {
        let told: Vec<String> = self.0.iter().map(|(what, count)| format!("{what} ×{count}")).collect();
        told.join(", ")
    }
}

/// Reads memory and asks as a bystander, from when it is told to begin until it is dropped.
pub struct Watch {
    pid: u32,
    addr: SocketAddr,
    base: u64,
    cpu: Duration,
    running: Option<Running>,
}

struct Running {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    wait: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// What is taken from now on counts; what came before was preparation.
    pub fn begin(&mut self, system: &System) -> Result<(), Failed> {
        (self.base, self.cpu) = (system.memory()?, system.cpu()?);
        let running = Running {
            stop: Arc::default(),
            peak: Arc::new(AtomicU64::new(self.base)),
            wait: Arc::default(),
            threads: Vec::new(),
        };
        let (pid, addr) = (self.pid, self.addr);
        let (stop, peak) = (running.stop.clone(), running.peak.clone());
        let looking = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(system::memory(pid).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        let (stop, wait) = (running.stop.clone(), running.wait.clone());
        let asking = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answered =
                    http::exchange(addr, &Request::get("/v1/models")).is_ok_and(|answer| answer.status == 200);
                let waited = if answered { began.elapsed() } else { Duration::MAX };
                wait.fetch_max(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
                std::thread::sleep(ASK);
            }
        });
        self.running = Some(Running { threads: vec![looking, asking], ..running });
        Ok(())
    }

    fn end(&mut self, system: &System) -> Result<Taken, Failed> {
        let running = self.running.take().ok_or("a case never began")?;
        running.stop.store(true, Ordering::Relaxed);
        for thread in running.threads {
            thread.join().map_err(|_| "a watching thread failed")?;
        }
        let grown = running.peak.load(Ordering::Relaxed).saturating_sub(self.base);
        Ok(Taken { grown, cpu: system.cpu()? - self.cpu, wait_ms: running.wait.load(Ordering::Relaxed) })
    }
}

/// What a case took.
struct Taken {
    grown: u64,
    cpu: Duration,
    wait_ms: u64,
}

/// A case that ran and whose process rests.
struct Resting {
    case: Case,
    seen: Seen,
    taken: Taken,
    kept: JoinHandle<Result<i64, String>>,
}

/// Runs them one after the other and prints the table; whether all goals were met.
pub fn run(cases: &[Case]) -> Result<bool, Failed> {
    let mut resting = Vec::new();
    for case in cases {
        resting.push(one(case).map_err(|error| format!("{}: {error}", case.name))?);
    }
    say(
        "| case | what is done | clients see | memory, MB | goal, MB | kept a minute later, MB | CPU, s | a bystander waits, ms |",
    );
    say("|---|---|---|---:|---:|---:|---:|---:|");
    let mut met = true;
    for Resting { case, seen, taken, kept } in resting {
        let kept = kept.join().map_err(|_| "a resting thread failed")??;
        let grown = taken.grown as f64 / MB;
        met &= grown < case.goal as f64 && (kept as f64) < KEPT && u128::from(taken.wait_ms) < WAIT.as_millis();
        let (name, what, goal) = (case.name, case.what, case.goal);
        let (seen, kept, cpu, wait) = (seen.told(), kept as f64 / MB, taken.cpu.as_secs_f64(), taken.wait_ms);
        say(format!("| `{name}` | {what} | {seen} | {grown:.0} | {goal} | {kept:.0} | {cpu:.2} | {wait} |"));
    }
    say(if met { "every goal was met" } else { "not every goal was met" });
    Ok(met)
}

fn one(case: &Case) -> Result<Resting, Failed> {
    let vendor = case.vendor.map(|start| start()).transpose()?;
    let system = System::start(&Setup { vendor, ..case.setup })?;
    let mut watch = Watch { pid: system.pid(), addr: system.addr, base: 0, cpu: Duration::ZERO, running: None };
    let seen = (case.run)(&system, &mut watch)?;
    let taken = watch.end(&system)?;
    let base = watch.base;
    let kept = std::thread::spawn(move || {
        std::thread::sleep(REST);
        let memory = system.memory().map_err(|error| error.to_string())?;
        let held = system.held().map_err(|error| error.to_string())?;
        Ok(memory.cast_signed() - base.cast_signed() - held.cast_signed())
    });
    Ok(Resting { case: *case, seen, taken, kept })
}
