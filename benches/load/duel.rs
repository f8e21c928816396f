//! The run: which batches in which order, what they took, and the table.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::batch::{Batch, Taken};
use crate::picture::Body;
use crate::system::{Kind, System};
use crate::{Failed, Options, say};

/// Connections a batch is sent over.
const CONNECTIONS: [usize; 2] = [1, 32];

/// A system in one way of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    kind: Kind,
    mode: &'static str,
    /// Whether every prompt is a new one.
    fresh: bool,
    /// What every answer must have in its head.
    mark: &'static str,
}

const DIRECT: Use = Use { kind: Kind::Direct, mode: "memory", fresh: false, mark: "content-type" };
const HIT: Use = Use { kind: Kind::Easel, mode: "hit", fresh: false, mark: "x-easel-cache: exact" };
const PASS: Use = Use { kind: Kind::PassThrough, mode: "proxy", fresh: true, mark: "content-type" };
const MISS: Use = Use { kind: Kind::Easel, mode: "miss", fresh: true, mark: "x-easel-cache: miss" };
const RECORDED: Use = Use { kind: Kind::Recorded, ..MISS };
const LOGGED: Use = Use { kind: Kind::Logged, ..HIT };
/// In the order of a round.
const USES: [Use; 6] = [DIRECT, HIT, LOGGED, PASS, MISS, RECORDED];

/// What is held against what, and the most it may be.
const RATIOS: [(Use, Use, Body, Option<f64>); 8] = [
    (HIT, DIRECT, Body::Small, Some(2.0)),
    (HIT, DIRECT, Body::Big, Some(1.2)),
    (LOGGED, HIT, Body::Small, None),
    (LOGGED, HIT, Body::Big, None),
    (MISS, PASS, Body::Small, None),
    (MISS, PASS, Body::Big, Some(1.1)),
    (RECORDED, MISS, Body::Small, None),
    (RECORDED, MISS, Body::Big, None),
];

/// All rounds of one row.
struct Row {
    used: Use,
    body: Body,
    connections: usize,
    requests: usize,
    rounds: Vec<Taken>,
}

/// Measures everything and prints it.
pub fn run(options: Options) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for body in Body::ALL {
        if options.body.is_none_or(|only| only == body) {
            rows.extend(runtime.block_on(measure(body, options))?);
        }
    }
    table(&rows);
    ratios(&rows);
    Ok(())
}

async fn measure(body: Body, options: Options) -> Result<Vec<Row>, Failed> {
    let (rounds, requests) = match (options.quick, body) {
        (true, Body::Small) => (5, 1_000),
        (true, Body::Big) => (5, 100),
        (false, Body::Small) => (21, 2_000),
        (false, Body::Big) => (21, 200),
    };
    let origin = System::start(Kind::Origin, body, None, options)?;
    let start = |kind| System::start(kind, body, Some(&origin), options);
    let systems = [(Kind::Direct, start(Kind::Direct)?), (Kind::PassThrough, start(Kind::PassThrough)?)];
    let easels = [Kind::Easel, Kind::Recorded, Kind::Logged].map(|kind| start(kind).map(|system| (kind, system)));
    let systems = systems.into_iter().map(Ok).chain(easels).collect::<Result<Vec<_>, Failed>>()?;
    let numbers = Arc::new(AtomicU64::new(1));
    let mut rows: Vec<Row> = CONNECTIONS
        .into_iter()
        .flat_map(|connections| USES.map(|used| Row { used, body, connections, requests, rounds: Vec::new() }))
        .collect();
    warm_up(&systems, requests, &numbers).await?;
    for _ in 0..rounds {
        for row in &mut rows {
            let batch = batch(row.used, &systems, row.connections, requests, &numbers)?;
            row.rounds.push(batch.run().await?);
        }
    }
    Ok(rows)
}

fn batch(
    used: Use,
    systems: &[(Kind, System)],
    connections: usize,
    requests: usize,
    numbers: &Arc<AtomicU64>,
) -> Result<Batch, Failed> {
    let (_, system) = systems.iter().find(|(kind, _)| *kind == used.kind).ok_or("no such system")?;
    let numbers = used.fresh.then(|| numbers.clone());
    Ok(Batch { addr: system.addr, pid: system.pid(), connections, requests, numbers, mark: used.mark })
}

/// Code, pools, buffers and the cache as they are after some time.
async fn warm_up(systems: &[(Kind, System)], requests: usize, numbers: &Arc<AtomicU64>) -> Result<(), Failed> {
    for connections in CONNECTIONS {
        for used in USES {
            batch(used, systems, connections, requests, numbers)?.run().await?;
        }
    }
    Ok(())
}

fn table(rows: &[Row]) {
    say(format!(
        "{:<14}{:<8}{:<8}{:>6}{:>10}{:>12}{:>10}{:>10}",
        "system", "body", "mode", "conns", "requests", "cpu us", "p50 ms", "p99 ms"
    ));
    for row in rows {
        let Row { used, body, connections, requests, rounds } = row;
        let mut latencies: Vec<Duration> = rounds.iter().flat_map(|taken| taken.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        say(format!(
            "{:<14}{:<8}{:<8}{connections:>6}{:>10}{:>12.1}{:>10.3}{:>10.3}",
            used.kind.as_str(),
            body.size(),
            used.mode,
            requests * rounds.len(),
            median(rounds.iter().map(|taken| taken.cpu_us)),
            at(0.5),
            at(0.99),
        ));
    }
}

fn ratios(rows: &[Row]) {
    say("");
    for (upper, lower, body, goal) in RATIOS {
        for connections in CONNECTIONS {
            let find =
                |used| rows.iter().find(|row| row.used == used && row.body == body && row.connections == connections);
            let (Some(upper), Some(lower)) = (find(upper), find(lower)) else { continue };
            let pairs = upper.rounds.iter().zip(&lower.rounds);
            let ratio = median(pairs.clone().map(|(upper, lower)| upper.cpu_us / lower.cpu_us));
            let more = median(pairs.map(|(upper, lower)| upper.cpu_us - lower.cpu_us));
            let verdict = match goal {
                None => String::new(),
                Some(goal) if ratio <= goal => format!("goal {goal:.1}: kept"),
                Some(goal) => format!("goal {goal:.1}: MISSED"),
            };
            let name = format!("{} {} / {}", upper.used.kind.as_str(), upper.used.mode, lower.used.kind.as_str());
            say(format!("{name:<30}{:<8}{connections:>3} conns  {ratio:>5.2} {more:>+8.1} us  {verdict}", body.size()));
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
