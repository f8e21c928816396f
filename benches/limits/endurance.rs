//! Whether memory is what the metrics say after 100,000 requests, and whether it stays flat for half an hour.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Request};
use crate::system::{Setup, System};
use crate::{Failed, say};

/// Requests of `accounting`.
const REQUESTS: usize = 100_000;

/// Who ask at the same time.
const CALLERS: usize = 8;

/// What a process takes besides what its metrics say: code, threads, pools of connections, what the allocator holds
/// ready. An Easel that has just been loaded and holds nothing takes about as much.
const CONSTANT: u64 = 64_000_000;

/// Of the bytes that the metrics say.
const TOLERANCE: f64 = 0.10;

/// Hits, misses, links and evictions in turn; memory may be what the metrics say, a tenth of it, and a constant.
pub fn accounting() -> Result<bool, Failed> {
    let setup = Setup { more: "cache: {memory: 128MiB, links: 64MiB}", picture: 60_000, ..Setup::default() };
    let system = System::start(&setup)?;
    let base = system.memory()?;
    say("| requests | memory, MB | the metrics say, MB | before, MB |");
    say("|---:|---:|---:|---:|");
    let mut met = true;
    for round in 0..10 {
        callers(system.addr, round, REQUESTS / 10 / CALLERS)?;
        // What is not held is given back within a moment of idling.
        sleep(Duration::from_secs(10));
        let (memory, told) = (system.memory()?, system.held()?);
        met &= memory as f64 <= told as f64 * (1.0 + TOLERANCE) + (base + CONSTANT) as f64;
        let requests = (round + 1) * REQUESTS / 10;
        say(format!("| {requests} | {} | {} | {} |", memory / 1_000_000, told / 1_000_000, base / 1_000_000));
    }
    let constant = CONSTANT / 1_000_000;
    say(format!("memory is {}within a tenth of what the metrics say and {constant} MB", if met { "" } else { "NOT " }));
    Ok(met)
}

/// So many requests of each of the callers.
fn callers(addr: SocketAddr, round: usize, each: usize) -> Result<(), Failed> {
    scope(|scope| {
        let calling: Vec<_> =
            (0..CALLERS).map(|caller| scope.spawn(move || calls(addr, round, caller, each))).collect();
        calling.into_iter().try_for_each(|calling| calling.join().map_err(|_| "a caller failed")?.map_err(Into::into))
    })
}

/// Half of it asks for one of a thousand prompts, a quarter for a new one, a quarter for links, which are read.
fn calls(addr: SocketAddr, round: usize, caller: usize, each: usize) -> Result<(), String> {
    let failed = |error: Failed| error.to_string();
    let mut connection = Connection::open(addr).map_err(failed)?;
    let mut random = fastrand::Rng::with_seed((round * CALLERS + caller) as u64);
    for number in 0..each {
        let known = random.usize(..1000);
        let body = match number % 4 {
            0 | 1 => format!(r#"{{"prompt":"known {known}"}}"#),
            2 => format!(r#"{{"prompt":"new {round} {caller} {number}"}}"#),
            _ => format!(r#"{{"prompt":"known {known}","response_format":"url"}}"#),
        };
        let answer = connection.post(&body).map_err(failed)?;
        if number % 4 == 3 {
            let told: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
            let link = told["data"][0]["url"].as_str().ok_or("no link")?;
            let path = link.splitn(4, '/').nth(3).ok_or("a link without a path")?;
            connection.get(&format!("/{path}")).map_err(failed)?;
        }
    }
    Ok(())
}

/// New pictures of 1.5 MB, and hits, for so many minutes; the last third of the time may take a twentieth more than the third before.
pub fn soak(minutes: u64) -> Result<bool, Failed> {
    let setup = Setup { more: "cache: {memory: 256MiB, links: 64MiB}", picture: 1_500_000, ..Setup::default() };
    let system = System::start(&setup)?;
    let (began, mut memory) = (Instant::now(), Vec::new());
    say("| minute | memory, MB | the metrics say, MB |");
    say("|---:|---:|---:|");
    for minute in 0..minutes {
        let mut round = 0;
        while began.elapsed() < Duration::from_secs(60) * (u32::try_from(minute)? + 1) {
            // A pace that leaves the machine to others: some twenty pictures a second.
            callers(system.addr, usize::try_from(minute)? * 10_000 + round, 4)?;
            sleep(Duration::from_millis(1000));
            round += 1;
        }
        memory.push(system.memory()?);
        say(format!("| {} | {} | {} |", minute + 1, system.memory()? / 1_000_000, system.held()? / 1_000_000));
    }
    let third = memory.len() / 3;
    let median = |part: &[u64]| {
        let mut sorted = part.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0) as f64
    };
    let (middle, last) = (median(&memory[third..2 * third]), median(&memory[2 * third..]));
    let flat = last <= middle * 1.05;
    say(format!(
        "memory {} flat: {:.0} MB, then {:.0} MB",
        if flat { "stays" } else { "does NOT stay" },
        middle / 1e6,
        last / 1e6
    ));
    Ok(flat)
}

/// A connection that is kept.
struct Connection(TcpStream);

impl Connection {
    fn open(addr: SocketAddr) -> Result<Connection, Failed> {
        let stream = http::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Connection(stream))
    }

    fn post(&mut self, body: &str) -> Result<Vec<u8>, Failed> {
        let request = Request::json(http::GENERATE, body.as_bytes()).on_a_kept_connection();
        self.exchange(&[request.head().as_bytes(), body.as_bytes()].concat())
    }

    fn get(&mut self, path: &str) -> Result<Vec<u8>, Failed> {
        self.exchange(Request::get(path).on_a_kept_connection().head().as_bytes())
    }

    /// The body of an answer, which must be 200 and tell its length.
    fn exchange(&mut self, sent: &[u8]) -> Result<Vec<u8>, Failed> {
        self.0.write_all(sent)?;
        let mut read = Vec::new();
        let end = loop {
            let mut part = [0; 16 * 1024];
            match self.0.read(&mut part)? {
                0 => return Err("the connection ended before an answer".into()),
                more => read.extend_from_slice(&part[..more]),
            }
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = str::from_utf8(&read[..end])?.to_ascii_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            return Err(format!("not 200: {}", String::from_utf8_lossy(&read)).into());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or("no length")?;
        let mut body = read.split_off(end);
        let missing = length.trim().parse::<usize>()?.checked_sub(body.len()).ok_or("more than one answer")?;
        let have = body.len();
        body.resize(have + missing, 0);
        self.0.read_exact(&mut body[have..])?;
        Ok(body)
    }
}
